"""What holds for subscriptions on both databases."""

from collections.abc import Awaitable, Callable

from models.identifiers import new_id
from tests.live import introduced, place_of
from tests.test_workspaces import make_workspace
from trunkline.settings import Settings

Case = Callable[[Settings], Awaitable[None]]


async def another_workspaces_trunks_are_never_told(settings: Settings) -> None:
    """Each of two workspaces watches everything, and one of the other's trunks looks like one that never was."""
    async with place_of(settings) as place:
        made = await make_workspace(place.api, "asker")
        ours = (await place.api.create())["sipTrunk"]
        async with introduced(place) as us, introduced(place, made["secret"]) as them:
            answers = []
            for unknown in (ours["id"], new_id("trunk")):
                await them.subscribe(id=unknown)
                answers.append(await them.said())
            assert answers[0] == answers[1]
            assert answers[0]["type"] == "error"
            for socket in (us, them):
                await socket.subscribe()
                await socket.is_quiet()
            await place.api.update(ours["id"], nickname="Ours")
            await place.api.delete(ours["id"])
            while (await us.change())["sipTrunk"]:
                pass
            await them.is_quiet()


ALL: list[Case] = [another_workspaces_trunks_are_never_told]
