"""What became of a call: by the carrier's status, else by LiveKit's words as livekit-sip 1.8.0 writes them."""

import pytest

from models.sip_trunk import SipTransport, SipTrunk
from trunkline.call_outcomes import CAUSES, Outcome, likely_causes, outcome_of
from trunkline.voice.calls import CallEnd

UDP = SipTrunk(sip_transport=SipTransport.UDP)
STATUSES = {
    400: "REJECTED", 401: "CREDENTIALS_REFUSED", 403: "REJECTED", 404: "NOT_FOUND", 407: "CREDENTIALS_REFUSED",
    408: "REJECTED", 480: "REJECTED", 484: "NOT_FOUND", 486: "BUSY", 488: "REJECTED", 500: "CARRIER_ERROR",
    503: "CARRIER_ERROR", 600: "BUSY", 603: "REJECTED", 604: "NOT_FOUND",
}  # fmt: skip
WORDS = {
    "max auth retry attempts reached for SIP invite": "CREDENTIALS_REFUSED",
    "sip server required auth, but no username or password was provided": "CREDENTIALS_REFUSED",
    "no auth header in sip invite response": "CREDENTIALS_REFUSED",
    "sip request timed out": "NO_REPLY",
    "transport<TCP> dial err=dial tcp 127.0.0.1:1: connect: connection refused": "UNREACHABLE",
    "fail to resolve target for nowhere.invalid": "UNREACHABLE",
    "conn 1.2.3.4:5061 write err=x509: certificate signed by unknown authority. transaction": "UNREACHABLE",
    "size of packet larger than MTU. transaction transport error": "UNREACHABLE",
    "no response from servers": "VOICE_UNAVAILABLE",
    "cpu exhausted": "VOICE_UNAVAILABLE",
    "transaction failed to complete (0 intermediate responses)": "NO_REPLY",
    "": "NO_REPLY",
}


@pytest.mark.parametrize(("status", "outcome"), STATUSES.items())
def test_the_status_decides(status: int, outcome: str) -> None:
    end = CallEnd(sip_status=status, words="max auth retry attempts reached")
    assert outcome_of(end) == outcome
    assert likely_causes(end, UDP)


@pytest.mark.parametrize(("words", "outcome"), WORDS.items())
def test_without_a_status_the_words_do(words: str, outcome: str) -> None:
    assert outcome_of(CallEnd(words=words)) == outcome
    assert likely_causes(CallEnd(words=words), UDP)


EDGE = {
    (403, "Carrier refused the trunk's credentials"): "CREDENTIALS_REFUSED",
    (403, "Unknown trunk key"): "VOICE_UNAVAILABLE",
    (502, "Carrier cannot be reached"): "UNREACHABLE",
    (502, "Bad Gateway"): "CARRIER_ERROR",
    (504, "Carrier does not answer"): "NO_REPLY",
}


@pytest.mark.parametrize(("answer", "outcome"), EDGE.items())
def test_what_the_edge_says_is_not_the_carriers_word(answer: tuple[int, str], outcome: str) -> None:
    end = CallEnd(sip_status=answer[0], words=answer[1])
    assert outcome_of(end) == outcome
    assert likely_causes(end, UDP)


def test_ringing_without_an_answer_rang() -> None:
    for end in (CallEnd(rang=True, words="sip request timed out"), CallEnd(rang=True, in_time=False)):
        assert outcome_of(end) is Outcome.RANG
    assert outcome_of(CallEnd(rang=True, sip_status=480)) is Outcome.RANG
    assert outcome_of(CallEnd(rang=True, sip_status=486)) is Outcome.BUSY
    assert outcome_of(CallEnd(answered=True, rang=True)) is Outcome.ANSWERED


def test_causes_are_special_where_more_is_known() -> None:
    assert "mediaEncryption" in likely_causes(CallEnd(sip_status=488), UDP)[0]
    distrusted = CallEnd(words="conn 1.2.3.4:5061 write err=x509: certificate has expired")
    assert "certificate has expired." in likely_causes(distrusted, UDP)[0]
    tls = SipTrunk(sip_transport=SipTransport.TLS)
    lost = CallEnd(words="transaction failed to complete (0 intermediate responses)")
    assert "call again" in likely_causes(lost, tls)[0]
    assert likely_causes(lost, UDP) == [*CAUSES[Outcome.NO_REPLY]]
    assert "does not speak TLS" in likely_causes(CallEnd(in_time=False), tls)[0]
    silent = CallEnd(sip_status=504, words="Carrier does not answer")
    assert "certificate" in likely_causes(silent, tls)[0]
    assert "A record" in likely_causes(CallEnd(words="fail to resolve target for x"), UDP)[0]
    assert "sipTransport to TLS or TCP" in likely_causes(CallEnd(words="size of packet larger than MTU"), UDP)[0]
    assert likely_causes(CallEnd(answered=True), UDP) == []
    assert set(CAUSES) == set(Outcome)
