"""What a resolver may use: the services, who asks, and the request's id."""

from dataclasses import dataclass

import strawberry

from trunkline.keys import Caller
from trunkline.services import Services


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every resolver by the composition root."""

    services: Services
    caller: Caller
    request_id: str


Info = strawberry.Info[Context, None]
