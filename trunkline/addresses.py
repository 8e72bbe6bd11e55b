"""Which IP addresses may be reached: the IANA special-purpose registries, and what hides inside an IPv6 address."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Whether a block is globally reachable; the narrowest block that holds an address decides. Sources: IANA IPv4 and IPv6
# Special-Purpose Address Registries (RFC 6890, RFC 8190) as of 2025; multicast: RFC 5771, RFC 4291.
# What the registries call deprecated or "N/A" is not reachable here. `ipaddress` is not asked: its flags miss several.
REACHABLE_IPV4: Mapping[Network, bool] = {
    IPv4Network(block): reachable
    for block, reachable in (
        ("0.0.0.0/0", True),
        ("0.0.0.0/8", False),  # this network
        ("10.0.0.0/8", False),  # private
        ("100.64.0.0/10", False),  # shared: carrier-grade NAT
        ("127.0.0.0/8", False),  # loopback
        ("169.254.0.0/16", False),  # link-local, cloud metadata
        ("172.16.0.0/12", False),  # private
        ("192.0.0.0/24", False),  # IETF protocol assignments
        ("192.0.0.9/32", True),  # Port Control Protocol anycast
        ("192.0.0.10/32", True),  # TURN anycast
        ("192.0.2.0/24", False),  # documentation
        ("192.88.99.0/24", False),  # 6to4 relay anycast, deprecated
        ("192.168.0.0/16", False),  # private
        ("198.18.0.0/15", False),  # benchmarking
        ("198.51.100.0/24", False),  # documentation
        ("203.0.113.0/24", False),  # documentation
        ("224.0.0.0/4", False),  # multicast
        ("240.0.0.0/4", False),  # reserved, broadcast
    )
}
REACHABLE_IPV6: Mapping[Network, bool] = {
    IPv6Network(block): reachable
    for block, reachable in (
        (
            "::/0",
            False,
        ),  # everything outside global unicast: loopback, fc00::/7, fe80::/10, fec0::/10, ff00::/8, 5f00::/16 ...
        ("2000::/3", True),  # global unicast
        ("2001::/23", False),  # IETF protocol assignments, Teredo among them
        ("2001:1::1/128", True),  # Port Control Protocol anycast
        ("2001:1::2/128", True),  # TURN anycast
        ("2001:1::3/128", True),  # DNS-SD service registration anycast
        ("2001:3::/32", True),  # AMT
        ("2001:4:112::/48", True),  # AS112
        ("2001:20::/28", True),  # ORCHIDv2
        ("2001:30::/28", True),  # drone remote ID
        ("2001:db8::/32", False),  # documentation
        ("2002::/16", False),  # 6to4: judged by the IPv4 address inside
        ("3fff::/20", False),  # documentation
    )
}

MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291
# A packet to one of these goes to the IPv4 address inside, so that address is judged.
CARRIERS_OF_IPV4 = (MAPPED, IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16"))  # NAT64: RFC 6052; 6to4: RFC 3056
# These hold an IPv4 address too but are not reachable themselves, whatever is inside: IPv4-compatible, local-use NAT64.
LOCAL_CARRIERS_OF_IPV4 = (IPv6Network("::/96"), IPv6Network("64:ff9b:1::/96"))  # RFC 4291, RFC 8215


def network_of(address: Address) -> Network:
    """The network of this one address; a zone (`%eth0`) is left out."""
    if isinstance(address, IPv4Address):
        return IPv4Network(address)
    return IPv6Network((int(address), 128))


def is_publicly_routable(address: Address) -> bool:
    """Whether an address can be reached over the internet; denied unless the registries say so."""
    return is_publicly_routable_network(network_of(address))


def is_publicly_routable_network(network: Network) -> bool:
    """Whether the narrowest registered block that holds the whole network is globally reachable."""
    judged = _inside(network, CARRIERS_OF_IPV4) or network
    if isinstance(judged, IPv4Network):
        return _reachable(judged, REACHABLE_IPV4)
    return _reachable(judged, REACHABLE_IPV6)


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether an address, or the IPv4 address inside it, lies in one of the networks."""
    network = network_of(address)
    inner = _inside(network, (*CARRIERS_OF_IPV4, *LOCAL_CARRIERS_OF_IPV4))
    return any(_within(network, each) or (inner is not None and _within(inner, each)) for each in allowed)


def without_mapping(network: Network) -> Network:
    """An IPv4 network that was written as IPv6 (`::ffff:203.0.113.10`) as what it is; any other unchanged."""
    return _inside(network, (MAPPED,)) or network


def _reachable(network: Network, registry: Mapping[Network, bool]) -> bool:
    return registry[max((block for block in registry if _within(network, block)), key=lambda block: block.prefixlen)]


def _inside(network: Network, carriers: Iterable[IPv6Network]) -> IPv4Network | None:
    for carrier in carriers:
        if _within(network, carrier):
            bits = int(network.network_address) >> (128 - carrier.prefixlen - 32) & 0xFFFF_FFFF
            return IPv4Network((bits, min(network.prefixlen - carrier.prefixlen, 32)))
    return None


def _within(network: Network, block: Network) -> bool:
    return (
        network.version == block.version and network.prefixlen >= block.prefixlen and network.network_address in block
    )
