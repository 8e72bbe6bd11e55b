"""What a resolver may use: the services, who asks, and the request's id."""

from dataclasses import dataclass, replace

import strawberry
from strawberry.dataloader import DataLoader

from models.sip_trunk import SipTrunk
from trunkline.feed import Subscription
from trunkline.keys import Caller
from trunkline.services import Services
from trunkline.trunks import visible_trunks


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every resolver by the composition root."""

    services: Services
    caller: Caller
    request_id: str
    trunks: DataLoader[str, SipTrunk | None]  # one query per level of a document, however many rows ask
    subscription: Subscription | None  # what a subscription is told with; None for every other operation


def context_of(
    services: Services, caller: Caller, request_id: str, subscription: Subscription | None = None
) -> Context:
    """Put the context of one request together."""

    async def load(trunk_ids: list[str]) -> list[SipTrunk | None]:
        rows = {row.id: row for row in await visible_trunks(caller.workspace_id).filter(id__in=trunk_ids)}
        return [rows.get(trunk_id) for trunk_id in trunk_ids]

    return Context(services, replace(caller, request_id=request_id), request_id, DataLoader(load), subscription)


Info = strawberry.Info[Context, None]
