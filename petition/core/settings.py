"""All settings, read once from the environment into one frozen object, wrong ones refused at start-up."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from petition.core import encryption, resources
from petition.core.errors import SettingsError
from petition.core.secret_files import Secrets
from petition.core.sender import parse_sender
from petition.core.service_urls import (
    RELAY_FORM,
    Relay,
    is_loopback,
    is_onion,
    is_this_machine,
    parse_database,
    parse_relay,
)

__all__ = [
    "NAMES",
    "Captcha",
    "HCaptcha",
    "Limits",
    "MxResolver",
    "Network",
    "Process",
    "Relay",
    "Settings",
    "is_loopback",
    "load",
    "parse_relay",
]

# Every setting there is; what looks like one of them is worth a word (``petition check``).
NAMES = frozenset(
    {
        "BASE_URL",
        "CAPTCHA",
        "CONTACT_PRIVATE_KEY",
        "CONTACT_PUBLIC_KEY",
        "CONTROLLER",
        "DATABASE_URL",
        "DATA_DIR",
        "HCAPTCHA_SECRET_KEY",
        "HCAPTCHA_SITE_KEY",
        "HCAPTCHA_VERIFY_URL",
        "LIMIT_API",
        "LIMIT_CODE",
        "LIMIT_CODE_NETWORK",
        "LIMIT_DRAWN",
        "LIMIT_DRAWN_LETTER",
        "LIMIT_DOMAIN",
        "LIMIT_ENTRY",
        "LIMIT_ENTRY_MAILBOX",
        "LIMIT_ENTRY_NETWORK",
        "LIMIT_FORMS",
        "LIMIT_INVITATIONS",
        "LIMIT_LETTER",
        "LIMIT_MAILBOX",
        "LIMIT_MAILING",
        "LIMIT_MAIL_HOST",
        "LIMIT_NETWORK",
        "LIMIT_ONION",
        "LIMIT_PROOF",
        "LIMIT_READING",
        "LIMIT_REPORTS",
        "LOCALES_DIR",
        "MAIL_FROM",
        "METRICS_TOKEN",
        "MX_RESOLVER",
        "OLD_SECRET_KEYS",
        "ONION_PORT",
        "ONION_URL",
        "PORT",
        "SECRET_KEY",
        "SMTP_URLS",
        "TRUSTED_PROXIES",
    }
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Process(StrEnum):
    """Which process reads the settings: only the worker reads the private key and the relays."""

    WEB = "web"
    WORKER = "worker"
    TOOL = "tool"  # a command that touches the database and nothing else


class Captcha(StrEnum):
    """Which challenge a signer meets first."""

    POW = "pow"
    HCAPTCHA = "hcaptcha"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class HCaptcha:
    """The three hCaptcha settings."""

    site_key: str
    secret_key: str = field(repr=False)
    verify_url: str


@dataclass(frozen=True, slots=True)
class MxResolver:
    """Which name server is asked for mail hosts; without an address, those of this machine."""

    address: str | None = None
    port: int = 53


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken from one source. Over ``network`` comes a harder challenge, over ten times that 429."""

    network: int = 30  # sign-ups and look-ups an hour from one IPv4 address or IPv6 /64
    onion: int = 300  # the same for all Onion traffic together
    letter: int = 100_000  # an hour for one letter
    mailbox: int = 5  # mails a day to one mailbox
    mailing: int = 30_000  # mails a minute of one update to its subscribers, all workers together
    drawn: int = 30  # answers to drawn codes an hour and network
    drawn_letter: int = 60  # sign-ups by drawn codes an hour and letter; above, signatures wait for a moderator
    domain: int = 20  # confirmations a day, letter and mail domain of one's own; above, signatures wait
    mail_host: int = 100  # the same for all such domains of one mail host
    code: int = 5  # attempts at the mailed code a day, per letter and address
    code_network: int = 60  # the same an hour from one network
    entry: int = 5  # sign-in links an hour for one mailbox from one network; above, a proof of work
    entry_network: int = 30  # the same for all mailboxes
    entry_mailbox: int = 10  # mails an hour to one mailbox that go out at once; above, one in five minutes
    proof: int = 10  # attempts at a second factor's code an hour, per session or remembered device
    invitations: int = 50  # a day, per organizer
    reports: int = 10  # of entries of the public list, an hour from one network
    reading: int = 300  # pages of the list and searches, a minute from one network, in one process
    forms: int = 600  # forms of any kind, likewise
    api: int = 600  # requests of programs that the page cache does not answer, likewise


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process runs with. Secrets do not show in ``repr``."""

    role: Process
    database_url: str | None = field(repr=False)
    data_dir: Path
    host: str
    port: int
    base_url: str
    onion_url: str | None
    onion_port: int | None  # where Tor's daemon connects, and nothing else
    secret_keys: tuple[str, ...] = field(repr=False)  # newest first
    contact_public_key: str
    contact_private_key: str | None = field(repr=False)  # the worker's only
    relays: tuple[Relay, ...] = field(repr=False)
    mail_from: str | None
    captcha: Captcha
    hcaptcha: HCaptcha | None
    trusted_proxies: tuple[Network, ...]
    controller: str | None  # None: this installation's organizers (loopback only)
    metrics_token: str | None = field(repr=False)
    locales_dir: Path
    mx_resolver: MxResolver | None = None  # None: mail hosts are not looked up
    limits: Limits = field(default_factory=Limits)

    @property
    def loopback(self) -> bool:
        """Return whether the base address can only be reached from this machine."""
        return is_loopback(self.base_url)

    @property
    def secure(self) -> bool:
        """Return whether readers come over TLS."""
        return self.base_url.startswith("https://")

    @property
    def onion_origin(self) -> str | None:
        """Return the origin of the Onion service, if there is one: beside the public address, or as that."""
        return self.onion_url or (self.base_url if is_onion(self.base_url) else None)

    @property
    def origins(self) -> frozenset[str]:
        """Return the origins that are ours: the public address, the Onion address, on loopback each of its names."""
        origins = {self.base_url} | ({self.onion_url} if self.onion_url else set())
        if self.loopback:
            parts = urlsplit(self.base_url)
            port = f":{parts.port}" if parts.port else ""
            origins |= {f"{parts.scheme}://{name}{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        return frozenset(origins)


def load(environ: Mapping[str, str] | None = None, *, role: Process, port: int | None = None) -> Settings:
    """Read the settings of one process.

    ``port`` overrides ``PORT`` (the command line's). Raises ``SettingsError`` naming the setting that is wrong.
    """
    reader = _EnvironmentReader(os.environ if environ is None else environ)
    listen = port if port is not None else reader.number("PORT", 8000)
    if listen > 65535:
        raise SettingsError(f"PORT must be at most 65535, not {listen}")
    base_url = _base_url(reader.text("BASE_URL") or f"http://localhost:{listen}", "BASE_URL")
    loopback = is_loopback(base_url)
    data_dir = Path(reader.text("DATA_DIR") or ".petition").absolute()
    own = Secrets(data_dir) if loopback else None
    public, private = _contact_keys(reader, own, role)
    captcha, hcaptcha = _captcha(reader, loopback)
    controller = reader.text("CONTROLLER")
    if not controller and not loopback and role is not Process.TOOL:
        raise SettingsError("CONTROLLER must say who is responsible for the data: a name and a contact")
    onion_text = reader.text("ONION_URL")
    onion = _base_url(onion_text, "ONION_URL") if onion_text else None
    return Settings(
        role=role,
        database_url=_database_url(reader),
        data_dir=data_dir,
        host="127.0.0.1",
        port=listen,
        base_url=base_url,
        onion_url=onion,
        onion_port=_onion_port(reader, listen, has_onion=onion is not None or is_onion(base_url)),
        secret_keys=_secret_keys(reader, own),
        contact_public_key=public,
        contact_private_key=private,
        relays=_relays(reader) if role is Process.WORKER else (),
        mail_from=_mail_from(reader, role),
        captcha=captcha,
        hcaptcha=hcaptcha,
        trusted_proxies=_networks(reader.text("TRUSTED_PROXIES") or ""),
        controller=controller,
        metrics_token=reader.secret("METRICS_TOKEN"),
        locales_dir=Path(reader.text("LOCALES_DIR") or resources.folder("locales")),
        mx_resolver=_mx_resolver(reader, loopback),
        limits=_limits(reader),
    )


class _EnvironmentReader:
    """The environment; a secret may stand in a file named by ``NAME_FILE`` instead."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def number(self, name: str, default: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise SettingsError(f"{name} must be a whole number, not {text!r}")
        return int(text)

    def secret(self, name: str) -> str | None:
        file = self.text(f"{name}_FILE")
        if file is None:
            return self.text(name)
        if self.text(name) is not None:
            raise SettingsError(f"{name} and {name}_FILE are both set; keep only one")
        try:
            return Path(file).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise SettingsError(f"{name}_FILE cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{name}_FILE is not UTF-8 text") from None


_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def _base_url(url: str, name: str) -> str:
    """Return the address as browsers write it in ``Origin``: ASCII, lower case, no port where it is the usual one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host.encode("idna").decode().lower()
        port = parts.port  # reading it raises where it is no number
    except ValueError:
        parts, host, port = None, "", None
    quoted = "" if "@" in url else f", not {url!r}"  # there may be a password in it
    if parts is None or parts.scheme not in {"http", "https"} or "@" in parts.netloc or not _HOST.fullmatch(host):
        raise SettingsError(f"{name} must look like https://letters.example{quoted}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(f"{name} must be an address without a path or parameters{quoted}")
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")


def _onion_port(reader: _EnvironmentReader, port: int, *, has_onion: bool) -> int | None:
    """Return the port of Tor's listener. Raises ``SettingsError`` if it is the web's, or there is no Onion address."""
    if reader.text("ONION_PORT") is None:
        return None
    onion_port = reader.number("ONION_PORT", 0)
    if not 1 <= onion_port <= 65535:
        raise SettingsError(f"ONION_PORT must be between 1 and 65535, not {onion_port}")
    if onion_port == port:
        raise SettingsError("ONION_PORT must not be PORT: a listener of its own is what it is for")
    if not has_onion:
        raise SettingsError("ONION_PORT needs ONION_URL, the address that is answered there")
    return onion_port


def _database_url(reader: _EnvironmentReader) -> str | None:
    url = reader.secret("DATABASE_URL")
    if url is not None:
        parse_database(url, reader.environ)
    return url


def _secret_keys(reader: _EnvironmentReader, own: Secrets | None) -> tuple[str, ...]:
    newest = reader.secret("SECRET_KEY")
    if newest is None:
        if own is None:
            raise SettingsError("SECRET_KEY is not set; `petition keys` makes one")
        return (own.secret_key(),)
    keys = (newest, *(reader.secret("OLD_SECRET_KEYS") or "").split())
    if any(len(key) < 32 for key in keys):
        raise SettingsError("SECRET_KEY must have at least 32 characters; `petition keys` makes one")
    return keys


def _contact_keys(reader: _EnvironmentReader, own: Secrets | None, role: Process) -> tuple[str, str | None]:
    public = reader.secret("CONTACT_PUBLIC_KEY")
    private = reader.secret("CONTACT_PRIVATE_KEY") if role is Process.WORKER else None
    if public is None:
        if own is None:
            raise SettingsError("CONTACT_PUBLIC_KEY is not set; `petition keys` makes a pair")
        public = own.contact_public_key()
        if role is Process.WORKER and private is None:
            private = own.contact_private_key()
    _check_key("CONTACT_PUBLIC_KEY", public)
    if role is Process.WORKER:
        if private is None:
            raise SettingsError("CONTACT_PRIVATE_KEY is not set: without it the worker cannot open any address")
        _check_key("CONTACT_PRIVATE_KEY", private)
        if encryption.Opener(private).public_key != public.lower():
            raise SettingsError("CONTACT_PRIVATE_KEY and CONTACT_PUBLIC_KEY are not a pair")
    return public.lower(), private


def _check_key(name: str, key: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingsError(f"{name} must be 64 hexadecimal digits; `petition keys` makes a pair")


def _relays(reader: _EnvironmentReader) -> tuple[Relay, ...]:
    urls = reader.secret("SMTP_URLS")
    if urls is None:
        raise SettingsError("SMTP_URLS is not set: the worker has no relay to send mail through")
    relays = tuple(parse_relay(url.strip()) for url in urls.split(",") if url.strip())
    if not relays:
        raise SettingsError(f"SMTP_URLS must list {RELAY_FORM}")
    return relays


def _mail_from(reader: _EnvironmentReader, role: Process) -> str | None:
    sender = reader.text("MAIL_FROM")
    if role is Process.WORKER:
        if sender is None:
            raise SettingsError("MAIL_FROM is not set: mail needs a sender")
        parse_sender(sender)
    return sender


def _captcha(reader: _EnvironmentReader, loopback: bool) -> tuple[Captcha, HCaptcha | None]:
    text = reader.text("CAPTCHA") or "pow"
    try:
        captcha = Captcha(text)
    except ValueError:
        raise SettingsError(f"CAPTCHA must be pow, hcaptcha or off, not {text!r}") from None
    if captcha is Captcha.OFF and not loopback:
        raise SettingsError("CAPTCHA=off is refused unless BASE_URL is a loopback address")
    if captcha is not Captcha.HCAPTCHA:
        return captcha, None
    site_key, secret_key = reader.text("HCAPTCHA_SITE_KEY"), reader.secret("HCAPTCHA_SECRET_KEY")
    if not site_key or not secret_key:
        raise SettingsError("CAPTCHA=hcaptcha needs HCAPTCHA_SITE_KEY and HCAPTCHA_SECRET_KEY")
    url = reader.text("HCAPTCHA_VERIFY_URL") or "https://api.hcaptcha.com/siteverify"
    if not _is_verify_url(url):
        raise SettingsError("HCAPTCHA_VERIFY_URL must look like https://api.hcaptcha.com/siteverify")
    return captcha, HCaptcha(site_key, secret_key, url)


def _is_verify_url(url: str) -> bool:
    """Return whether the secret may be sent there: over TLS or on this machine, and nothing that would be ignored."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(parts.hostname or ""))
    return is_safe and bool(parts.hostname) and not (parts.query or parts.fragment or "@" in parts.netloc)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip())
    except ValueError as error:
        raise SettingsError(f"TRUSTED_PROXIES: {error}") from None


def _mx_resolver(reader: _EnvironmentReader, loopback: bool) -> MxResolver | None:
    text = reader.text("MX_RESOLVER") or ("off" if loopback else "system")
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


def _limits(reader: _EnvironmentReader) -> Limits:
    standard = Limits()
    return Limits(
        network=reader.number("LIMIT_NETWORK", standard.network),
        onion=reader.number("LIMIT_ONION", standard.onion),
        letter=reader.number("LIMIT_LETTER", standard.letter),
        mailbox=reader.number("LIMIT_MAILBOX", standard.mailbox),
        mailing=max(1, reader.number("LIMIT_MAILING", standard.mailing)),
        drawn=reader.number("LIMIT_DRAWN", standard.drawn),
        drawn_letter=reader.number("LIMIT_DRAWN_LETTER", standard.drawn_letter),
        domain=reader.number("LIMIT_DOMAIN", standard.domain),
        mail_host=reader.number("LIMIT_MAIL_HOST", standard.mail_host),
        code=reader.number("LIMIT_CODE", standard.code),
        code_network=reader.number("LIMIT_CODE_NETWORK", standard.code_network),
        entry=reader.number("LIMIT_ENTRY", standard.entry),
        entry_network=reader.number("LIMIT_ENTRY_NETWORK", standard.entry_network),
        entry_mailbox=reader.number("LIMIT_ENTRY_MAILBOX", standard.entry_mailbox),
        proof=reader.number("LIMIT_PROOF", standard.proof),
        invitations=reader.number("LIMIT_INVITATIONS", standard.invitations),
        reports=reader.number("LIMIT_REPORTS", standard.reports),
        reading=reader.number("LIMIT_READING", standard.reading),
        forms=reader.number("LIMIT_FORMS", standard.forms),
        api=reader.number("LIMIT_API", standard.api),
    )
