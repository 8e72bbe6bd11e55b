"""SIP trunks as a client speaks of them: the type, pages of it, inputs, payloads, resolvers. No rules, no SQL."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, cast

import strawberry
from strawberry.types.field import StrawberryField

from gql.connection import FIRST, LAST, Cursors, Page, PageInfo, page, window
from gql.context import Info
from gql.errors import UserError, Warning  # noqa: A004  # its name in the schema
from gql.node import Id, Node
from gql.sip_trunk_enums import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkStatus,
    SipTrunkType,
)
from models import sip_trunk as model
from models.identifiers import is_id
from models.secret import Secret
from models.trunk_leg import LegKind
from trunkline.problems import Problem
from trunkline.trunks import create_trunk, validate_trunk, visible_trunks
from trunkline.validation import NormalizedTrunk as Normalized
from trunkline.validation import TrunkDraft

CREATED = "SIP trunk created successfully."
VALID = "The given data is valid."
INVALID = "The given data was invalid."


def _voice_id(kind: LegKind, description: str) -> StrawberryField:
    def resolver(root: strawberry.Parent[model.SipTrunk]) -> str | None:
        return next((leg.voice_id for leg in root.legs if leg.kind is kind), None)

    return strawberry.field(resolver, description=description)


def _status(root: strawberry.Parent[model.SipTrunk]) -> SipTrunkStatus:
    return SipTrunkStatus(root.status.value)  # only visible trunks are served


@strawberry.type(description="A carrier's or PBX's SIP trunk, in place at the voice backend in both directions.")
class SipTrunk(Node):
    """Source: models.sip_trunk.SipTrunk with its legs fetched."""

    sip_trunk_type: SipTrunkType = strawberry.field(description="What phoneNumber holds.")
    phone_number: str = strawberry.field(description="E.164 with + for NUMBER; as given for EXTENSION.")
    nickname: str | None = strawberry.field(description="A name for people.")
    sip_username: str = strawberry.field(description="The user name of the digest credentials.")
    sip_address: str = strawberry.field(description="The carrier's or PBX's host name (A-label) or IPv4 address.")
    sip_port: int | None = strawberry.field(description="Null: the transport's default, 5060 or for TLS 5061.")
    sip_transport: SipTransport = strawberry.field(description="How SIP messages travel to the carrier.")
    media_encryption: MediaEncryption = strawberry.field(description="Whether the audio is encrypted.")
    sip_calling_format: SipCallingFormat = strawberry.field(description="How numbers are written to the carrier.")
    inbound_authorization_type: InboundAuthorizationType = strawberry.field(
        description="How calls from the carrier prove where they come from."
    )
    allowed_inbound_ips: list[str] | None = strawberry.field(description="Canonical CIDRs; null with AUTH.")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2.")
    outbound_proxy: bool = strawberry.field(description="Whether outbound calls leave from a fixed address.")
    status = strawberry.field(_status, description="Where the trunk stands.")
    inbound_trunk_id = _voice_id(LegKind.INBOUND, 'The voice backend\'s id of the inbound leg, "ST_…".')
    outbound_trunk_id = _voice_id(LegKind.OUTBOUND, 'The voice backend\'s id of the outbound leg, "ST_…".')
    created_at: datetime = strawberry.field(description="When the creation succeeded.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.SipTrunk)


@strawberry.type(description="A trunk within a page.")
class SipTrunkEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Where the page after or before this trunk begins.")
    node: SipTrunk = strawberry.field(description="The trunk.")


@strawberry.type(description="A page of trunks, oldest first.")
class SipTrunkConnection:
    """Relay's connection over a keyset page."""

    page: strawberry.Private[Page]
    cursors: strawberry.Private[Cursors]

    @strawberry.field(description="The trunks of the page with their cursors.")
    def edges(self) -> list[SipTrunkEdge]:
        """One edge per row."""
        return [SipTrunkEdge(cursor=self.cursors.write(row), node=cast("SipTrunk", row)) for row in self.page.rows]

    @strawberry.field(description="The trunks of the page.")
    def nodes(self) -> list[SipTrunk]:
        """The rows as they are."""
        return cast("list[SipTrunk]", self.page.rows)

    @strawberry.field(description="Where the page stands.")
    def page_info(self) -> PageInfo:
        """Relay's PageInfo."""
        rows = self.page.rows
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=self.cursors.write(rows[0]) if rows else None,
            end_cursor=self.cursors.write(rows[-1]) if rows else None,
        )

    @strawberry.field(description="How many trunks there are in all; counted only when it is asked for.")
    async def total_count(self, info: Info) -> int:
        """One COUNT over the workspace."""
        return await visible_trunks(info.context.caller.workspace_id).count()


@strawberry.input(description="What createSipTrunk needs. Texts are trimmed at both ends, the password is not.")
class CreateSipTrunkInput:
    """The fields of trunkline.validation.TrunkDraft."""

    sip_trunk_type: SipTrunkType = strawberry.field(description="What phoneNumber holds.")
    phone_number: str = strawberry.field(
        description="EXTENSION: 1-15 of A-Z a-z 0-9 . _ - *. NUMBER: international, beginning with +."
    )
    nickname: str | None = strawberry.field(default=None, description=f"At most {model.NICKNAME_MAX} characters.")
    sip_username: str = strawberry.field(
        description=f"{model.USERNAME_MIN}-{model.USERNAME_MAX} printable ASCII, no space, quote or backslash."
    )
    sip_password: Secret = strawberry.field(
        description=f"{model.PASSWORD_MIN}-{model.PASSWORD_MAX} characters; it goes to the voice backend only."
    )
    sip_address: str = strawberry.field(description="Host name or IPv4 address: no scheme, no port.")
    sip_port: int | None = strawberry.field(
        default=None, description=f"{model.PORT_MIN}-{model.PORT_MAX}; left out: 5060, for TLS 5061."
    )
    sip_transport: SipTransport | None = strawberry.field(default=None, description="Left out: UDP.")
    media_encryption: MediaEncryption | None = strawberry.field(default=None, description="Left out: AUTO.")
    sip_calling_format: SipCallingFormat = strawberry.field(description="How numbers are written to the carrier.")
    inbound_authorization_type: InboundAuthorizationType = strawberry.field(
        description="How calls from the carrier prove where they come from."
    )
    allowed_inbound_ips: list[str] | None = strawberry.field(
        default=None,
        description=f"With IP: 1-{model.ALLOWED_IPS_MAX} addresses or CIDRs of the carrier. With AUTH: left out.",
    )
    country_code: str | None = strawberry.field(
        default=None, description="ISO 3166-1 alpha-2. Required for EXTENSION; detected for NUMBER."
    )
    outbound_proxy: bool = strawberry.field(
        default=False, description="Whether outbound calls leave from a fixed address; needs TRUNKLINE_OUTBOUND_PROXY."
    )

    def draft(self) -> TrunkDraft:
        """The same, for the use cases."""
        return TrunkDraft(**{each.name: getattr(self, each.name) for each in fields(TrunkDraft)})


Input = Annotated[CreateSipTrunkInput, strawberry.argument(description="The trunk that is wanted.")]


@strawberry.type(description="A trunk as it would be stored.")
class NormalizedSipTrunk:
    """Source: trunkline.validation.NormalizedTrunk."""

    phone_number: str = strawberry.field(description="E.164 with + for NUMBER; as given for EXTENSION.")
    nickname: str | None = strawberry.field(description="Trimmed; blank is null.")
    sip_username: str = strawberry.field(description="Trimmed.")
    sip_address: str = strawberry.field(description="Lower case A-labels, or an IPv4 address.")
    sip_port: int | None = strawberry.field(description="Null: the transport's default.")
    sip_transport: SipTransport = strawberry.field(description="With the default filled in.")
    media_encryption: MediaEncryption = strawberry.field(description="With the default filled in.")
    allowed_inbound_ips: list[str] | None = strawberry.field(description="Canonical CIDRs without duplicates.")
    country_code: str = strawberry.field(description="Given or detected.")
    called_texts: list[str] = strawberry.field(description="What the inbound leg will answer to.")
    caller_id: str = strawberry.field(description="What the carrier will see in From.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """The value of the rules is served as it is."""
        return isinstance(source, Normalized)


@strawberry.type(description="How a creation ended.")
class CreateSipTrunkPayload:
    """Exactly one of sipTrunk and userErrors is filled."""

    message: str = strawberry.field(description="A sentence for the person at the form.")
    sip_trunk: SipTrunk | None = strawberry.field(description="The trunk; null unless it was created.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once; empty when it was created.")
    warnings: list[Warning] = strawberry.field(description="What is worth knowing all the same.")


@strawberry.type(description="What createSipTrunk would say before it asks the voice backend.")
class ValidateSipTrunkPayload:
    """The same rules as createSipTrunk; nothing was stored, nothing was sent."""

    valid: bool = strawberry.field(description="Whether there are no problems.")
    message: str = strawberry.field(description="A sentence for the person at the form.")
    normalized: NormalizedSipTrunk | None = strawberry.field(description="What would be stored; null with bad fields.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once.")
    warnings: list[Warning] = strawberry.field(description="What is worth knowing all the same.")


async def resolve_create(info: Info, input: Input) -> CreateSipTrunkPayload:  # noqa: A002  # GraphQL's name
    """Create a trunk at the voice backend."""
    made = await create_trunk(info.context.services, info.context.caller, input.draft())
    return CreateSipTrunkPayload(
        message=_message(made.problems, CREATED, broke_rules=made.broke_rules),
        sip_trunk=cast("SipTrunk | None", made.trunk),
        user_errors=cast("list[UserError]", made.problems),
        warnings=cast("list[Warning]", made.notices),
    )


async def resolve_validate(info: Info, input: Input) -> ValidateSipTrunkPayload:  # noqa: A002  # as above
    """Say what a creation would say."""
    found = await validate_trunk(info.context.services, info.context.caller, input.draft())
    return ValidateSipTrunkPayload(
        valid=not found.problems,
        message=_message(found.problems, VALID, broke_rules=found.normalized is None),
        normalized=cast("NormalizedSipTrunk | None", found.normalized),
        user_errors=cast("list[UserError]", found.problems),
        warnings=cast("list[Warning]", found.notices),
    )


def _message(problems: Sequence[Problem], success: str, *, broke_rules: bool) -> str:
    if not problems:
        return success
    return INVALID if broke_rules else problems[0].message


async def resolve_sip_trunk(info: Info, id: Id) -> SipTrunk | None:  # noqa: A002  # GraphQL's name
    """Find a trunk of the caller's workspace; PostgreSQL would refuse some malformed ids, so that none is looked up."""
    if not is_id("trunk", id):
        return None
    return cast("SipTrunk | None", await visible_trunks(info.context.caller.workspace_id).get_or_none(id=id))


async def resolve_sip_trunks(
    info: Info,
    first: Annotated[int | None, strawberry.argument(description=FIRST)] = None,
    after: Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")] = None,
    last: Annotated[int | None, strawberry.argument(description=LAST)] = None,
    before: Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")] = None,
) -> SipTrunkConnection:
    """Fetch one page of the caller's workspace."""
    context = info.context
    workspace_id = context.caller.workspace_id
    cursors = Cursors(context.services.keyring, f"sipTrunks\x00{workspace_id}")
    found = await page(visible_trunks(workspace_id), window(first, last, after, before), cursors)
    return SipTrunkConnection(page=found, cursors=cursors)
