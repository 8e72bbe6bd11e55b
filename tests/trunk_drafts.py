"""A trunk draft that passes every rule, to be changed in one place by each test."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from models.secret import Secret
from models.sip_trunk import InboundAuthorizationType, SipCallingFormat, SipTrunkType
from trunkline.addresses import Address
from trunkline.validation import Examination, Policy, TrunkDraft, examine

NUMBER_DRAFT = TrunkDraft(
    sip_trunk_type=SipTrunkType.NUMBER,
    phone_number="+12025550123",
    sip_username="trunk-user",
    sip_password=Secret("a long enough password"),
    sip_address="sip.example.com",
    sip_calling_format=SipCallingFormat.PLUS_E164,
    inbound_authorization_type=InboundAuthorizationType.AUTH,
)
EXTENSION_DRAFT = replace(NUMBER_DRAFT, sip_trunk_type=SipTrunkType.EXTENSION, phone_number="1000", country_code="US")
PUBLIC: tuple[Address, ...] = (ip_address("8.8.8.8"),)
POLICY = Policy()


def number_draft(**changes: Any) -> TrunkDraft:
    return replace(NUMBER_DRAFT, **changes)


def extension_draft(**changes: Any) -> TrunkDraft:
    return replace(EXTENSION_DRAFT, **changes)


def ip_draft(*entries: str) -> TrunkDraft:
    return replace(
        NUMBER_DRAFT, inbound_authorization_type=InboundAuthorizationType.IP, allowed_inbound_ips=list(entries)
    )


def examined(draft: TrunkDraft, policy: Policy = POLICY, addresses: Sequence[Address] | None = PUBLIC) -> Examination:
    return examine(draft, policy, addresses)


def problems(draft: TrunkDraft, policy: Policy = POLICY, addresses: Sequence[Address] | None = PUBLIC) -> list[str]:
    """`CODE path/below/input`, in the order in which they are told."""
    return [f"{each.code} {'/'.join((each.field or ())[1:])}" for each in examined(draft, policy, addresses).problems]


def notices(draft: TrunkDraft, policy: Policy = POLICY, addresses: Sequence[Address] | None = PUBLIC) -> list[str]:
    """The same of the notices."""
    return [f"{each.code} {'/'.join((each.field or ())[1:])}" for each in examined(draft, policy, addresses).notices]
