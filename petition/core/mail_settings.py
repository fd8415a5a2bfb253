"""The settings of mail: relays, sender, and the name server that is asked for mail hosts."""

import ipaddress
from dataclasses import dataclass

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.relay_urls import RELAY_FORM, Relay, parse_relay
from petition.core.sender import parse_sender


@dataclass(frozen=True, slots=True)
class MxResolver:
    """Which name server is asked for mail hosts; without an address, those of this machine."""

    address: str | None = None
    port: int = 53


def read_relays(reader: EnvironmentReader) -> tuple[Relay, ...]:
    """Return at least one relay. Raises ``SettingsError``."""
    urls = reader.secret("SMTP_URLS")
    if urls is None:
        raise SettingsError("SMTP_URLS is not set: the worker has no relay to send mail through")
    relays = tuple(parse_relay(url.strip()) for url in urls.split(",") if url.strip())
    if not relays:
        raise SettingsError(f"SMTP_URLS must list {RELAY_FORM}")
    return relays


def read_mail_from(reader: EnvironmentReader, *, is_required: bool) -> str | None:
    """Return the sender, which is checked where it is required. Raises ``SettingsError``."""
    sender = reader.text("MAIL_FROM")
    if is_required:
        if sender is None:
            raise SettingsError("MAIL_FROM is not set: mail needs a sender")
        parse_sender(sender)
    return sender


def read_mx_resolver(reader: EnvironmentReader, *, is_loopback: bool) -> MxResolver | None:
    """Return None if mail hosts are not looked up. Raises ``SettingsError``."""
    text = reader.text("MX_RESOLVER") or ("off" if is_loopback else "system")
    if text in {"off", "system"}:
        return None if text == "off" else MxResolver()
    host, port = (text, "53") if text.count(":") != 1 else text.split(":")
    try:
        number = int(port)
        address = ipaddress.ip_address(host)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise SettingsError(f"MX_RESOLVER must be system, off, or the address of a name server, not {text!r}")
    return MxResolver(str(address), number)
