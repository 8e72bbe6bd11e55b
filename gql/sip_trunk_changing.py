"""Updating, deleting and reprovisioning trunks as a client speaks of it: inputs, plan, payloads, resolvers."""

from enum import Enum
from typing import Annotated, cast

import strawberry
from strawberry.types.unset import UNSET, UnsetType

from gql.assistant import Assistant
from gql.context import Info
from gql.errors import UserError, Warning  # noqa: A004  # its name in the schema
from gql.sip_trunk import SipTrunk
from gql.sip_trunk_creating import message_of
from gql.sip_trunk_enums import InboundAuthorizationType, MediaEncryption, SipCallingFormat, SipTransport
from models.secret import Secret
from models.trunk_leg import LegKind
from trunkline.changes import Plan, Wish, update_trunk
from trunkline.events import input_name
from trunkline.trunks import delete_trunk, reprovision_trunk

UPDATED = "SIP trunk updated successfully."
PLANNED = "This is what the change would do; nothing was changed."
DELETED = "SIP trunk deleted successfully."
REPROVISIONED = "SIP trunk provisioned successfully."
COMMANDS = frozenset({"id", "expected_revision", "dry_run"})


@strawberry.enum(description="What a change needs at the voice backend.")
class LegAction(Enum):
    """Per leg."""

    NONE = strawberry.enum_value("NONE", description="Nothing.")
    UPDATE_IN_PLACE = strawberry.enum_value("UPDATE_IN_PLACE", description="It is written again; its id stays.")
    REPLACE = strawberry.enum_value("REPLACE", description="It is made anew, with another id.")
    REMOVE = strawberry.enum_value("REMOVE", description="It is removed.")


@strawberry.type(description="What a change does.")
class SipTrunkChangePlan:
    """Made from trunkline.changes.Plan."""

    inbound: LegAction = strawberry.field(description="What the inbound leg needs.")
    outbound: LegAction = strawberry.field(description="What the outbound leg needs, its route at the edge included.")
    dispatch: LegAction = strawberry.field(description="What the dispatch rule needs.")
    changed_fields: list[str] = strawberry.field(description="The fields that differ, by their names in the input.")
    assistants_affected: list[Assistant] = strawberry.field(description="The assistants whose calls it concerns.")


@strawberry.input(description="What is to change. Left out: unchanged. Null: cleared, where null is allowed.")
class UpdateSipTrunkInput:
    """Column names of trunkline.validation.TrunkDraft, and three words about the request itself."""

    id: strawberry.ID = strawberry.field(description="The trunk.")
    nickname: str | None = strawberry.field(default=UNSET, description="A name for people; null clears it.")
    phone_number: str | None = strawberry.field(
        default=UNSET, description="Without countryCode the country is detected."
    )
    sip_username: str | None = strawberry.field(default=UNSET, description="The user name of the digest credentials.")
    sip_password: Secret | None = strawberry.field(default=UNSET, description="Left out: unchanged.")
    sip_address: str | None = strawberry.field(default=UNSET, description="Host name or IPv4 address.")
    sip_port: int | None = strawberry.field(default=UNSET, description="Null: the transport's default.")
    sip_transport: SipTransport | None = strawberry.field(default=UNSET, description="Null: UDP.")
    media_encryption: MediaEncryption | None = strawberry.field(default=UNSET, description="SRTP. Null: AUTO.")
    sip_calling_format: SipCallingFormat | None = strawberry.field(
        default=UNSET, description="How numbers are written to the carrier."
    )
    inbound_authorization_type: InboundAuthorizationType | None = strawberry.field(
        default=UNSET, description="To IP: allowedInboundIps in the same call. To AUTH: the list is cleared."
    )
    allowed_inbound_ips: list[str] | None = strawberry.field(default=UNSET, description="The whole new list.")
    country_code: str | None = strawberry.field(
        default=UNSET, description="ISO 3166-1 alpha-2. Null: detected, where the number tells it."
    )
    outbound_proxy: bool | None = strawberry.field(default=UNSET, description="A fixed address for outbound calls.")
    provider: str | None = strawberry.field(
        default=UNSET, description="A key of providers; fills nothing in. Null: recognised by sipAddress."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="Refuse with STALE_REVISION when the trunk has another revision."
    )
    dry_run: bool = strawberry.field(default=False, description="Only tell the plan.")

    def wish(self) -> Wish:
        """The same, for the use case."""
        told = {name: value for name, value in self.__dict__.items() if name not in COMMANDS}
        columns = {name: value for name, value in told.items() if not isinstance(value, UnsetType)}
        return Wish(trunk_id=self.id, columns=columns, expected_revision=self.expected_revision, dry_run=self.dry_run)


@strawberry.type(description="How a change ended.")
class UpdateSipTrunkPayload:
    """A refused change leaves the trunk as it was, and it is in the answer all the same."""

    message: str = strawberry.field(description="A sentence for the person at the form.")
    sip_trunk: SipTrunk | None = strawberry.field(description="The trunk as it stands now; null when unknown.")
    plan: SipTrunkChangePlan | None = strawberry.field(description="What the change does; null with bad fields.")
    user_errors: list[UserError] = strawberry.field(description="All problems at once; empty when it was changed.")
    warnings: list[Warning] = strawberry.field(description="What is worth knowing all the same.")


@strawberry.input(description="Which trunk to delete.")
class DeleteSipTrunkInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The trunk.")


@strawberry.type(description="How a removal ended.")
class DeleteSipTrunkPayload:
    """deletedId is null until the voice backend is rid of it."""

    message: str = strawberry.field(description="A sentence for a person.")
    deleted_id: strawberry.ID | None = strawberry.field(description="The id that is gone now.")
    unassigned: list[Assistant] = strawberry.field(description="The assistants that lost their number.")
    user_errors: list[UserError] = strawberry.field(description="Why it is not gone.")


@strawberry.input(description="Which trunk to provision again.")
class ReprovisionSipTrunkInput:
    """By its id."""

    id: strawberry.ID = strawberry.field(description="The trunk.")


@strawberry.type(description="How provisioning again ended.")
class ReprovisionSipTrunkPayload:
    """The trunk is in the answer whether or not it succeeded."""

    message: str = strawberry.field(description="A sentence for a person.")
    sip_trunk: SipTrunk | None = strawberry.field(description="The trunk as it stands now; null when unknown.")
    user_errors: list[UserError] = strawberry.field(description="Why it did not succeed.")


UpdateInput = Annotated[UpdateSipTrunkInput, strawberry.argument(description="The trunk and what changes.")]
DeleteInput = Annotated[DeleteSipTrunkInput, strawberry.argument(description="The trunk.")]
ReprovisionInput = Annotated[ReprovisionSipTrunkInput, strawberry.argument(description="The trunk.")]


async def resolve_update(info: Info, input: UpdateInput) -> UpdateSipTrunkPayload:  # noqa: A002  # GraphQL's
    """Change a trunk in place."""
    wish = input.wish()
    ended = await update_trunk(info.context.services, info.context.caller, wish)
    success = PLANNED if wish.dry_run else UPDATED
    return UpdateSipTrunkPayload(
        message=message_of(ended.problems, success, broke_rules=ended.broke_rules),
        sip_trunk=cast("SipTrunk | None", ended.trunk),
        plan=_plan(ended.plan) if ended.plan else None,
        user_errors=cast("list[UserError]", ended.problems),
        warnings=cast("list[Warning]", ended.notices),
    )


def _plan(plan: Plan) -> SipTrunkChangePlan:
    def action(*kinds: LegKind) -> LegAction:
        return LegAction.NONE if plan.legs.isdisjoint(kinds) else LegAction.UPDATE_IN_PLACE

    return SipTrunkChangePlan(
        inbound=action(LegKind.INBOUND),
        outbound=action(LegKind.OUTBOUND, LegKind.EDGE),
        dispatch=LegAction.NONE,  # a rule names its trunk by an id that stays
        changed_fields=[input_name(name) for name in plan.changed],
        assistants_affected=cast("list[Assistant]", list(plan.assistants)),
    )


async def resolve_delete(info: Info, input: DeleteInput) -> DeleteSipTrunkPayload:  # noqa: A002  # as above
    """Remove a trunk."""
    ended = await delete_trunk(info.context.services, info.context.caller, input.id)
    return DeleteSipTrunkPayload(
        message=ended.problem.message if ended.problem else DELETED,
        deleted_id=cast("strawberry.ID | None", ended.deleted_id),
        unassigned=cast("list[Assistant]", list(ended.unassigned)),
        user_errors=cast("list[UserError]", [ended.problem] if ended.problem else []),
    )


async def resolve_reprovision(
    info: Info,
    input: ReprovisionInput,  # noqa: A002  # GraphQL's name
) -> ReprovisionSipTrunkPayload:
    """Try again now."""
    ended = await reprovision_trunk(info.context.services, info.context.caller, input.id)
    return ReprovisionSipTrunkPayload(
        message=ended.problem.message if ended.problem else REPROVISIONED,
        sip_trunk=cast("SipTrunk | None", ended.trunk),
        user_errors=cast("list[UserError]", [ended.problem] if ended.problem else []),
    )
