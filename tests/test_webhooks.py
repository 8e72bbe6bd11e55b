"""LiveKit's webhooks over HTTP: who is let in, and what is read."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.call import WebhookEvent
from tests.api import quick_settings, served_house
from tests.webhook_api import (
    API_KEY,
    API_SECRET,
    Posting,
    Room,
    posting_house,
    token,
)
from trunkline.voice.webhooks import MalformedError, event_in
from trunkline.webhooks import MAX_BODY, PATH

BODY = json.dumps(Room("ST_foreign").started()).encode()
OTHER_SECRET = API_SECRET[::-1]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Posting]:
    async with posting_house(quick_settings(tmp_path)) as house:
        yield house


def claims(**changes: Any) -> str:
    """A token with LiveKit's claims but for changes; None takes one away."""
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    plain = {"iss": API_KEY, "nbf": int(time.time()), "exp": int(time.time()) + 300, "sha256": digest}
    told = {name: value for name, value in (plain | changes).items() if value is not None}
    return jwt.encode(told, API_SECRET, algorithm="HS256")


def bad_tokens() -> dict[str, str | None]:
    unsigned = jwt.encode({"iss": API_KEY, "exp": int(time.time()) + 300}, "", algorithm="none")
    return {
        "no header": None,
        "empty": "",
        "junk": "junk",
        "an API key of ours": "Bearer tl_a-key-of-the-tests-and-of-nobody-else",
        "not ASCII": "é.é.é",
        "another secret": token(BODY, secret=OTHER_SECRET),
        "another key": token(BODY, key="another"),
        "another body": token(BODY + b" "),
        "no signature": unsigned,
        "another algorithm": jwt.encode({"iss": API_KEY, "exp": 9e9}, API_SECRET * 2, algorithm="HS512"),
        "over": claims(nbf=int(time.time()) - 600, exp=int(time.time()) - 120),
        "not yet": claims(nbf=int(time.time()) + 600),
        "without end": claims(exp=None),
        "no hash": claims(sha256=None),
        "empty hash": claims(sha256=""),
        "a hash that is no base64": claims(sha256="…"),
        "a hash that is no text": claims(sha256=7),
        "the hash of nothing": claims(sha256=base64.b64encode(hashlib.sha256(b"").digest()).decode()),
    }


async def test_only_what_livekit_signed_is_taken(house: Posting) -> None:
    for name, authorization in bad_tokens().items():
        response = await house.post(BODY, authorization)
        assert response.status_code == 401, name
        assert "signed" in response.json()["errors"][0]["message"]
    for authorization in (token(BODY), f"Bearer {token(BODY)}", claims(exp=int(time.time()) - 30)):
        assert (await house.post(BODY, authorization)).status_code == 200


async def test_without_livekit_there_is_no_such_address(tmp_path: Path) -> None:
    async with served_house(quick_settings(tmp_path)) as house:
        response = await house.api.client.post(PATH, content=BODY, headers={"authorization": token(BODY)})
        assert response.status_code == 404


async def test_any_host_may_be_named_there_and_there_alone(house: Posting) -> None:
    assert (await house.post(BODY, token(BODY))).status_code == 200
    assert (await house.http.post("/graphql", json={"query": "{ __typename }"})).status_code == 421
    assert (await house.http.get(PATH)).status_code == 405
    origin = {"authorization": token(BODY), "origin": "https://evil.example.com"}
    assert (await house.http.post(PATH, content=BODY, headers=origin)).status_code == 403


async def test_a_long_body_is_refused_by_what_arrives(house: Posting) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 1024 + 1):
            yield b" " * 1024

    fits = BODY + b" " * (MAX_BODY - len(BODY))
    assert (await house.post(fits, token(fits))).status_code == 200
    assert (await house.http.post(PATH, content=parts(), headers={"authorization": token(b"")})).status_code == 413


async def test_a_signed_body_that_is_no_webhook_is_refused(house: Posting) -> None:
    plain = Room("ST_foreign").started()
    bad = [
        *(b"", b"{}", b"[]", b"null", b"7", b"{", b"\xff", b'{"event": 7}', b'{"room": []}', b'{"a":' * 2_000),
        *(json.dumps(plain | {"createdAt": at}).encode() for at in ("soon", "-1" + "0" * 17, "9" * 18)),
        json.dumps(plain | {"id": "\ud800"}).encode(),
    ]
    for body in bad:
        response = await house.post(body, token(body))
        assert response.status_code == 400, body[:60]
    for name in ("room_finished", "egress_started", "of_the_future"):
        ignored = json.dumps({"event": name, "id": "EV_1", "andMore": {}}).encode()
        assert (await house.post(ignored, token(ignored))).status_code == 200, name
    assert await WebhookEvent.all().count() == 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "room",
                    "name",
                    "id",
                    "createdAt",
                    "participant",
                    "kind",
                    "attributes",
                    "track",
                    "type",
                    "sip.callID",
                    "sip.trunkID",
                    "identity",
                ]
            ),
            inner
            | st.sampled_from(
                ["participant_joined", "participant_left", "track_published", "room_finished", "SIP", "AGENT"]
            ),
        ),
    )
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_signed_is_read_or_refused(value: Any) -> None:
    try:
        event = event_in(json.dumps(value).encode(), datetime.now(UTC))
    except MalformedError:
        return
    assert event is None or (event.id and event.room)
