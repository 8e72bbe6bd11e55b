"""A subscription of many events needs no more memory than one of few."""

import gc
from collections.abc import AsyncGenerator

import strawberry
from graphql.execution.collect_fields import FieldDetails

from gql.documents import Schema
from tests.tiny_api import Query, Trunk

EVENTS = 300


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def trunks(self) -> AsyncGenerator[Trunk, None]:
        for number in range(EVENTS):
            yield Trunk(name=str(number))


def kept() -> int:
    gc.collect()
    return sum(type(each) is FieldDetails for each in gc.get_objects())


async def test_events_leave_nothing_behind() -> None:
    schema = Schema(Query, subscription=Subscription)
    results = await schema.stream("subscription { trunks { name child { name } } }")
    counts = []
    async for result in results:
        assert result.errors is None
        if int(result.data["trunks"]["name"]) % (EVENTS // 3) == 1:
            counts.append(kept())
    assert len(set(counts)) == 1, counts
