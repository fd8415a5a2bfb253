"""Whether an organization's own domain names a letter: by a TXT record, or by a file of its website.

Both can be put there by the domain's owner alone, and looked at by anyone. The domain was typed by a stranger, so the
file is fetched with care: only by HTTPS from public addresses, from the very address that was checked, without
redirects, some kilobytes, for some seconds. Nothing is looked up where ``MX_RESOLVER`` is off.
"""

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from petition.core.mail_settings import MxResolver
from petition.moderation.proof_model import NO_ANSWER, DomainProof

HTTPS = 443
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that is assigned for the Internet (RFC 4291, 2.4); other prefixes have meanings inside of networks, which the
# standard library does not know all of: translators' own, site-local, IPv4-compatible, segment routing.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
_RELAYS = ipaddress.ip_network("192.88.99.0/24")  # former anycast of 6to4


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public Internet."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and ip not in _RELAYS
    inner = _inner_address(ip)
    if inner is not None:
        return is_public(str(inner))
    return ip.is_global and ip in _GLOBAL_UNICAST and ip not in _DOCUMENTATION


def _inner_address(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a translator on the way makes of an address."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


@dataclass
class DomainProofs:
    """Looks at domains. ``is_allowed``, ``port`` and ``tls`` are others in tests only."""

    setting: MxResolver | None
    is_allowed: Callable[[str], bool] = is_public
    port: int = HTTPS
    tls: ssl.SSLContext | None = None

    @property
    def is_possible(self) -> bool:
        return self.setting is not None

    async def look_up(self, host: str, slug: str, addresses: Sequence[str]) -> DomainProof:
        """Return whether ``host`` (ASCII, without "www.") names the letter that has these ``addresses``."""
        if self.setting is None:
            return NO_ANSWER
        from petition.moderation.proof_lookups import ProofLookups  # 11 MB that few installations ever need

        tls = self.tls or ssl.create_default_context()
        return await ProofLookups(self.setting, self.is_allowed, self.port, tls).look_up(host, slug, addresses)
