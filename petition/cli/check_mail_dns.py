"""What receivers of mail look up about us: SPF, DKIM, DMARC and MX, and what to mend there.

Nothing is asked where ``MX_RESOLVER`` is off, which it is on a loopback address.
"""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.resolver
import dns.reversename
from dns.rdtypes.txtbase import TXTBase

from petition.core import dkim_keys, mail_domains
from petition.core.errors import PetitionError
from petition.core.name_servers import LOOKUP_SECONDS, resolver_of
from petition.core.sender import parse_sender
from petition.core.service_urls import is_onion, is_this_machine
from petition.core.settings import Process, Settings

MAX_SPF_LOOKUPS = 10  # RFC 7208, 4.6.4: above, the record counts as an error
_SPF_LOOKUPS = ("include", "a", "mx", "ptr", "exists", "redirect")

Finding = tuple[str, str]  # part, text


class NoAnswer(PetitionError):
    """The name servers cannot be asked now."""


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is wrong, each with its cure; nothing where the worker's own settings are wrong."""
    if settings.mail_from is None or settings.role is not Process.WORKER:
        return
    if settings.dkim_private_key is None:
        yield (
            "DKIM",
            "DKIM_PRIVATE_KEY is not set, so mail goes out without our signature, and large providers refuse it;"
            " `petition keys dkim` makes one",
        )
    for finding in _unencrypted(settings):
        yield finding
    resolver = resolver_of(settings.mx_resolver, LOOKUP_SECONDS)
    if resolver is None:
        return
    try:
        async for finding in _Lookups(resolver).findings(settings):
            yield finding
    except NoAnswer as error:
        yield "DNS", str(error)


def _unencrypted(settings: Settings) -> Iterator[Finding]:
    for relay in settings.relays:
        if not (relay.tls or relay.starttls or relay.username or is_this_machine(relay.host)):
            yield (
                f"relay {relay.host}:{relay.port}",
                "mail with its links is sent unencrypted; take smtps:// or ?starttls=1",
            )


class _Lookups:
    """Asks one resolver. Each method raises ``NoAnswer``."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        self._resolver = resolver

    async def findings(self, settings: Settings) -> AsyncIterator[Finding]:
        domain = parse_sender(settings.mail_from or "").domain.lower()
        for name in dict.fromkeys((settings.bounce_domain or domain, domain)):
            if finding := await self._spf(name):
                yield "SPF", finding
        async for finding in self._dkim(settings, domain):
            yield "DKIM", finding
        async for finding in self._dmarc(domain, settings.bounce_domain or domain):
            yield "DMARC", finding
        if not await self._takes_mail(domain):
            yield "MX", f"{domain} (MAIL_FROM) has no MX record and no address, so many receivers refuse it; add one"
        host = urlsplit(settings.base_url).hostname or ""
        if any(is_this_machine(relay.host) for relay in settings.relays) and not is_onion(settings.base_url):
            async for finding in self._reverse(host):
                yield "reverse name", finding
        bounces = settings.bounce_domain
        if bounces and not await self._takes_mail(bounces):
            yield "MX", f"{bounces} (BOUNCE_DOMAIN) has no MX record, so no bounce arrives; lead it to your mail server"

    async def _spf(self, domain: str) -> str | None:
        records = [text for text in await self._texts(domain) if text.lower().split(" ")[0] == "v=spf1"]
        if not records:
            return f'{domain} has no SPF record; publish a TXT record, "v=spf1 include:… ~all", as your relays say'
        if len(records) > 1:
            return f"{domain} has {len(records)} SPF records, which counts as an error; merge them into one"
        terms = records[0].lower().split()
        if {"+all", "all"} & set(terms):
            return f"{domain}: its SPF record lets everyone send; end it with ~all or -all"
        if not {"-all", "~all", "?all"} & set(terms) and not any(term.startswith("redirect=") for term in terms):
            return f"{domain}: its SPF record has no end; end it with ~all or -all"
        if len(terms) == 2 and terms[1] == "-all":
            return f"{domain}: its SPF record lets no one send; name your relays in it"
        if await self._count_lookups(records[0], MAX_SPF_LOOKUPS) > MAX_SPF_LOOKUPS:
            return f"{domain}: its SPF record takes more than 10 look-ups, which counts as an error; take some out"
        return None

    async def _count_lookups(self, record: str, left: int) -> int:
        """Return how many look-ups a record takes with those it includes; no more are made than ``left``."""
        count = 0
        for term in record.lower().split()[1:]:
            name, _, target = term.lstrip("+-~?").replace("=", ":", 1).partition(":")
            if name.partition("/")[0] not in _SPF_LOOKUPS:
                continue
            count += 1
            if count > left:
                return count
            if name in {"include", "redirect"} and target and "%" not in target:
                below = [text for text in await self._texts(target) if text.lower().startswith("v=spf1")]
                count += await self._count_lookups(below[0], left - count) if below else 0
        return count

    async def _dkim(self, settings: Settings, domain: str) -> AsyncIterator[str]:
        keys = dkim_keys.read(settings.dkim_private_key) if settings.dkim_private_key else ()
        for selector, key in dkim_keys.selectors(keys, settings.dkim_selector):
            name = f"{selector}._domainkey.{domain}"
            published = [_tags(text) for text in await self._texts(name)]
            if not published:
                yield f"{name} has no record, so our signature cannot be checked; `petition keys dkim --current` has it"
            elif [tags.get("p", "") for tags in published] != [key.public_text]:
                yield f"{name} publishes another key than ours; `petition keys dkim --current` has the record"

    async def _dmarc(self, domain: str, envelope: str) -> AsyncIterator[str]:
        names = dict.fromkeys((domain, mail_domains.registrable(domain)))
        records = list[str]()
        for name in names:
            records = records or [text for text in await self._texts(f"_dmarc.{name}") if "v=dmarc1" in text.lower()]
        if len(records) != 1:
            count = f"{len(records)} DMARC records, of which none counts" if records else "no DMARC record"
            yield f'{domain} has {count}; publish one at _dmarc.{domain}, "v=DMARC1; p=quarantine"'
            return
        tags = _tags(records[0])
        if tags.get("p", "").lower() not in {"quarantine", "reject"}:
            yield f"{domain}: its DMARC policy lets others send in its name; set p=quarantine, later p=reject"
        strict = tags.get("aspf", "r").lower() == "s"
        is_aligned = (
            envelope == domain if strict else mail_domains.registrable(envelope) == mail_domains.registrable(domain)
        )
        if not is_aligned:
            yield f"SPF of {envelope} (BOUNCE_DOMAIN) is not aligned with {domain}; take a name below that"

    async def _reverse(self, host: str) -> AsyncIterator[str]:
        """Yield what is wrong with the reverse names of a machine that sends mail to the mailboxes itself."""
        addresses = [str(one) for kind in ("A", "AAAA") for one in await self._answers(host, kind)]
        for address in addresses:
            names = await self._answers(dns.reversename.from_address(address).to_text(), "PTR")
            if not names:
                yield (
                    f"{address} ({host}) has no reverse name, and large receivers refuse mail from such an address;"
                    " have the one who rents you the machine set it"
                )

    async def _takes_mail(self, domain: str) -> bool:
        return any([await self._answers(domain, kind) for kind in ("MX", "A", "AAAA")])

    async def _texts(self, name: str) -> list[str]:
        records = [one for one in await self._answers(name, "TXT") if isinstance(one, TXTBase)]
        return [b"".join(record.strings).decode("utf-8", "replace") for record in records]

    async def _answers(self, name: str, kind: str) -> list[object]:
        try:
            return list(await self._resolver.resolve(f"{name.rstrip('.')}.", kind))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, ValueError):
            raise NoAnswer(
                f"the name servers do not answer for {name}, so SPF, DKIM and DMARC cannot be checked; see MX_RESOLVER"
            ) from None


def _tags(text: str) -> dict[str, str]:
    """Return the tags of a DKIM or DMARC record (RFC 6376, 3.2), white space inside values left out."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs if name.strip()}
