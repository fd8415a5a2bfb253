"""Which host takes the mail of a domain: MX records, looked up by the worker before it mails a link.

A look-up takes three seconds at most and never fails: what cannot be known is not counted.
"""

import asyncio
import ipaddress
import time
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.ANY.MX import MX

from petition.core import mail_domains
from petition.core.mail_domains import ProviderClass
from petition.core.mail_settings import MxResolver
from petition.core.name_servers import resolver_of

PATIENCE = 3.0  # seconds for one domain
MAX_AGE, MAX_AGE_OF_FAILURE = 3600.0, 60.0  # seconds
CAPACITY = 10_000  # domains
IPV6_PREFIX = 48  # bits: what a customer gets
UNANSWERED = "unanswered"  # in place of a host: the domain's name servers do not answer us, while others do


@dataclass(frozen=True, slots=True)
class MailHost:
    """Where the mail of a domain goes. ``name`` is None if nothing follows from sharing it, or it is not known."""

    name: str | None = None
    provider: ProviderClass | None = None


class MailHosts:
    """Looks hosts up, and remembers them for an hour. Without a resolver none is known."""

    def __init__(self, setting: MxResolver | None) -> None:
        self._known: dict[str, tuple[MailHost, float]] = {}
        self._resolver = resolver_of(setting, PATIENCE / 2)

    def known(self, domain: str) -> MailHost | None:
        """Return the host of a domain (ASCII, lower case) without asking; None: it must be looked up."""
        if self._resolver is None:
            return MailHost()
        host, until = self._known.get(domain, (None, 0.0))
        return host if until > time.monotonic() else None

    async def look_up(self, domain: str) -> MailHost:
        """Return the host of a domain."""
        if (known := self.known(domain)) is not None or self._resolver is None:
            return known or MailHost()
        try:
            async with asyncio.timeout(PATIENCE):
                host, age = await self._host_of(self._resolver, domain), MAX_AGE
        except (dns.exception.DNSException, TimeoutError, OSError, ValueError):
            host, age = await self._without_answer(self._resolver), MAX_AGE_OF_FAILURE
        if len(self._known) >= CAPACITY:
            self._known.clear()
        self._known[domain] = host, time.monotonic() + age
        return host

    async def _host_of(self, resolver: dns.asyncresolver.Resolver, domain: str) -> MailHost:
        try:
            answer = await resolver.resolve(f"{domain}.", "MX")
            records = sorted(
                (record.preference, record.exchange.to_text(omit_final_dot=True).lower())
                for record in answer
                if isinstance(record, MX)
            )
            names = [name for _, name in records] or [domain]
        except dns.resolver.NXDOMAIN:
            return MailHost()
        except dns.resolver.NoAnswer:
            names = [domain]  # RFC 5321, section 5.1: then the domain itself is the host
        if names[0] in {"", "."}:
            return MailHost()  # RFC 7505: no mail at all
        return await self._host_among(resolver, names)

    async def _host_among(self, resolver: dns.asyncresolver.Resolver, names: list[str]) -> MailHost:
        """Return the first host that is not a shared one: those may stand in front of it, and take nothing."""
        for name in names:
            provider = mail_domains.class_of_host(name)
            if provider is None:
                return MailHost(await self._address_of(resolver, name) or mail_domains.registrable(name))
            if provider is not ProviderClass.OWN:
                return MailHost(mail_domains.registrable(name), provider)
        return MailHost(None, ProviderClass.OWN)

    async def _address_of(self, resolver: dns.asyncresolver.Resolver, name: str) -> str | None:
        """Return the lowest address of a host: one machine may have a name for each of its domains.

        Of a host that has IPv6 only, the lowest /48: one machine has very many addresses there.
        """
        try:
            answer = await resolver.resolve(f"{name}.", "A")
            return str(min(ipaddress.IPv4Address(record.to_text()) for record in answer))
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            pass
        except dns.exception.DNSException:
            return None
        try:
            answer = await resolver.resolve(f"{name}.", "AAAA")
        except dns.exception.DNSException:
            return None
        lowest = min(ipaddress.IPv6Address(record.to_text()) for record in answer)
        return str(ipaddress.IPv6Network((lowest, IPV6_PREFIX), strict=False))

    async def _without_answer(self, resolver: dns.asyncresolver.Resolver) -> MailHost:
        """Tell a domain that does not answer us from name servers that are away."""
        try:
            async with asyncio.timeout(PATIENCE / 2):
                await resolver.resolve(".", "NS")
        except (dns.exception.DNSException, TimeoutError, OSError):
            return MailHost()
        return MailHost(UNANSWERED)
