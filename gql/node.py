"""What has an id of its own, unique in the whole API."""

from typing import Annotated

import strawberry

Id = Annotated[strawberry.ID, strawberry.argument(description="An id of this API; a malformed one is an unknown one.")]


@strawberry.interface(description="Anything that can be fetched again by its id alone.")
class Node:
    """Relay's Node: https://relay.dev/graphql/objectidentification.htm."""

    id: strawberry.ID = strawberry.field(description="An opaque id, unique in the whole API.")
