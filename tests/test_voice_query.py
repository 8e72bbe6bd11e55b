"""The voice query: which backend, whether it answers and since when, how the trunks stand, what went wrong last."""

from pathlib import Path
from typing import Any

from tests.api import Api, quick_settings, served_house, until
from tests.behind_our_back import passes
from tests.faulty_voice import Call, Fail, Fault, faultless
from trunkline.voice import VoiceCause, VoiceError

VOICE = """{ voice { kind reachable since lastReconciledAt lastError { code message retryable occurredAt }
  trunksByStatus { status count } } }"""


async def voice_of(api: Api) -> dict[str, Any]:
    voice: dict[str, Any] = (await api.ask(VOICE))["voice"]
    return voice


async def until_reachable(api: Api, reachable: bool) -> dict[str, Any]:
    async def is_so() -> bool:
        return (await voice_of(api))["reachable"] is reachable

    await until(is_so)
    return await voice_of(api)


def down(_call: Call) -> Fault | None:
    return Fail(VoiceError(VoiceCause.UNAVAILABLE, "It is away."))


async def test_it_tells_the_backend_and_counts_trunks_by_status(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        await house.api.create()
        await house.api.create(phoneNumber="+40741926266")
        voice = await until_reachable(house.api, reachable=True)
        assert voice["kind"] == "SANDBOX"
        assert voice["lastError"] is None
        assert voice["since"] <= voice["lastReconciledAt"]
        assert voice["trunksByStatus"] == [{"status": "ACTIVE", "count": 2}]


async def test_it_tells_an_outage_and_its_end(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        before = await until_reachable(house.api, reachable=True)
        house.voice.plan = down
        away = await until_reachable(house.api, reachable=False)
        assert away["since"] > before["since"]
        told = {"code": "VOICE_UNAVAILABLE", "message": "It is away.", "retryable": True}
        assert away["lastError"] == told | {"occurredAt": away["lastError"]["occurredAt"]}
        house.voice.plan = faultless
        back = await until_reachable(house.api, reachable=True)
        assert back["since"] > away["since"]
        assert back["lastError"] is not None


async def test_a_backend_that_stays_reachable_keeps_its_since(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path, reconcile_interval=0.05)) as house:
        first = await until_reachable(house.api, reachable=True)
        await passes(house, 4)
        later = await voice_of(house.api)
        assert later["since"] == first["since"]
        assert later["lastReconciledAt"] > first["lastReconciledAt"]
