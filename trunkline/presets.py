"""What a named provider fills into a new trunk where the client left it out; nothing that was given is replaced."""

from dataclasses import replace

from models.sip_trunk import InboundAuthorizationType, MediaEncryption, SipTransport
from trunkline.hosts import read_host
from trunkline.provider_rules import STANDARD_PORTS, provider_of
from trunkline.providers import Provider, Srtp, find
from trunkline.validation import TrunkDraft


def filled(draft: TrunkDraft) -> TrunkDraft:
    """The draft with what its named provider is known to want, where the client left it out.

    The port only where it is not the transport's own: a trunk that is switched to TLS later then follows by itself.
    """
    provider = find((draft.provider or "").strip())
    if provider is None:
        return draft
    transport = draft.sip_transport or provider.usual_transport() or SipTransport.UDP
    port = provider.port(transport)
    by_address = draft.inbound_authorization_type is InboundAuthorizationType.IP
    known = [str(network) for network in provider.inbound.ranges or ()]
    return replace(
        draft,
        sip_transport=transport,
        sip_port=_unusual(port, transport) if draft.sip_port is None else draft.sip_port,
        media_encryption=draft.media_encryption or _usual_encryption(provider, transport),
        allowed_inbound_ips=(draft.allowed_inbound_ips or known or None) if by_address else draft.allowed_inbound_ips,
    )


def kept(provider: str | None, new_address: str | None) -> str | None:
    """The provider of a trunk that is changed: that of a new host, where recognised, else its old one."""
    moved = provider_of(None, read_host(new_address)) if new_address else None
    found = moved or find(provider)
    return found.key if found else None


def _unusual(port: int | None, transport: SipTransport) -> int | None:
    return None if port == STANDARD_PORTS[transport] else port


def _usual_encryption(provider: Provider, transport: SipTransport) -> MediaEncryption | None:
    together = provider.outbound.srtp is Srtp.WITH_TLS and transport is SipTransport.TLS
    return MediaEncryption.REQUIRED if together else None
