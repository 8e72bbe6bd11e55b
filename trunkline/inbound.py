"""Which stored trunk takes a call, or which rule refuses it: LiveKit's matching said again, in LiveKit's order.

Nothing is asked of anybody: what others made at the same LiveKit project is not looked at, and another workspace's
number is an unknown one. docs/operating.md has the table of what each rule sounds like.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

from tortoise.expressions import Q

from models.assistant import Assistant
from models.call import PARTY_MAX
from models.sip_trunk import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTrunk,
    TrunkStatus,
)
from models.trunk_leg import LegKind, LegState
from trunkline.addresses import Address, is_publicly_routable, network_of, without_mapping
from trunkline.legs import own_text_keys
from trunkline.phone import called_text_key, called_texts, caller_id
from trunkline.text_rules import CONTROL
from trunkline.trunks import visible_trunks
from trunkline.voice import RINGING_TIMEOUT_SECONDS

NEAR_DIGITS = 6  # as many last digits make two numbers near each other
NEAR_MAX = 50  # trunks that are compared
SHOWN_MAX = 5  # ranges that are named
SILENCE = "The caller hears ringing and never gets an answer."
AGAIN = "The call may meet other values, or nothing: ask again when the trunk is ACTIVE."
NO_CREDENTIALS = (
    "The trunk asks for its user name and password (407). A call without them ends there; one with wrong ones gets 401 "
    "Unauthorized."
)
BEHIND_NAT = "It is a private address, so a proxy or NAT in front of LiveKit may hide the carrier's."


class Rule(StrEnum):
    """What decided, in the order in which it is looked at."""

    NUMBER = "NUMBER"
    DELETING = "DELETING"
    NOT_PROVISIONED = "NOT_PROVISIONED"
    NOT_APPLIED = "NOT_APPLIED"
    SOURCE_ADDRESS = "SOURCE_ADDRESS"
    CREDENTIALS = "CREDENTIALS"
    NO_ASSISTANT = "NO_ASSISTANT"
    ACCEPTED = "ACCEPTED"


@dataclass(frozen=True, slots=True)
class InboundCall:
    """A call as it reaches LiveKit: the user of its To header, its source, whether it brings the right credentials."""

    to: str
    source: Address
    with_credentials: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What decided and why. `trunk`: the one that takes the call or, when it is refused, the one that was meant."""

    rule: Rule
    explanation: str
    trunk: SipTrunk | None = None
    assistant: Assistant | None = None


def read_call(to: str, caller: str, source_ip: str, *, with_credentials: bool) -> InboundCall | str:
    """Read a call, or say in a sentence that quotes nothing what is wrong with it. Every caller is let in."""
    called = to.strip()
    if not called or len(called) > PARTY_MAX or CONTROL.search(called):
        return f"to must be 1 to {PARTY_MAX} characters without control characters."
    if "@" in called or re.match("(sips?|tel):", called, re.IGNORECASE):
        return "to is the user part of the To header alone, such as +12025550123: without sip: and without @ and host."
    if len(caller) > PARTY_MAX or CONTROL.search(caller):
        return f"from must be at most {PARTY_MAX} characters without control characters."
    try:
        source = ip_address(source_ip.strip())
    except ValueError:
        return "sourceIp must be an IPv4 or IPv6 address, without port and without brackets."
    return InboundCall(called, without_mapping(network_of(source)).network_address, with_credentials)


async def explain(workspace_id: str, call: InboundCall) -> Verdict:
    """Replay LiveKit's decision on the trunks of a workspace."""
    key = called_text_key(call.to)
    owner = await visible_trunks(workspace_id).filter(called_texts__text=key).first()
    if owner is None:
        return _unknown(call, await _meant(workspace_id, call.to))
    if unready := _of_trunk(owner):
        return unready
    if key not in own_text_keys(owner):  # it answered to it before its last change
        return _unknown(call, owner)
    return _of_caller(owner, call) or _of_assistant(owner)


def _unknown(call: InboundCall, meant: SipTrunk | None) -> Verdict:
    if meant is None:
        return Verdict(Rule.NUMBER, f"Got “{call.to}”: no trunk of this workspace answers to it. {SILENCE}")
    texts = " or ".join(f"“{text}”" for text in _texts(meant))
    advice = ""
    if called_text_key(call.to) == called_text_key(_national(meant)):
        advice = " Let the carrier send it so, or set sipCallingFormat to NATIONAL, which answers to both."
    return Verdict(Rule.NUMBER, f"Got “{call.to}”, the trunk answers to {texts} only. {SILENCE}{advice}", meant)


def _of_trunk(trunk: SipTrunk) -> Verdict | None:
    """Whether LiveKit has it as it is stored."""
    if trunk.status is TrunkStatus.DELETING:
        return Verdict(Rule.DELETING, f"The trunk is being removed from LiveKit. {SILENCE}", trunk)
    return _of_leg(trunk, LegKind.INBOUND, "The trunk")


def _of_leg(trunk: SipTrunk, kind: LegKind, what: str) -> Verdict | None:
    leg = next((each for each in trunk.legs if each.kind is kind), None)
    if leg is None or leg.voice_id is None:
        return Verdict(Rule.NOT_PROVISIONED, f"{what} is not at LiveKit yet. {SILENCE}", trunk)
    if leg.state is LegState.MISSING:
        return Verdict(Rule.NOT_PROVISIONED, f"LiveKit has lost {what.lower()}: it is made again. {SILENCE}", trunk)
    if leg.state is LegState.READY:
        return None
    return Verdict(Rule.NOT_APPLIED, f"{what} is not at LiveKit as it is stored. {AGAIN}", trunk)


def _of_caller(trunk: SipTrunk, call: InboundCall) -> Verdict | None:
    """Source address with IP, digest with AUTH; LiveKit asks no stranger for a password."""
    if trunk.inbound_authorization_type is InboundAuthorizationType.AUTH:
        if call.with_credentials:
            return None
        return Verdict(Rule.CREDENTIALS, NO_CREDENTIALS, trunk)
    allowed = trunk.allowed_inbound_ips or []
    if any(call.source in ip_network(each) for each in allowed):
        return None
    shown = ", ".join(allowed[:SHOWN_MAX]) + (", …" if len(allowed) > SHOWN_MAX else "")
    hint = "" if is_publicly_routable(call.source) else f" {BEHIND_NAT}"
    return Verdict(Rule.SOURCE_ADDRESS, f"Source {call.source} is not in {shown}. {SILENCE}{hint}", trunk)


def _of_assistant(trunk: SipTrunk) -> Verdict:
    assistant = next((each for each in trunk.assistants if each.answers_trunk_id == trunk.id), None)
    if assistant is None:
        why = "No assistant is assigned to the trunk, so LiveKit has no rule for its calls."
        return Verdict(Rule.NO_ASSISTANT, f"{why} {SILENCE}", trunk)
    if unready := _of_leg(trunk, LegKind.DISPATCH, "The assistant's dispatch rule"):
        return unready
    taken = (
        f"The trunk takes the call and LiveKit sends it to the agent “{assistant.agent_name}”. It is answered as soon "
        f"as the agent publishes audio; with no worker of that name it rings {RINGING_TIMEOUT_SECONDS} s, then 486."
    )
    if trunk.media_encryption is MediaEncryption.REQUIRED:
        taken += " A call that does not offer SRTP gets 400 instead."
    return Verdict(Rule.ACCEPTED, taken, trunk, assistant)


async def _meant(workspace_id: str, to: str) -> SipTrunk | None:
    """The trunk whose number is the same in another form: national, without or with a prefix, in other letters."""
    digits = _digits(to)
    alike = Q(phone_number__iexact=to) | Q(phone_number__iexact=digits)
    if len(digits) >= NEAR_DIGITS:
        alike |= Q(phone_number__endswith=digits[-NEAR_DIGITS:])
    found = await visible_trunks(workspace_id).filter(alike).order_by("id").limit(NEAR_MAX)
    return next(_near(to, found), None)


def _near(to: str, trunks: Iterable[SipTrunk]) -> Iterator[SipTrunk]:
    digits = _digits(to)
    for trunk in trunks:
        shorter, longer = sorted((digits.lstrip("0"), _digits(trunk.phone_number).lstrip("0")), key=len)
        ends_alike = len(shorter) >= NEAR_DIGITS and longer.endswith(shorter)
        same_letters = to.casefold() == trunk.phone_number.casefold()
        if ends_alike or same_letters or (digits and digits in {_digits(trunk.phone_number), _national(trunk)}):
            yield trunk


def _digits(text: str) -> str:
    """The digits of a text without letters; of any other none."""
    return "" if re.search("[A-Za-z]", text) else re.sub("[^0-9]", "", text)


def _national(trunk: SipTrunk) -> str:
    """The digits that one dials inside the country; of an extension, and where there are none, the text itself."""
    return caller_id(trunk.sip_trunk_type, trunk.phone_number, SipCallingFormat.NATIONAL)


def _texts(trunk: SipTrunk) -> tuple[str, ...]:
    return called_texts(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format)
