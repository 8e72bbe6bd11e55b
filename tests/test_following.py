"""What nobody told is found by looking: every event since the last look, however many there are, each once."""

from pathlib import Path

import pytest

from models.event import Action
from tests.bare import bare_house
from trunkline import database, events, following
from trunkline.feed import Ending, Subscription
from trunkline.following import Follower

EVENTS = 10


@pytest.mark.parametrize("batch", [1, 3, EVENTS, EVENTS + 1])
async def test_a_look_tells_all_of_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(following, "BATCH", batch)
    async with bare_house(tmp_path, monkeypatch) as house:
        endings: list[Ending] = []
        subscription = Subscription(house.caller, endings.append)
        follower = Follower(house.services, began=await database.now())
        with house.services.feed.subscribed(subscription):
            ids = [f"trunk_{number}" for number in range(EVENTS)]
            for trunk_id in ids:  # all in one instant of the house's clock
                await events.record(house.caller, Action.TRUNK_UPDATED, trunk_id, trunk_id=trunk_id)
            await follower.look()
            assert sorted(subscription.pending) == ids
            subscription.pending.clear()
            await follower.look()
            assert not subscription.pending
        assert endings == []
