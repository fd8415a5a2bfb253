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
from petition.core.cache_settings import CacheSettings, read_caches
from petition.core.captcha_settings import Captcha, HCaptcha, read_captcha
from petition.core.dkim_settings import DEFAULT_SELECTOR, read_dkim_private_key, read_dkim_selector
from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.incoming_mail_settings import (
    MailListener,
    read_bounce_domain,
    read_mail_in,
    read_mail_in_dir,
    read_mail_listen,
)
from petition.core.keeper_settings import KeeperAddress, read_keeper
from petition.core.limits import LIMITS, Limits, read_limits
from petition.core.mail_settings import MxResolver, read_mail_from, read_mx_resolver, read_relays
from petition.core.mirror_settings import MirrorSettings, read_mirrors
from petition.core.relay_urls import Relay
from petition.core.secret_files import Secrets
from petition.core.service_urls import is_loopback, is_onion, parse_database

# Every setting there is; what looks like one of them is worth a word (``petition check``).
NAMES = frozenset(
    {
        "BASE_URL",
        "BOUNCE_DOMAIN",
        "CACHE_PURGE_TOKEN",
        "CACHE_PURGE_URLS",
        "CAPTCHA",
        "CLOSE_AFTER_PAGE",
        "CONTACT_PRIVATE_KEY",
        "CONTACT_PUBLIC_KEY",
        "CONTROLLER",
        "DATABASE_PATIENCE",
        "DATABASE_READ_URL",
        "DATABASE_URL",
        "DATA_DIR",
        "DKIM_PRIVATE_KEY",
        "DKIM_SELECTOR",
        "HCAPTCHA_SECRET_KEY",
        "HCAPTCHA_SITE_KEY",
        "HCAPTCHA_VERIFY_URL",
        "KEEPER_CERTIFICATE",
        "KEEPER_CERTIFICATE_KEY",
        "KEEPER_KEY",
        "KEEPER_LIMIT",
        "KEEPER_LISTEN",
        "KEEPER_TOKEN",
        "KEEPER_URL",
        "LOCALES_DIR",
        "MAIL_FROM",
        "MAIL_IN",
        "MAIL_IN_DIR",
        "MAIL_LISTEN",
        "METRICS_TOKEN",
        "MIRROR_DIR",
        "MIRROR_MAX_AGE",
        "MIRROR_URLS",
        "MX_RESOLVER",
        "OLD_SECRET_KEYS",
        "ONION_PORT",
        "ONION_URL",
        "PORT",
        "READ_MAX_AGE",
        "SECRET_KEY",
        "SMTP_URLS",
        "TIMESTAMP_URLS",
        "TRUSTED_PROXIES",
        "WORKER_METRICS_PORT",
        *LIMITS,
    }
)

DEFAULT_MAX_AGE, MAX_MAX_AGE = 5, 60  # seconds; older ages than a minute are not measured
PATIENCE = 1.5  # seconds in which the web answers a form that the database does not let through
MIN_PATIENCE, MAX_PATIENCE = 0.5, 60.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Process(StrEnum):
    """Which process reads the settings: only the worker reads the private key and the relays."""

    WEB = "web"
    WORKER = "worker"
    TOOL = "tool"  # a command that touches the database and nothing else


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
    close_after_page: bool  # each page in a connection of its own
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
    database_patience: float = PATIENCE  # seconds
    mx_resolver: MxResolver | None = None  # None: mail hosts are not looked up
    dkim_private_key: str | None = field(default=None, repr=False)  # one or two, as PEM; the worker's only
    dkim_selector: str = DEFAULT_SELECTOR
    bounce_domain: str | None = None  # None: bounces go to ``mail_from``
    mail_in: str | None = None  # the domain at which letters are read and signed by mail
    mail_in_dir: Path | None = None  # a Maildir with its mail, emptied by the worker
    mail_listen: MailListener | None = None
    keeper: KeeperAddress | None = None  # None: digests have one key, wrapped under SECRET_KEY
    mirrors: MirrorSettings = field(default_factory=MirrorSettings)
    worker_metrics_port: int | None = None  # on loopback
    shared_caches: CacheSettings = field(default_factory=CacheSettings)
    timestamp_urls: tuple[str, ...] = ()  # of RFC 3161 authorities
    database_read_url: str | None = field(default=None, repr=False)  # one replica or several; None: the primary alone
    read_max_age: int = DEFAULT_MAX_AGE  # seconds that what a replica has may be old
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
    def contact(self) -> str | None:
        """Return the e-mail address in ``controller``, if there is one."""
        return next((word.strip("<>(),;") for word in (self.controller or "").split() if "@" in word), None)

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
    reader = EnvironmentReader(os.environ if environ is None else environ)
    listen = port if port is not None else reader.number("PORT", 8000)
    if listen > 65535:
        raise SettingsError(f"PORT must be at most 65535, not {listen}")
    base_url = _base_url(reader.text("BASE_URL") or f"http://localhost:{listen}", "BASE_URL")
    loopback = is_loopback(base_url)
    data_dir = Path(reader.text("DATA_DIR") or ".petition").absolute()
    own = Secrets(data_dir) if loopback else None
    public, private = _contact_keys(reader, own, role)
    captcha, hcaptcha = read_captcha(reader, is_loopback=loopback)
    controller = reader.text("CONTROLLER")
    if not controller and not loopback and role is not Process.TOOL:
        raise SettingsError("CONTROLLER must say who is responsible for the data: a name and a contact")
    onion_text = reader.text("ONION_URL")
    onion = _base_url(onion_text, "ONION_URL") if onion_text else None
    return Settings(
        role=role,
        database_url=_database_url(reader),
        database_read_url=_database_read_url(reader),
        read_max_age=_read_max_age(reader),
        data_dir=data_dir,
        host="127.0.0.1",
        port=listen,
        base_url=base_url,
        onion_url=onion,
        onion_port=_onion_port(reader, listen, has_onion=onion is not None or is_onion(base_url)),
        close_after_page=reader.switch("CLOSE_AFTER_PAGE"),
        secret_keys=_secret_keys(reader, own),
        contact_public_key=public,
        contact_private_key=private,
        relays=read_relays(reader) if role is Process.WORKER else (),
        mail_from=read_mail_from(reader, is_required=role is Process.WORKER),
        captcha=captcha,
        hcaptcha=hcaptcha,
        trusted_proxies=_networks(reader.text("TRUSTED_PROXIES") or ""),
        controller=controller,
        metrics_token=reader.secret("METRICS_TOKEN"),
        locales_dir=Path(reader.text("LOCALES_DIR") or resources.folder("locales")),
        database_patience=_database_patience(reader),
        mx_resolver=read_mx_resolver(reader, is_loopback=loopback),
        dkim_private_key=read_dkim_private_key(reader, own) if role is Process.WORKER else None,
        dkim_selector=read_dkim_selector(reader),
        bounce_domain=read_bounce_domain(reader),
        mail_in=read_mail_in(reader),
        mail_in_dir=read_mail_in_dir(reader),
        mail_listen=read_mail_listen(reader),
        keeper=read_keeper(reader),
        mirrors=read_mirrors(reader),
        worker_metrics_port=_worker_metrics_port(reader, listen),
        shared_caches=read_caches(reader),
        timestamp_urls=_timestamp_urls(reader),
        limits=read_limits(reader),
    )


def _timestamp_urls(reader: EnvironmentReader) -> tuple[str, ...]:
    urls = tuple((reader.text("TIMESTAMP_URLS") or "").replace(",", " ").split())
    for url in urls:
        if not _is_web_address(url):
            raise SettingsError("TIMESTAMP_URLS must look like https://tsa.example/tsr, with spaces between several")
    return urls


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain


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


def _worker_metrics_port(reader: EnvironmentReader, port: int) -> int | None:
    """Return the port of the worker's metrics. Raises ``SettingsError`` if it is the web's, or there is no token."""
    if reader.text("WORKER_METRICS_PORT") is None:
        return None
    metrics_port = reader.number("WORKER_METRICS_PORT", 0)
    if not 1 <= metrics_port <= 65535:
        raise SettingsError(f"WORKER_METRICS_PORT must be between 1 and 65535, not {metrics_port}")
    if metrics_port == port:
        raise SettingsError("WORKER_METRICS_PORT must not be PORT: there the web listens")
    if reader.secret("METRICS_TOKEN") is None:
        raise SettingsError("WORKER_METRICS_PORT needs METRICS_TOKEN, the token that the page asks for")
    return metrics_port


def _onion_port(reader: EnvironmentReader, port: int, *, has_onion: bool) -> int | None:
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


def _database_url(reader: EnvironmentReader) -> str | None:
    url = reader.secret("DATABASE_URL")
    if url is not None:
        parse_database(url, reader.environ)
    return url


def _database_read_url(reader: EnvironmentReader) -> str | None:
    url = reader.secret("DATABASE_READ_URL")
    if url is None:
        return None
    if reader.secret("DATABASE_URL") is None:
        raise SettingsError("DATABASE_READ_URL needs DATABASE_URL: the embedded database has no replica")
    parse_database(url, reader.environ, "DATABASE_READ_URL")
    return url


def _read_max_age(reader: EnvironmentReader) -> int:
    seconds = reader.number("READ_MAX_AGE", DEFAULT_MAX_AGE)
    if not 1 <= seconds <= MAX_MAX_AGE:
        raise SettingsError(f"READ_MAX_AGE must be between 1 and {MAX_MAX_AGE} seconds, not {seconds}")
    return seconds


def _database_patience(reader: EnvironmentReader) -> float:
    text = reader.text("DATABASE_PATIENCE")
    if text is None:
        return PATIENCE
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9])?", text) or not MIN_PATIENCE <= float(text) <= MAX_PATIENCE:
        raise SettingsError(f"DATABASE_PATIENCE must be seconds between 0.5 and 60, like 1.5, not {text!r}")
    return float(text)


def _secret_keys(reader: EnvironmentReader, own: Secrets | None) -> tuple[str, ...]:
    newest = reader.secret("SECRET_KEY")
    if newest is None:
        if own is None:
            raise SettingsError("SECRET_KEY is not set; `petition keys` makes one")
        return own.secret_keys()
    keys = (newest, *(reader.secret("OLD_SECRET_KEYS") or "").split())
    if any(len(key) < 32 for key in keys):
        raise SettingsError("SECRET_KEY must have at least 32 characters; `petition keys` makes one")
    return keys


def _contact_keys(reader: EnvironmentReader, own: Secrets | None, role: Process) -> tuple[str, str | None]:
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
        if encryption.public_half(private) != public.lower():
            raise SettingsError("CONTACT_PRIVATE_KEY and CONTACT_PUBLIC_KEY are not a pair")
    return public.lower(), private


def _check_key(name: str, key: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingsError(f"{name} must be 64 hexadecimal digits; `petition keys` makes a pair")


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(network.strip()) for network in text.split(",") if network.strip())
    except ValueError as error:
        raise SettingsError(f"TRUSTED_PROXIES: {error}") from None
