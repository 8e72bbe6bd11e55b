"""graphql-core's executor, made to forget: its memo of selections would grow with every event of a subscription.

It remembers by identity what was collected for each list of fields, and each event makes new lists, while the memo is
shared by all events. 500 subscribers cost 2 MB per change, for good.
"""

from typing import Any

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Each event of a subscription has a memo of its own."""

    def build_per_event_executor(self, payload: Any) -> Any:  # noqa: ANN401  # as graphql-core declares it
        """Copy the executor for one event, without what earlier ones left."""
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001  # graphql-core has no public name for it
        return executor
