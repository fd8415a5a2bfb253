"""Asking a domain's name server and website whether they name a letter. Apart: the libraries for it take 11 MB.

``petition.moderation.domain_proofs`` says with what care.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import aiohttp
import dns.asyncresolver
import dns.exception
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult
from dns.rdtypes.txtbase import TXTBase

from petition.core.mail_settings import MxResolver
from petition.core.name_servers import resolver_of
from petition.moderation.proof_model import NO_ANSWER, TXT_NAME, DomainProof, ProofResult, file_name, names_letter

PATIENCE = 8.0  # seconds for all of it
MAX_BODY = 8 * 1024  # bytes of the file
USER_AGENT = "petition (checks that an organization names a letter)"


@dataclass(frozen=True, slots=True)
class ProofLookups:
    """Asks the name server of ``setting``, and websites at addresses that ``is_allowed``."""

    setting: MxResolver
    is_allowed: Callable[[str], bool]
    port: int
    tls: ssl.SSLContext

    async def look_up(self, host: str, slug: str, addresses: Sequence[str]) -> DomainProof:
        """Return whether ``host`` (ASCII, without "www.") names the letter that has these ``addresses``."""
        resolver = resolver_of(self.setting, PATIENCE / 2)
        if resolver is None:
            return NO_ANSWER
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
