"""``petition check``: reports what is wrong with the settings, the database and the relays, before readers notice.

Every finding is one line that ends in its cure.
"""

import asyncio
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from urllib.parse import urlsplit

from petition.cli import (
    check_caches,
    check_database,
    check_machine,
    check_mail_dns,
    check_mail_in,
    check_mirrors,
    check_replicas,
)
from petition.core import i18n, service_urls
from petition.core.errors import PetitionError
from petition.core.relay_report import CERTIFICATE_DAYS
from petition.core.relay_urls import Relay
from petition.core.settings import NAMES, Process, Settings, load
from petition.keeper.adoption import OFF
from petition.mail import trial_mail
from petition.mail.smtp_connection import SmtpConnection


def main(mail_to: str | None = None) -> int:
    """Print one line for each finding; send a test mail to ``mail_to``. Return 1 if something is wrong."""
    wrong = asyncio.run(_all(mail_to))
    if not wrong:
        print("all is well")
    return 1 if wrong else 0


async def _all(mail_to: str | None) -> int:
    wrong = 0
    settings: Settings | None = None
    for role in (Process.WEB, Process.WORKER):
        try:
            settings = load(role=role)
        except PetitionError as error:
            wrong += _report(role.value, str(error))
    for finding in misspelt(os.environ):
        wrong += _report("settings", finding)
    if settings is None:
        return wrong
    if settings.keeper is None:
        print(f"keeper: {OFF}")  # a choice, and no fault
    async for part, finding in _findings(settings):
        wrong += _report(part, finding)
    if mail_to is not None:
        wrong += await _send_mail(settings, mail_to)
    return wrong


def _report(part: str, finding: str) -> int:
    print(f"{part}: {finding}")
    return 1


async def _findings(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    try:
        i18n.load(settings.locales_dir)
    except (PetitionError, OSError) as error:
        yield "locales", str(error)
    for finding in unsafe(settings):
        yield "settings", finding
    for finding in check_machine.findings(settings):
        yield "machine", finding
    async for part, finding in _elsewhere(settings):
        yield part, finding
    for relay in settings.relays:
        if trouble := await _probe(relay, settings):
            yield _name(relay), trouble
        if relay.username and not (relay.tls or relay.starttls or service_urls.is_this_machine(relay.host)):
            yield _name(relay), "user name and password are sent unencrypted; take smtps:// or ?starttls=1"


async def _elsewhere(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """Yield what is wrong with the database, incoming mail, the DNS of mail, mirrors, and caches."""
    async for finding in check_database.findings(settings, lambda layout: print(f"database: {layout}")):
        yield "database", finding
    async for finding in check_replicas.findings(settings):
        yield "replica", finding
    async for finding in check_mail_in.findings(settings):
        yield "mail in", finding
    async for part, finding in check_mail_dns.findings(settings):
        yield part, finding
    async for finding in check_mirrors.findings(settings):
        yield "mirror", finding
    async for finding in check_caches.findings(settings):
        yield "cache", finding


def misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that look like settings of ours and are none: they would be ignored in silence."""
    known = NAMES | {f"{name}_FILE" for name in NAMES}
    for name in sorted(environ.keys() - known):
        close = get_close_matches(name, known, 1, 0.85)
        if close or name.startswith("LIMIT_"):
            meant = f"is {close[0]} meant?" if close else "see the handbook for the limits there are"
            yield f"{name} is no setting and is ignored; {meant}"


def unsafe(settings: Settings) -> Iterator[str]:
    """Yield what is allowed and yet endangers those who sign."""
    yield from _unverified(settings)
    if settings.loopback:
        return
    host = urlsplit(settings.base_url).hostname or ""
    if not settings.secure and not host.endswith(".onion"):
        yield (
            "BASE_URL is plain http://, so names, links and the desk's cookies could be read on their way; put a proxy"
            " with TLS in front and write https://"
        )
    if settings.secure and not settings.trusted_proxies:  # the web itself speaks no TLS, so there is a proxy
        yield (
            "TRUSTED_PROXIES is empty, so all visitors seem to come from your proxy's network and share its limits;"
            " list the proxy's address (127.0.0.1 if it runs on this machine)"
        )
    if settings.onion_origin and settings.onion_port is None:
        yield (
            "ONION_PORT is not set, so Tor shares a port with your proxy: a visitor over Tor who asks for BASE_URL can"
            " invent an address, and no address is refused by a limit an hour; set it, point HiddenServicePort there"
        )
    for network in settings.trusted_proxies:
        if network.prefixlen == 0:
            yield f"TRUSTED_PROXIES has {network}: every visitor could invent an address; list your proxy's only"
        elif network.is_global and network.prefixlen < (16 if isinstance(network, ipaddress.IPv4Network) else 32):
            yield f"TRUSTED_PROXIES has {network}, which is far more than a proxy; list your proxy's address only"


def _unverified(settings: Settings) -> Iterator[str]:
    for name, url in (("DATABASE_URL", settings.database_url), ("DATABASE_READ_URL", settings.database_read_url)):
        if url and (finding := unverified(url, name)):
            yield finding


def unverified(database_url: str, setting: str = "DATABASE_URL") -> str | None:
    """Return what is wrong with a connection to a database on another machine: one in between could read it."""
    mode = service_urls.parse_database(database_url, setting=setting).sslmode
    if mode in {None, "verify-full"}:
        return None
    if mode in {"require", "verify-ca"}:
        return (
            f"{setting}: TLS without a look at the server's name or certificate, so a machine in between could pose"
            " as the database; add sslmode=verify-full and sslrootcert=FILE"
        )
    return f"{setting}: names and passwords reach another machine unencrypted; take plain=1 out"


async def _probe(relay: Relay, settings: Settings) -> str | None:
    connection = SmtpConnection(relay, trial_mail.local_hostname(settings))
    try:
        await connection.probe()
    except PetitionError as error:
        return str(error)
    return None if connection.tls is None else ending_certificate(connection.tls.until, datetime.now(UTC))


def ending_certificate(until: datetime | None, now: datetime) -> str | None:
    """Return what is wrong with a certificate that ends soon, or has ended where none is asked for."""
    if until is None or until - now > timedelta(days=CERTIFICATE_DAYS):
        return None
    if until < now:
        return f"its certificate ended on {until:%Y-%m-%d}; have it renewed"
    return f"its certificate ends on {until:%Y-%m-%d}; have it renewed before, or no mail goes out by it"


async def _send_mail(settings: Settings, mail_to: str) -> int:
    """Send a test mail through each relay; return how many did not take it."""
    if settings.mail_from is None or not settings.relays:
        return _report("mail", "no test mail was sent: the worker's settings are needed for it")
    wrong = 0
    for relay in settings.relays:
        try:
            await trial_mail.send(settings, relay, mail_to)
        except PetitionError as error:
            wrong += _report(_name(relay), f"the test mail was not accepted: {error}")
        else:
            print(f"{_name(relay)}: accepted the test mail; see that it arrives, and not as spam")
    return wrong


def _name(relay: Relay) -> str:
    return f"relay {relay.host}:{relay.port}"
