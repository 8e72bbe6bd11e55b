"""The subscription sipTrunkChanged: each change of a trunk as it happens, with the trunk as it stands then."""

from collections.abc import AsyncGenerator
from enum import Enum
from typing import Annotated, cast

import strawberry

from gql.context import Context, Info
from gql.request_errors import refuse
from gql.sip_trunk import SipTrunk
from trunkline import database
from trunkline.feed import ChangeKind, Ending, News, Subscription
from trunkline.trunks import find_trunk

UNKNOWN = "There is no such SIP trunk."
WATCHED = "The trunk to watch; left out: every trunk of your workspace."


@strawberry.enum(description="What happened to a trunk. Of several changes that were not taken in time, the greatest.")
class SipTrunkChangeKind(Enum):
    """As trunkline.feed.ChangeKind, in its names."""

    CREATED = strawberry.enum_value("CREATED", description="It is visible now.")
    UPDATED = strawberry.enum_value("UPDATED", description="Its fields, its legs or its assistants changed.")
    STATUS = strawberry.enum_value("STATUS", description="Its status changed: repaired, failed, being removed.")
    DELETED = strawberry.enum_value("DELETED", description="It is gone.")


@strawberry.type(description="One change of one trunk.")
class SipTrunkChange:
    """Made for each subscriber, of a row that is read after the change."""

    kind: SipTrunkChangeKind = strawberry.field(description="What happened.")
    id: strawberry.ID = strawberry.field(description="The trunk's id.")
    sip_trunk: SipTrunk | None = strawberry.field(description="The trunk as it stands now; null when it is gone.")


async def resolve_changed(
    info: Info,
    id: Annotated[strawberry.ID | None, strawberry.argument(description=WATCHED)] = None,  # noqa: A002  # GraphQL's name
) -> AsyncGenerator[SipTrunkChange, None]:
    """Refuse an unknown trunk at once; another workspace's looks like one."""
    context = info.context
    if id is not None and not await find_trunk(context.caller.workspace_id, id):
        refuse(UNKNOWN)
    subscription = context.subscription or Subscription(context.caller, on_end=lambda _ending: None)
    subscription.trunk_id = id
    return _changes(context, subscription)


async def _changes(context: Context, subscription: Subscription) -> AsyncGenerator[SipTrunkChange, None]:
    trunk_id = subscription.trunk_id
    with context.services.feed.subscribed(subscription):
        try:
            if trunk_id and not await find_trunk(context.caller.workspace_id, trunk_id):  # it went in this instant
                yield SipTrunkChange(kind=SipTrunkChangeKind.DELETED, id=strawberry.ID(trunk_id), sip_trunk=None)
                return
            async for kind, news in subscription.news():
                if change := await _read(context, kind, news):
                    yield change
                    if change.sip_trunk is None and trunk_id:
                        return
        except database.UNUSABLE:
            subscription.end(Ending.MISSED)


async def _read(context: Context, kind: ChangeKind, news: News) -> SipTrunkChange | None:
    """The trunk is read in the subscriber's own workspace; None when it was never, or is not yet, to be seen."""
    context.trunks.clear_all()  # what was loaded for the last change may have changed

    trunk = await news.trunk(lambda: find_trunk(context.caller.workspace_id, news.trunk_id))
    if (trunk is None) is not (kind is ChangeKind.DELETED):
        if trunk is None:
            return None  # its removal is told by itself
        kind = ChangeKind.STATUS  # it could not be removed yet
    shown = cast("SipTrunk | None", trunk)
    return SipTrunkChange(kind=SipTrunkChangeKind[kind.name], id=strawberry.ID(news.trunk_id), sip_trunk=shown)
