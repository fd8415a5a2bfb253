"""Where a request comes from, as far as limits need to know.

One address is cheap to change, so a request counts in several buckets at once, ``ClientNetwork.prefixes``, from narrow
to wide. A limit of ``n`` allows ``n * factor`` in the bucket of each prefix (``factors``), and the widest prefix that
is over its limit pays: a client whose /48 is over its limit gains nothing by a fresh /64. The factors have their
reasons in docs/decisions/listeners.md.

A request is refused only for what its own bucket has used (``has_own_bucket``), and all clients of the Onion service
share one: prices may rise there, but no request is refused for what others did. A circuit, if Tor exports which, is a
narrow bucket like any other.
"""

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from petition.core.settings import Network

ONION_SERVICE = "onion-service"  # all clients of the Onion service together
ONION = "onion"  # those whose circuit is not known
UNKNOWN = "unknown"
ONION_FACTOR = 10

IPV6_PREFIXES = ((64, 1), (56, 4), (48, 16))  # (length, factor)
IPV4_24_FACTOR = 16

# The /16 in which some IPv4 address is not global (IANA's special-purpose registry); for others ``ipaddress``, which is
# slow, need not be asked.
_NOT_GLOBAL = frozenset(
    (
        *(first << 8 | second for first in (0, 10, 127, *range(224, 256)) for second in range(256)),
        *(100 << 8 | second for second in range(64, 128)),
        *(172 << 8 | second for second in range(16, 32)),
        *(192 << 8 | second for second in (0, 31, 52, 88, 168, 175)),
        *(198 << 8 | second for second in (18, 19, 51)),
        *(169 << 8 | 254, 203 << 8),
    )
)
MAX_PEERS = 256  # addresses of proxies that are remembered

MAX_PROXIES = 16  # in a chain; what stands further to the left in one header is not read
# 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443; an IPv6 address may have a zone.
_HOP = re.compile(
    r"""[ \t]*(?:
        ([0-9.]{7,15})(?::[0-9]{1,5})?
        | \[([0-9A-Fa-f:.%\w-]{2,80})\](?::[0-9]{1,5})?
        | ([0-9A-Fa-f:.%\w-]{2,80})
    )[ \t]*""",
    re.ASCII | re.VERBOSE,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NetworkKind(StrEnum):
    """What kind of client a bucket has."""

    PUBLIC = "public"  # on the open net
    LOCAL = "local"  # on this machine, or in a private network
    ONION = "onion"
    CLAIMED = "claimed"  # by a header that a visitor over Tor may have written: it may be another's address
    UNKNOWN = "unknown"  # the address cannot be read


@dataclass(frozen=True, slots=True)
class ClientNetwork:
    """The buckets a client counts in: ``prefixes`` narrow to wide, ``factors`` of a limit there in the same order.

    IPv6: /64, /56, /48. IPv4: the address, its /24. Onion: the circuit, or ``ONION`` where it is not known, then
    ``ONION_SERVICE``. A local or unknown client has one prefix.
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
    def has_own_bucket(self) -> bool:
        """Whether the narrowest bucket is certainly this client's own, so that requests may be refused by it."""
        return self.narrowest != ONION and self.kind is not NetworkKind.CLAIMED

    def as_claimed(self) -> "ClientNetwork":
        """Return the network with the same buckets, in which others may have written."""
        return replace(self, kind=NetworkKind.CLAIMED)

    def limits(self, limit: int) -> tuple[tuple[str, int], ...]:
        """Return (prefix, how much ``limit`` allows there), narrow to wide."""
        return tuple([(prefix, limit * factor) for prefix, factor in zip(self.prefixes, self.factors, strict=True)])


ONION_NETWORK = ClientNetwork(NetworkKind.ONION, (ONION, ONION_SERVICE), (ONION_FACTOR, ONION_FACTOR))
UNKNOWN_NETWORK = ClientNetwork(NetworkKind.UNKNOWN, (UNKNOWN,), (1,))


def of_circuit(circuit: str) -> ClientNetwork:
    """Return the network of a client of the Onion service by its circuit, if Tor exports it."""
    return ClientNetwork(NetworkKind.ONION, (f"{ONION}/{circuit}", ONION_SERVICE), (1, ONION_FACTOR))


def of_client(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> ClientNetwork:
    """Return the network a request counts for.

    ``peer`` is the address that connected; ``forwarded_for`` the values of ``X-Forwarded-For`` in order. They are read
    from the right, and only past addresses of trusted proxies: the first untrusted address may have written everything
    to its left itself. Where a trusted proxy names no address, the request counts for that proxy, not for what a
    visitor may have written before it.
    """
    address = _parse(peer)
    if forwarded_for and trusted:
        hops = _hops_from_right(forwarded_for)
        while address is not None and _is_in(address, trusted) and (before := _parse_hop(next(hops, ""))) is not None:
            address = before
    return UNKNOWN_NETWORK if address is None else of_address(address)


class Proxies:
    """The trusted proxies. The usual request is cheap to them: one IPv4 address in one header, sent by one of them."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted
        self._ipv4 = [(int(net.network_address), int(net.netmask)) for net in trusted if net.version == 4]
        self._peers: dict[str, bool] = {}  # address of a peer → is it trusted?

    def client(self, peer: str | None, forwarded_for: Sequence[str]) -> ClientNetwork:
        """Return what ``of_client`` does."""
        if len(forwarded_for) == 1 and peer is not None and self.has(peer):
            text = forwarded_for[0]
            number = _ipv4_of(text)
            if number is not None and number >> 16 not in _NOT_GLOBAL and not self._has_ipv4(number):
                return _of_public_ipv4(text)
        return of_client(peer, forwarded_for, self._trusted)

    def _has_ipv4(self, number: int) -> bool:
        for net, mask in self._ipv4:  # noqa: SIM110 - a generator would take three times as long
            if number & mask == net:
                return True
        return False

    def has(self, peer: str) -> bool:
        """Return whether a peer is one of them."""
        if peer not in self._peers:
            if len(self._peers) >= MAX_PEERS:
                self._peers.clear()
            address = _parse(peer)
            self._peers[peer] = address is not None and _is_in(address, self._trusted)
        return self._peers[peer]


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Return whether an address is a trusted proxy's, or this machine's own (where proxies and Tor's daemon run)."""
    address = _parse(peer)
    return address is not None and (address.is_loopback or _is_in(address, trusted))


@lru_cache(4096)
def is_in(peer: str, networks: tuple[Network, ...]) -> bool:
    """Return whether an address is in one of these networks."""
    address = _parse(peer)
    return address is not None and _is_in(address, networks)


@lru_cache(4096)
def prefixes_of_peer(peer: str, trusted: tuple[Network, ...]) -> tuple[str, ...]:
    """Return the prefixes of an address from the widest to the narrowest; none for a proxy, or Tor on this machine."""
    return () if is_trusted(peer, trusted) else of_client(peer, (), ()).prefixes[::-1]


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _hops_from_right(values: Sequence[str]) -> Iterator[str]:
    """Yield the last elements of a list-valued header (RFC 9110, 5.6.1) first: a chain of proxies is short."""
    for value in reversed(values):
        yield from reversed(value.rsplit(",", MAX_PROXIES)[-MAX_PROXIES:])


def of_address(address: Address) -> ClientNetwork:
    """Return the network of the client at ``address``."""
    if isinstance(address, ipaddress.IPv6Address):
        return _of_ipv6(address)
    text = str(address)
    if not address.is_global:
        return ClientNetwork(NetworkKind.LOCAL, (text,), (1,))
    return _of_public_ipv4(text)


def _of_public_ipv4(text: str) -> ClientNetwork:
    return ClientNetwork(NetworkKind.PUBLIC, (text, text.rpartition(".")[0] + ".0/24"), (1, IPV4_24_FACTOR))


def _ipv4_of(text: str) -> int | None:
    """Return an address written as ``ipaddress`` would write it, as a number; None for any other text."""
    with contextlib.suppress(OSError, ValueError):
        packed = inet_pton(AF_INET, text)
        return int.from_bytes(packed) if inet_ntop(AF_INET, packed) == text else None
    return None


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


def _parse_hop(text: str) -> Address | None:
    """Read an address as proxies write it in ``X-Forwarded-For``: some add the port."""
    match = _HOP.fullmatch(text)
    return _parse(match[1] or match[2] or match[3]) if match else None


def _parse(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return _embedded_ipv4(address) or address


def _embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in a mapped one (::ffff:0:0/96), a NAT64's (64:ff9b::/96, RFC 6052), or of 6to4.

    Behind an address of 6to4 (2002::/16, RFC 3056) is a whole /48, which its owner would have beside the IPv4 address.
    """
    number = int(address)
    if address.version != 6:
        return None
    if number >> 112 == 0x2002:
        return ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)
    return ipaddress.IPv4Address(number & 0xFFFFFFFF) if number >> 32 in (0xFFFF, 0x64FF9B << 64) else None
