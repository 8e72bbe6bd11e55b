"""The rules of sipAddress: its form, and that the voice backend may reach it. Resolves nothing itself."""

from collections.abc import Sequence

from trunkline.addresses import Address, Network, is_allowed, is_publicly_routable
from trunkline.hosts import BadHost, is_localhost, literal
from trunkline.problems import Code, Notice, NoticeCode, Path, Problem

FIELD: Path = ("input", "sipAddress")


def address_is_a_host(host: str | BadHost) -> Problem | None:
    """One problem at most: the first thing wrong with the form."""
    return Problem(host.code, host.message, FIELD) if isinstance(host, BadHost) else None


def address_is_allowed(
    host: str | BadHost, addresses: Sequence[Address] | None, allowed: tuple[Network, ...]
) -> Problem | None:
    """Nobody may make the voice backend send to this machine or into its network, except where the operator said so.

    The message does not tell the address: what a name means inside our network is none of the client's business.
    """
    if isinstance(host, BadHost) or not (is_localhost(host) or _is_forbidden(host, addresses, allowed)):
        return None
    message = (
        "This address is not on the public internet (private, local or reserved), so it may not be used. "
        "For a PBX inside your network the operator sets TRUNKLINE_ALLOWED_NETWORKS."
    )
    return Problem(Code.ADDRESS_NOT_ALLOWED, message, FIELD)


def address_is_resolved(
    host: str | BadHost, addresses: Sequence[Address] | None, allowed: tuple[Network, ...]
) -> Notice | None:
    """A name without an answer passes: the carrier may set it up later, and the reconciler looks again."""
    if isinstance(host, BadHost) or not needs_resolving(host) or _is_forbidden(host, addresses, allowed):
        return None
    if not addresses:
        found = "No IP address was found for this host name yet"
    elif all(address.version != 4 for address in addresses):  # noqa: PLR2004  # IPv4
        found = "Only IPv6 addresses were found for this host name, which LiveKit SIP cannot dial yet"
    else:
        return None
    message = (
        f"{found}. LiveKit needs a name with an A record: a domain with only SRV records does not work with LiveKit."
    )
    return Notice(NoticeCode.ADDRESS_NOT_RESOLVED, message, FIELD)


def needs_resolving(host: str) -> bool:
    """Whether a host is a name that somebody must be asked about."""
    return literal(host) is None and not is_localhost(host)


def _is_forbidden(host: str, addresses: Sequence[Address] | None, allowed: tuple[Network, ...]) -> bool:
    own = literal(host)
    reached = addresses or () if own is None else (own,)
    return any(not is_publicly_routable(address) and not is_allowed(address, allowed) for address in reached)
