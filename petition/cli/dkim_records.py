"""``petition keys dkim``: a new key for DKIM, and the records that a domain needs for its mail to arrive.

All of it is an environment file: the records stand in comments.
"""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from petition.core import dkim_keys, mail_domains
from petition.core.dkim_settings import read_dkim_selector
from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.incoming_mail_settings import read_bounce_domain
from petition.core.relay_urls import parse_relay
from petition.core.sender import parse_sender
from petition.core.service_urls import is_this_machine
from petition.core.settings import Process, load

EXAMPLE = "letters.example"


def new_lines() -> Iterator[str]:
    """Yield a new pair of keys, and its records. Raises ``SettingsError`` if a setting around it is wrong."""
    reader = EnvironmentReader(os.environ)
    text, selector = dkim_keys.new_pair(), read_dkim_selector(reader)
    yield "# Only the worker's environment needs this one: an RSA and an Ed25519 key, in one line."
    yield f'DKIM_PRIVATE_KEY="{text}"'
    yield f"DKIM_SELECTOR={selector}"
    yield from _records(reader, text, selector)


def current_lines() -> Iterator[str]:
    """Yield the records of the key in use. Raises ``SettingsError`` if there is none."""
    settings = load(role=Process.WORKER)
    if settings.dkim_private_key is None:
        raise SettingsError("DKIM_PRIVATE_KEY is not set; `petition keys dkim` makes one")
    yield from _records(EnvironmentReader(os.environ), settings.dkim_private_key, settings.dkim_selector)


def _records(reader: EnvironmentReader, text: str, selector: str) -> Iterator[str]:
    sender = reader.text("MAIL_FROM")
    domain = parse_sender(sender).domain.lower() if sender else EXAMPLE
    yield "#"
    yield f"# For the name servers of {domain}{'' if sender else ' (set MAIL_FROM to see your own)'}:"
    for name, key in dkim_keys.selectors(dkim_keys.read(text), selector):
        yield f"# {name}._domainkey.{domain}. IN TXT {dkim_keys.txt_strings(key.record)}"
    senders = _spf(reader)
    yield "#"
    yield "# Have these as well, if you have none yet; each relay says how SPF is to name it:"
    yield f'# {domain}. IN TXT "{senders}"'
    yield f'# _dmarc.{domain}. IN TXT "v=DMARC1; p=quarantine"'
    bounces = read_bounce_domain(reader)
    if bounces and bounces != domain:
        yield f'# {bounces}. IN TXT "{senders}"'
    if bounces:
        host = urlsplit(reader.text("BASE_URL") or "").hostname or f"mail.{domain}"
        yield f"# {bounces}. IN MX 10 {host}."


def _spf(reader: EnvironmentReader) -> str:
    """Return a suggestion: relays of vendors are mostly included by their own domain, this machine by its address."""
    urls = [url.strip() for url in (reader.secret("SMTP_URLS") or "smtps://relay.example").split(",") if url.strip()]
    hosts = dict.fromkeys(parse_relay(url).host.lower() for url in urls)
    terms = dict.fromkeys(
        "mx" if is_this_machine(host) else f"include:{mail_domains.registrable(host)}" for host in hosts
    )
    return " ".join(["v=spf1", *terms, "~all"])
