"""Whether an organization's own domain names a letter: by a TXT record, or by a file of its website.

Both can be put there by the domain's owner alone, and looked at by anyone. The domain was typed by a stranger, so the
file is fetched with care: only by HTTPS from public addresses, from the very address that was checked, without
redirects, some kilobytes, for some seconds. Nothing is looked up where ``MX_RESOLVER`` is off.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
import dns.asyncresolver
import dns.exception
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult
from dns.rdtypes.txtbase import TXTBase

from petition.core.mail_settings import MxResolver
from petition.core.name_servers import resolver_of

TXT_NAME = "_petition"  # in front of the domain
PATIENCE = 8.0  # seconds for all of it
MAX_BODY = 8 * 1024  # bytes of the file
HTTPS = 443
USER_AGENT = "petition (checks that an organization names a letter)"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that is given out for the Internet (RFC 4291, 2.4); other prefixes have meanings inside of networks, which the
# standard library does not know all of: translators' own, site-local, IPv4-compatible, segment routing.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
_RELAYS = ipaddress.ip_network("192.88.99.0/24")  # former anycast of 6to4
_WORDS = re.compile(r"[\s=;,\"'<>]+")


class ProofResult(StrEnum):
    """What one look-up said."""

    YES = "yes"
    NO = "no"
    FAILED = "failed"  # no answer: nothing follows from it


@dataclass(frozen=True, slots=True)
class DomainProof:
    """What a domain says of a letter."""

    dns: ProofResult
    well_known: ProofResult


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


def file_name(slug: str) -> str:
    """Return the path of the file below a website that names the letter."""
    return f"/.well-known/petition-{slug}.txt"


def names_letter(text: str, addresses: Iterable[str]) -> bool:
    """Return whether one of the words of ``text`` is one of the letter's addresses."""
    words = {word.rstrip("/.").lower() for word in _WORDS.split(text)}
    return any(address.lower() in words for address in addresses)


@dataclass
class DomainProofs:
    """Looks at domains. ``is_allowed``, ``port`` and ``tls`` are others in tests only."""

    setting: MxResolver | None
    is_allowed: Callable[[str], bool] = is_public
    port: int = HTTPS
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def is_possible(self) -> bool:
        return self.setting is not None

    async def look_up(self, host: str, slug: str, addresses: Sequence[str]) -> DomainProof:
        """Return whether ``host`` (ASCII, without "www.") names the letter that has these ``addresses``."""
        resolver = resolver_of(self.setting, PATIENCE / 2)
        if resolver is None:
            return DomainProof(ProofResult.FAILED, ProofResult.FAILED)
        by_dns, by_file = await asyncio.gather(
            _limited(self._by_dns(resolver, host, addresses)),
            _limited(self._by_file(resolver, host, slug, addresses)),
        )
        return DomainProof(by_dns, by_file)

    async def _by_dns(self, resolver: dns.asyncresolver.Resolver, host: str, addresses: Sequence[str]) -> ProofResult:
        try:
            answer = await resolver.resolve(f"{TXT_NAME}.{host}.", "TXT")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ProofResult.NO
        texts = [b"".join(record.strings).decode(errors="replace") for record in answer if isinstance(record, TXTBase)]
        return ProofResult.YES if any(names_letter(text, addresses) for text in texts) else ProofResult.NO

    async def _by_file(
        self, resolver: dns.asyncresolver.Resolver, host: str, slug: str, addresses: Sequence[str]
    ) -> ProofResult:
        """Look at the website with and without "www.": a redirect from one to the other is not followed."""
        results = []
        connector = aiohttp.TCPConnector(resolver=_CheckedResolver(resolver, self.is_allowed), ssl=self.tls)
        async with aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            headers={"accept-encoding": "identity", "user-agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            for name in (host, f"www.{host}"):
                try:
                    results.append(
                        await self._fetch(session, f"https://{name}:{self.port}{file_name(slug)}", addresses)
                    )
                except (aiohttp.ClientError, OSError, ValueError):
                    results.append(ProofResult.FAILED)
                if results[-1] is ProofResult.YES:
                    break
        return next((one for one in (ProofResult.YES, ProofResult.NO) if one in results), ProofResult.FAILED)

    async def _fetch(self, session: aiohttp.ClientSession, url: str, addresses: Sequence[str]) -> ProofResult:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                return ProofResult.FAILED if response.status >= 500 else ProofResult.NO
            content = bytearray()
            while len(content) <= MAX_BODY and (part := await response.content.read(MAX_BODY)):
                content += part
        text = bytes(content[:MAX_BODY]).decode(errors="replace")
        return ProofResult.YES if names_letter(text, addresses) else ProofResult.NO


class _CheckedResolver(AbstractResolver):
    """Gives the client only addresses that are allowed; what it gives is what is connected to."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, is_allowed: Callable[[str], bool]) -> None:
        self._resolver, self._is_allowed = resolver, is_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            answer = await self._resolver.resolve_name(f"{host}.")
        except dns.exception.DNSException as error:
            raise OSError("no address") from error
        allowed = [address for address in answer.addresses() if self._is_allowed(address)]
        if not allowed:
            raise OSError("no public address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        pass


async def _limited(look_up: Coroutine[object, object, ProofResult]) -> ProofResult:
    try:
        async with asyncio.timeout(PATIENCE):
            return await look_up
    except (dns.exception.DNSException, TimeoutError, OSError, ValueError):
        return ProofResult.FAILED
