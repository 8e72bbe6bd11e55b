"""Creating and validating trunks as a client speaks of it: the input, what it would become, payloads, resolvers."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Annotated, cast

import strawberry

from gql.context import Info
from gql.errors import UserError, Warning  # noqa: A004  # its name in the schema
from gql.sip_trunk import SipTrunk
from gql.sip_trunk_enums import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkType,
)
from models import sip_trunk as model
from models.idempotency_key import KEY_MAX
from models.secret import Secret
from trunkline.creation import Manner, create_trunk
from trunkline.problems import Problem
from trunkline.trunks import validate_trunk
from trunkline.validation import NormalizedTrunk as Normalized
from trunkline.validation import TrunkDraft

CREATED = "SIP trunk created successfully."
VALID = "The given data is valid."
INVALID = "The given data was invalid."


@strawberry.enum(description="When the answer comes.")
class ProvisioningMode(Enum):
    """WAIT and BACKGROUND."""

    WAIT = strawberry.enum_value("WAIT", description="When it is decided: the trunk is ACTIVE, or nothing is saved.")
    BACKGROUND = strawberry.enum_value(
        "BACKGROUND", description="At once: the trunk is saved as PROVISIONING and becomes ACTIVE or FAILED."
    )


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
        default=None,
        description=f"{model.PORT_MIN}-{model.PORT_MAX}; left out: the provider's, else 5060, for TLS 5061.",
    )
    sip_transport: SipTransport | None = strawberry.field(
        default=None, description="Left out: the provider's, else UDP."
    )
    media_encryption: MediaEncryption | None = strawberry.field(
        default=None, description="Left out: the provider's, else AUTO."
    )
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
        default=False,
        description="Whether the signalling of outbound calls leaves from the edge's fixed address, which answers the "
        "carrier's digest. Media comes from livekit-sip all the same. Needs TRUNKLINE_OUTBOUND_PROXY.",
    )
    provider: str | None = strawberry.field(
        default=None,
        description="A key of providers. Fills sipTransport, sipPort, mediaEncryption and allowedInboundIps where they "
        "are left out, and warns where the rest differs. Left out: recognised by sipAddress, and nothing is filled in.",
    )
    provisioning: ProvisioningMode = strawberry.field(
        default=ProvisioningMode.WAIT, description="Whether to wait for the voice backend."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=f"At most {KEY_MAX} characters. For 24 hours a repeated request with this key and the same input "
        "answers with the trunk that the first one made, or with NOT_FOUND once that is deleted.",
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
    provider: str | None = strawberry.field(description="The key of the provider, named or recognised by sipAddress.")
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
    background = input.provisioning is ProvisioningMode.BACKGROUND
    manner = Manner(background=background, idempotency_key=input.idempotency_key)
    made = await create_trunk(info.context.services, info.context.caller, input.draft(), manner)
    return CreateSipTrunkPayload(
        message=message_of(made.problems, CREATED, broke_rules=made.broke_rules),
        sip_trunk=cast("SipTrunk | None", made.trunk),
        user_errors=cast("list[UserError]", made.problems),
        warnings=cast("list[Warning]", made.notices),
    )


async def resolve_validate(info: Info, input: Input) -> ValidateSipTrunkPayload:  # noqa: A002  # as above
    """Say what a creation would say."""
    found = await validate_trunk(info.context.services, info.context.caller, input.draft(), input.idempotency_key)
    return ValidateSipTrunkPayload(
        valid=not found.problems,
        message=message_of(found.problems, VALID, broke_rules=found.normalized is None),
        normalized=cast("NormalizedSipTrunk | None", found.normalized),
        user_errors=cast("list[UserError]", found.problems),
        warnings=cast("list[Warning]", found.notices),
    )


def message_of(problems: Sequence[Problem], success: str, *, broke_rules: bool) -> str:
    """The payload's message: success, the one for broken rules, or the first problem's."""
    if not problems:
        return success
    return INVALID if broke_rules else problems[0].message
