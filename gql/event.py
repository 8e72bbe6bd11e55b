"""What happened, as a client reads it: events newest first, those of trunks that are gone too."""

from datetime import datetime
from typing import Annotated, cast

import strawberry

from gql.connection import FIRST, PAGE_DEFAULT, After, Connection, Pages
from gql.context import Info
from gql.node import Id, Node
from models import event as model
from models.keyset import Order
from models.sip_trunk import SipTrunk
from trunkline.events import events_of, find_event

NEWEST_FIRST = Order("at", descending=True)
First = Annotated[int | None, strawberry.argument(description=FIRST)]


def _sip_trunk_id(root: strawberry.Parent[model.Event]) -> strawberry.ID | None:
    return cast("strawberry.ID | None", root.trunk_id)


@strawberry.type(description="One change of a trunk, an assistant or a key. It stays when its subject is gone.")
class SipTrunkEvent(Node):
    """Source: models.event.Event."""

    at: datetime = strawberry.field(description="When.")
    actor: str = strawberry.field(description="The API key's id, or the part of trunkline that acted by itself.")
    action: str = strawberry.field(description='What was done, such as "sip_trunk.created".')
    subject_id: strawberry.ID = strawberry.field(description="The id of what it was done to.")
    sip_trunk_id = strawberry.field(_sip_trunk_id, description="The trunk that it concerns.")
    changed_fields: list[str] = strawberry.field(description="The fields that changed, by their names in the input.")
    outcome: str = strawberry.field(description="SUCCEEDED, the code of the failure, or how a call or a test ended.")
    request_id: str | None = strawberry.field(description="The X-Request-Id of the request that asked for it.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Rows are served as they are."""
        return isinstance(source, model.Event)


async def resolve_event(info: Info, id: Id) -> SipTrunkEvent | None:  # noqa: A002  # GraphQL's name
    """Find an event of the caller's workspace."""
    return cast("SipTrunkEvent | None", await find_event(info.context.caller.workspace_id, id))


async def resolve_events(info: Info, first: First = PAGE_DEFAULT, after: After = None) -> Connection[SipTrunkEvent]:
    """One page of what happened in the workspace."""
    return await _page(info, None, first, after)


async def resolve_trunk_events(
    root: strawberry.Parent[SipTrunk], info: Info, first: First = PAGE_DEFAULT, after: After = None
) -> Connection[SipTrunkEvent]:
    """One page of what happened to a trunk."""
    return await _page(info, root.id, first, after)


async def _page(info: Info, trunk_id: str | None, first: int | None, after: str | None) -> Connection[SipTrunkEvent]:
    workspace_id = info.context.caller.workspace_id
    pages = Pages(info.context.services.keyring, f"events\x00{workspace_id}\x00{trunk_id or ''}", NEWEST_FIRST)
    return Connection[SipTrunkEvent](fetched=await pages.fetch(events_of(workspace_id, trunk_id), first, after))
