"""The setup sheet of a trunk: what to enter in the carrier's console, in its own words. Never holds the password."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from models.sip_trunk import InboundAuthorizationType, SipCallingFormat, SipTransport, SipTrunk
from trunkline.hosts import literal
from trunkline.phone import caller_id
from trunkline.provider_rules import STANDARD_PORTS, ranges_to_add
from trunkline.providers import Provider, Step, find, generic_steps

SIP_HOST = "TRUNKLINE_SIP_HOST"
NO_HOST = f"({SIP_HOST} is not set)"
CONSOLES_CHANGE = "Consoles change: where a menu has another name by now, the step still says what is wanted."
OUTER_ADDRESS = "TRUNKLINE_EDGE_OUTER_ADDRESS"
NO_OUTER_ADDRESS = f"({OUTER_ADDRESS} is not set)"
OWN_FIREWALL = "Your own firewall, in front of LiveKit's SIP service"
# What a step's value may name.
WORDS = ("address", "caller", "egress", "host", "parameter", "server", "target", "transport", "uri", "user", "username")
WEB_MEANING = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<#|"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to do: where, what, and the text to paste."""

    where: str
    what: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What to enter at the carrier. `sip_uri`: None while TRUNKLINE_SIP_HOST is not set."""

    title: str
    sip_uri: str | None
    transport: SipTransport
    steps: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def markdown(self) -> str:
        """The same as a page."""
        lines = [f"# {_plain(self.title)}", ""]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{number}. **{_plain(step.where)}**  ")
            lines.append(f"   {_plain(step.what)}" + ("  " if step.value else ""))
            lines += [f"   {_code(step.value)}"] if step.value else []
        if self.notes:
            lines += ["", "Worth knowing:", "", *(f"- {_plain(note)}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def setup_sheet(trunk: SipTrunk, sip_host: str | None, outer_address: str | None = None) -> Sheet:
    """Write the sheet of a trunk.

    Args:
        trunk: the trunk.
        sip_host: host[:port] where carriers reach LiveKit's SIP service over UDP and TCP; None: not set.
        outer_address: where calls come from that leave through the edge; None: not set.
    """
    provider = find(trunk.provider)
    if sip_host and trunk.sip_transport is SipTransport.TLS:
        sip_host = _host(sip_host)  # TLS has another port: a URI without one means 5061 (RFC 3261 section 19.1.2)
    words = _words(trunk, provider, sip_host, outer_address)
    steps = provider.steps if provider else generic_steps()
    return Sheet(
        title=f"{provider.name if provider else 'Your carrier'}: setup for {trunk.phone_number}",
        sip_uri=f"sip:{_target(trunk, provider, sip_host)}{_parameter(trunk, provider)}" if sip_host else None,
        transport=trunk.sip_transport,
        steps=(
            *_missing_settings(trunk, sip_host, outer_address),
            *(_filled(step, words) for step in steps if _fits(step, trunk)),
            *_own_side(trunk, provider),
        ),
        notes=_notes(provider),
    )


def _host(sip_host: str) -> str:
    return sip_host.partition(":")[0]


def _words(
    trunk: SipTrunk, provider: Provider | None, sip_host: str | None, outer_address: str | None
) -> dict[str, str]:
    target, parameter = _target(trunk, provider, sip_host), _parameter(trunk, provider)
    port = "" if trunk.sip_port is None else f":{trunk.sip_port}"
    return {
        "address": f"{trunk.sip_address}{port}",
        "caller": caller_id(trunk.sip_trunk_type, trunk.phone_number, trunk.sip_calling_format),
        "egress": (outer_address or NO_OUTER_ADDRESS) if trunk.outbound_proxy else _egress(sip_host),
        "host": sip_host or NO_HOST,
        "parameter": parameter,
        "server": f"{sip_host}{_field_port(trunk)}" if sip_host else NO_HOST,
        "target": target,
        "transport": trunk.sip_transport.value,
        "uri": f"sip:{target}{parameter}",
        "user": _user(trunk, provider),
        "username": trunk.sip_username,
    }


def _user(trunk: SipTrunk, provider: Provider | None) -> str:
    """What LiveKit has to get as the called number; it takes the digits with and without the plus sign."""
    bare = provider is not None and provider.inbound.user_format is SipCallingFormat.E164
    return trunk.phone_number.removeprefix("+") if bare else trunk.phone_number


def _target(trunk: SipTrunk, provider: Provider | None, sip_host: str | None) -> str:
    return f"{_user(trunk, provider)}@{sip_host or NO_HOST}"


def _parameter(trunk: SipTrunk, provider: Provider | None) -> str:
    transport = trunk.sip_transport
    if transport is SipTransport.UDP and provider:
        transport = provider.inbound.transport or transport
    return "" if transport is SipTransport.UDP else f";transport={transport.lower()}"


def _field_port(trunk: SipTrunk) -> str:
    """A field for a port, unlike a URI, says 5060 by itself also where the transport is TLS."""
    return f":{STANDARD_PORTS[SipTransport.TLS]}" if trunk.sip_transport is SipTransport.TLS else ""


def _egress(sip_host: str | None) -> str:
    """Where LiveKit's calls come from: only a literal address is known to be one."""
    host = _host(sip_host or "")
    if literal(host):
        return host
    return f"the address of {host}" if host else "the public address of LiveKit's SIP service"


def _fits(step: Step, trunk: SipTrunk) -> bool:
    transport = trunk.sip_transport
    told = {trunk.sip_trunk_type.value, trunk.inbound_authorization_type.value, transport.value}
    return set(step.only) <= told | ({"PLAIN"} if transport is not SipTransport.TLS else set())


def _filled(step: Step, words: dict[str, str]) -> Entry:
    value = step.value.format_map(words) if step.value else None
    return Entry(step.where, step.what.replace("{{", "{").replace("}}", "}"), value)


def _missing_settings(trunk: SipTrunk, sip_host: str | None, outer_address: str | None) -> Iterator[Entry]:
    if trunk.outbound_proxy and outer_address is None:
        what = f"{OUTER_ADDRESS} is not set: the operator gives the address that carriers see calls come from."
        yield Entry("trunkline's settings", what, f"{OUTER_ADDRESS}=203.0.113.9")
    if sip_host is None:
        what = f"{SIP_HOST} is not set: the operator gives the host[:port] where carriers reach LiveKit's SIP service."
        yield Entry("trunkline's settings", what, f"{SIP_HOST}=sip.example.com")


def _own_side(trunk: SipTrunk, provider: Provider | None) -> Iterator[Entry]:
    """What has to be open on our side, and what of the carrier's list the trunk does not let in."""
    if trunk.inbound_authorization_type is not InboundAuthorizationType.IP:
        return
    listed = trunk.allowed_inbound_ips or []
    known = provider.inbound.ranges if provider else None
    source = f"compared with the list of {trunk.provider_as_of}" if known else "as you gave them"
    yield Entry(OWN_FIREWALL, f"Let calls of these addresses in ({source}).", ", ".join(listed))
    missing = ranges_to_add(provider, [ip_network(each) for each in listed]) if provider else []
    if provider and missing:
        what = (
            f"In the list of {provider.name} as of {provider.as_of}, but not in this trunk's; updateSipTrunk adds them."
        )
        yield Entry("allowedInboundIps of this trunk", what, ", ".join(map(str, missing)))


def _notes(provider: Provider | None) -> tuple[str, ...]:
    if provider is None:
        return ()
    dated = f"As of {provider.as_of}; confidence: {provider.confidence.lower().replace('_', ' ')}."
    return (*provider.notes, f"{dated} {CONSOLES_CHANGE}")


def _plain(text: str) -> str:
    return text.translate(WEB_MEANING)


def _code(text: str) -> str:
    """A code span whose fence is longer than any run of backticks in it (CommonMark section 6.1)."""
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"
