"""Where a request comes from, as far as limits need to know.

One address is cheap to change, so a request counts in several buckets at once, ``ClientNetwork.prefixes``, from narrow
to wide. A limit of ``n`` allows ``n * factor`` in the bucket of each prefix (``factors``), and the widest prefix that
is over its limit pays: a client whose /48 is over its limit gains nothing by a fresh /64. The factors have their
reasons in docs/decisions/listeners.md.

The Onion service as a whole is one bucket of very many clients (``is_shared``): prices may rise there, but no request
is refused for what others did. A circuit, if Tor says which, is a narrow bucket like any other.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from socket import AF_INET6, inet_ntop
from typing import Any

from petition.core.settings import Network, Settings

ONION = "onion"  # the bucket of all clients of the Onion service together
UNKNOWN = "unknown"
ONION_FACTOR = 10

IPV6_PREFIXES = ((64, 1), (56, 4), (48, 16))  # (length, factor)
IPV4_24_FACTOR = 16

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NetworkKind(StrEnum):
    """What kind of client a bucket has."""

    PUBLIC = "public"  # on the open net
    LOCAL = "local"  # on this machine, or in a private network
    ONION = "onion"
    UNKNOWN = "unknown"  # the address cannot be read


@dataclass(frozen=True, slots=True)
class ClientNetwork:
    """The buckets a client counts in: ``prefixes`` narrow to wide, ``factors`` of a limit there in the same order.

    IPv6: /64, /56, /48. IPv4: the address, its /24. Onion: the circuit, if Tor exports it, then ``ONION``. A local or
    unknown client has one prefix.
    """

    kind: NetworkKind
    prefixes: tuple[str, ...]
    factors: tuple[int, ...]

    @property
    def narrowest(self) -> str:
        """The client's own bucket."""
        return self.prefixes[0]

    @property
    def is_public(self) -> bool:
        """Whether the client is on the open net, with an address of its own."""
        return self.kind is NetworkKind.PUBLIC

    @property
    def is_shared(self) -> bool:
        """Whether the widest bucket is the Onion service's, of clients that have nothing in common."""
        return self.kind is NetworkKind.ONION

    def limits(self, limit: int) -> tuple[tuple[str, int], ...]:
        """Return (prefix, how much ``limit`` allows there), narrow to wide."""
        return tuple((prefix, limit * factor) for prefix, factor in zip(self.prefixes, self.factors, strict=True))


ONION_NETWORK = ClientNetwork(NetworkKind.ONION, (ONION,), (ONION_FACTOR,))
UNKNOWN_NETWORK = ClientNetwork(NetworkKind.UNKNOWN, (UNKNOWN,), (1,))


def of_circuit(circuit: str) -> ClientNetwork:
    """Return the network of a client of the Onion service by its circuit, if Tor exports it."""
    return ClientNetwork(NetworkKind.ONION, (f"{ONION}/{circuit}", ONION), (1, ONION_FACTOR))


def of_client(peer: str | None, forwarded_for: Sequence[str], trusted: Iterable[Network]) -> ClientNetwork:
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
    return UNKNOWN_NETWORK if address is None else of_address(address)


def is_trusted(peer: str, trusted: Iterable[Network]) -> bool:
    """Return whether an address is a trusted proxy's, or this machine's own (where proxies and Tor's daemon run)."""
    address = _parse(peer)
    if address is None:
        return False
    return address.is_loopback or any(address in net for net in trusted if net.version == address.version)


def of_scope(scope: Mapping[str, Any], settings: Settings) -> ClientNetwork:
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
    return ONION_NETWORK if host == onion and not network.is_public else network


def of_address(address: Address) -> ClientNetwork:
    """Return the network of the client at ``address``."""
    if isinstance(address, ipaddress.IPv6Address):
        return _of_ipv6(address)
    text = str(address)
    if not address.is_global:
        return ClientNetwork(NetworkKind.LOCAL, (text,), (1,))
    return ClientNetwork(NetworkKind.PUBLIC, (text, text.rpartition(".")[0] + ".0/24"), (1, IPV4_24_FACTOR))


def _of_ipv6(address: ipaddress.IPv6Address) -> ClientNetwork:
    number = int(address)
    prefixes = tuple(_prefix(number, length) for length, _ in IPV6_PREFIXES)
    if not address.is_global:
        return ClientNetwork(NetworkKind.LOCAL, prefixes[:1], (1,))
    return ClientNetwork(NetworkKind.PUBLIC, prefixes, tuple(factor for _, factor in IPV6_PREFIXES))


def _prefix(number: int, length: int) -> str:
    """Return the network of an IPv6 address as text; the standard library's objects would take ten times as long."""
    rest = 128 - length
    return f"{inet_ntop(AF_INET6, (number >> rest << rest).to_bytes(16))}/{length}"


def _parse(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((text or "").strip("[]"))
    except ValueError:
        return None
    return _embedded_ipv4(address) or address


def _embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in a mapped one (::ffff:0:0/96) or a NAT64's (64:ff9b::/96, RFC 6052)."""
    number = int(address)
    is_embedded = address.version == 6 and number >> 32 in (0xFFFF, 0x64FF9B << 64)
    return ipaddress.IPv4Address(number & 0xFFFFFFFF) if is_embedded else None
