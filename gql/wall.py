"""Every operation, over every transport, does its database work as its caller's workspace and sees no other's rows."""

from collections.abc import Iterator

from strawberry.extensions import SchemaExtension

from trunkline.row_security import behind_the_wall


class BehindTheWall(SchemaExtension):
    """Around parsing, validation and execution; of a subscription around all its events."""

    def on_operation(self) -> Iterator[None]:
        """The context is `gql.context.Context`."""
        with behind_the_wall(self.execution_context.context.caller.workspace_id):
            yield
