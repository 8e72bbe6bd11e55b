"""Calls to a carrier: what dialPreview shows is what the carrier sees, and the digest is the one it asked for."""

from collections.abc import Callable

import pytest

from tests.real.calling import CREDENTIALS, Exchange
from tests.real.outbound_matrix import CASES, Case, Placed, play
from tests.real.sipp import Carrier


@pytest.fixture(scope="module", params=["directly", "by the edge"])
async def outbound_calls(request: pytest.FixtureRequest, carrier: Carrier) -> dict[Case, Placed]:
    """Every call, placed once."""
    by_the_edge = request.param == "by the edge"
    exchange: Exchange = request.getfixturevalue("behind" if by_the_edge else "exchange")
    return await play(exchange, carrier, outboundProxy=by_the_edge)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_call(
    request: pytest.FixtureRequest,
    outbound_calls: dict[Case, Placed],
    case: Case,
    record_property: Callable[[str, object], None],
) -> None:
    placed = outbound_calls[case]
    last, is_authenticated = placed.invites[-1], placed.answers_with(*CREDENTIALS)
    wire = f"{last.request_uri:58} {last.user('To'):14} {last.user('From'):13} {' '.join(placed.statuses)}"
    lost = f", after {placed.lost} that LiveKit lost" if placed.lost else ""
    way = request.node.callspec.params["outbound_calls"]
    record_property(
        "calls to a carrier", f"{way:11} {case!s:18} {wire} digest {'right' if is_authenticated else 'WRONG'}{lost}"
    )
    assert placed.preview["problem"] is None
    for invite in placed.invites:
        assert invite.request_uri == placed.preview["requestUri"]
        assert invite.user("To") == placed.preview["toUser"]
        assert invite.user("From") == placed.preview["fromUser"]
    assert [bool(invite.digest) for invite in placed.invites] == [False, True]
    assert last.digest["uri"] == last.request_uri
    assert is_authenticated
    assert placed.statuses == (case.challenge, "180", "200")
    assert placed.followed
