"""The form of sipAddress: a host name or an IPv4 address, nothing around it. Asks no network."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import idna

from models.sip_trunk import ADDRESS_MAX
from trunkline.problems import Code

READ_MAX = 4 * ADDRESS_MAX  # a name shrinks when it is normalised, but not beyond this
URI_SCHEMES = ("sip:", "sips:", "tel:")
URI_CHARACTERS = re.compile("[@;?/]")  # "/" finds every scheme://
HOST_AND_PORT = re.compile(r"[^:\[\]]+:[0-9]+")
BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]+)?")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 section 2.1
IPV6_MAX = 64  # longest text of an IPv6 address with a zone
LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class BadHost:
    """Why a text is no host."""

    code: Code
    message: str


def read_host(text: str) -> str | BadHost:
    """Give the host as it is stored (A-labels, lower case, no trailing dot; or a dotted quad), or what is wrong."""
    trimmed = text.strip()
    return (
        address_is_given(trimmed)
        or address_is_no_uri(trimmed)
        or address_has_no_port(trimmed)
        or address_is_not_ipv6(trimmed)
        or _read_name(trimmed)
    )


def address_is_given(text: str) -> BadHost | None:
    """There must be a host."""
    return None if text else BadHost(Code.REQUIRED, "SIP server address is required.")


def address_is_no_uri(text: str) -> BadHost | None:
    """No scheme, user, parameter or path around the host."""
    if text.lower().startswith(URI_SCHEMES) or URI_CHARACTERS.search(text):
        return BadHost(
            Code.ADDRESS_IS_URI,
            "Give only the host, such as sip.example.com: no sip:, no user, no parameters, no path.",
        )
    return None


def address_has_no_port(text: str) -> BadHost | None:
    """The port has a field of its own; brackets are only there to set a port apart."""
    bracketed = BRACKETS.fullmatch(text)
    if HOST_AND_PORT.fullmatch(text) or (bracketed and _is_ipv6(bracketed[1])):
        return BadHost(Code.ADDRESS_HAS_PORT, "The port goes in sipPort.")
    return None


def address_is_not_ipv6(text: str) -> BadHost | None:
    """LiveKit SIP stores IPv6 addresses but fails to dial them; a mapped IPv4 address is one, too."""
    return BadHost(Code.INVALID_ADDRESS, "LiveKit SIP cannot dial IPv6 addresses yet.") if _is_ipv6(text) else None


def literal(host: str) -> IPv4Address | None:
    """The address that a host from `read_host` is, when it is no name."""
    try:
        return IPv4Address(host)
    except ValueError:
        return None


def is_localhost(host: str) -> bool:
    """Names that mean this machine (RFC 6761 section 6.3)."""
    return host == LOCALHOST or host.endswith("." + LOCALHOST)


def _read_name(text: str) -> str | BadHost:
    host = _in_a_labels(text)
    if host is None or len(host) > ADDRESS_MAX:
        return BadHost(
            Code.INVALID_ADDRESS,
            "The address must be a host name of letters, digits, hyphens and dots, or an IPv4 address.",
        )
    last = host.rpartition(".")[2]
    if (last.isdigit() or last.startswith("0x")) and literal(host) is None:
        return BadHost(
            Code.INVALID_ADDRESS,
            "An IPv4 address has four numbers from 0 to 255 without leading zeros, such as 192.0.2.10.",
        )
    return host


def _in_a_labels(text: str) -> str | None:
    """IDNA 2008 with UTS 46. Plain labels are only lower-cased: IDNA would refuse `ab--cd`, which DNS has."""
    if len(text) > READ_MAX:
        return None
    try:
        mapped = idna.uts46_remap(text, std3_rules=False).removesuffix(".")
        labels = [_in_a_label(label) for label in mapped.split(".")]
    except idna.IDNAError:
        return None
    return ".".join(labels) if all(map(LABEL.fullmatch, labels)) else None


def _in_a_label(label: str) -> str:
    is_plain = label.isascii() and not label.startswith("xn--")
    return label if is_plain else idna.alabel(label).decode()


def _is_ipv6(text: str) -> bool:
    try:
        return len(text) <= IPV6_MAX and bool(IPv6Address(text))
    except ValueError:
        return False
