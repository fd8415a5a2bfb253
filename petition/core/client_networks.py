"""Where a request comes from, as far as limits need to know: an IPv4 address, an IPv6 /64, or Tor's Onion service."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from petition.core.settings import Network, Settings

ONION = "onion"
UNKNOWN = "unknown"


def of_client(peer: str | None, forwarded_for: Sequence[str], trusted: Iterable[Network]) -> str:
    """Return the network a request counts for.

    ``peer`` is the address that connected; ``forwarded_for`` the values of ``X-Forwarded-For`` in order. They are read
    from the right, and only past addresses of trusted proxies: the first untrusted address may have written everything
    to its left itself.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    nets = tuple(trusted) if hops else ()
    address = _parse(peer)
    while address is not None and hops and any(address in net for net in nets if net.version == address.version):
        before = _parse(hops.pop())
        if before is None:
            break
        address = before
    return UNKNOWN if address is None else _bucket(address)


def is_trusted(peer: str, trusted: Iterable[Network]) -> bool:
    """Return whether an address is a trusted proxy's, or this machine's own (where proxies and Tor's daemon run)."""
    address = _parse(peer)
    if address is None:
        return False
    return address.is_loopback or any(address in net for net in trusted if net.version == address.version)


def of_scope(scope: Mapping[str, Any], settings: Settings) -> str:
    """Return the network that an ASGI request counts for."""
    peer = scope["client"][0] if scope.get("client") else None
    forwarded, host = [], ""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            forwarded.append(value.decode("latin-1"))
        elif name == b"host":
            host = value.decode("latin-1").lower()
    network = of_client(peer, forwarded, settings.trusted_proxies)
    onion = settings.onion_url.split("//")[1] if settings.onion_url else None
    # Tor's daemon runs on this machine. A client from the open net can put the Onion name into ``Host`` itself.
    return ONION if host == onion and not is_public(network) else network


def is_public(network: str) -> bool:
    """Return whether a network from ``of_client`` is reachable on the open net."""
    if network == UNKNOWN:
        return False
    net = ipaddress.ip_network(network)
    return net.is_global and not net.network_address.is_unspecified  # ::/64 has this machine's own ::1


def _bucket(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _parse(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address((text or "").strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
