"""Probes and test calls on a real PostgreSQL, whose roles see one workspace: what is seen is kept."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from models.event import Event
from tests.api import codes, served_house, until
from tests.real.test_postgres_creates import postgres_settings
from tests.sip_servers import answering, over_udp
from tests.test_calling import call
from tests.test_probing import last, probe, trunk_at
from trunkline.voice import VoiceKind
from trunkline.voice.sandbox import SandboxVoice


async def test_on_postgres(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SandboxVoice, "kind", VoiceKind.LIVEKIT)  # so that new trunks are probed
    plain = postgres_settings(tmp_path, postgres_url)
    settings = replace(
        plain,
        allowed_networks=(ip_network("127.0.0.0/8"),),
        probe_new_trunks="yes",
        test_call_destinations=("+40",),
    )
    async with over_udp(answering()) as server, served_house(settings) as house:
        trunk_id = await trunk_at(house.api, server.port)

        async def is_probed() -> bool:
            return bool(await last(house.api, trunk_id))

        await until(is_probed)
        seen = (await probe(house.api, trunk_id))["probe"]
        assert await last(house.api, trunk_id) == seen
        assert codes(await call(house, trunk_id)) == ["VOICE_MISCONFIGURED"]
        assert await Event.filter(action="sip_trunk.test_called", trunk_id=trunk_id).count() == 1
