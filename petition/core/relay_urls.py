"""The mail relays in ``SMTP_URLS``: where each is, and how much mail it takes.

As with the other addresses of services, what is not known is refused and no message repeats an address.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from petition.core.errors import SettingsError
from petition.core.receiving_providers import PROVIDERS_BY_NAME
from petition.core.service_urls import is_this_machine, parameters, quoted, switch

CONNECTIONS = 4  # to a relay, unless its address says otherwise
MAX_CONNECTIONS, MAX_PER_MINUTE, MAX_WARM_UP_DAYS = 100, 1_000_000, 365

RELAY_FORM = "addresses like smtp://user:password@host:587?starttls=1 or smtps://user:password@host"
_SWITCHES = ("starttls", "plain")
_LIMITS = ("connections", "per_minute", "warm_up")
_CURES = {  # what other programs call it
    name: "write smtps://… for TLS from the first byte, ?starttls=1 for STARTTLS"
    for name in ("tls", "ssl", "secure", "encryption", "start_tls", "use_tls", "usetls", "use_ssl", "auth", "security")
}


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """The most that all workers together send by one relay."""

    connections: int = CONNECTIONS  # at once
    per_minute: int | None = None  # mails
    warm_up: timedelta | None = None  # over which a relay that is new here reaches its limit
    providers: Mapping[str, int] = field(default_factory=dict)  # mails a minute by the name of a receiving provider


@dataclass(frozen=True, slots=True)
class Relay:
    """One mail relay out of ``SMTP_URLS``."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool  # from the first byte (smtps)
    starttls: bool
    limits: RelayLimits = field(default_factory=RelayLimits)


def names_of(relays: Sequence[Relay]) -> list[str]:
    """Return the name of each relay, by which logs, the desk and the database know it.

    It is host and port; where several users share these, a digest of the user's name is added: the name itself may be a
    person's address. One that is listed twice is numbered.
    """
    shared = Counter((relay.host, relay.port) for relay in relays)
    names: list[str] = []
    for relay in relays:
        name = f"[{relay.host}]:{relay.port}" if ":" in relay.host else f"{relay.host}:{relay.port}"
        if shared[relay.host, relay.port] > 1:
            name += f"/{hashlib.sha256((relay.username or '').encode()).hexdigest()[:8]}"
        same = sum(other == name or other.startswith(f"{name}#") for other in names)
        names.append(f"{name}#{same + 1}" if same else name)
    return names


def parse_relay(url: str) -> Relay:
    """Read ``smtp://user:password@host:587?starttls=1`` or ``smtps://…``. Raises ``SettingsError``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(
            "SMTP_URLS has an address whose port is not a number; in user and password write @ as %40, : as %3A, / as"
            " %2F, # as %23, ? as %3F and a comma as %2C"
        ) from None
    host = _host(parts.hostname or "")
    if parts.scheme not in {"smtp", "smtps"} or not host or port == 0:
        raise SettingsError(f"SMTP_URLS must list {RELAY_FORM}")
    if parts.path.strip("/") or parts.fragment:
        raise SettingsError("SMTP_URLS has an address with a path, or with a # that must be written as %23")
    values, tls = parameters("SMTP_URLS", parts.query), parts.scheme == "smtps"
    _check_known(values)
    starttls, plain = _switches(values, tls=tls)
    if not is_this_machine(host):
        _check_encrypted(host, port, tls=tls, starttls=starttls, plain=plain)
    return Relay(
        host=host,
        port=port or (465 if tls else 25),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        starttls=starttls,
        limits=_limits(values),
    )


def _host(host: str) -> str:
    """Return the host's name as certificates have it, or nothing if it is none."""
    host = host.removesuffix(".")
    is_address = ":" in host and bool(re.fullmatch(r"[0-9a-f:.]+(?:%[\w-]+)?", host))
    return host if is_address or re.fullmatch(r"[\w-]+(?:\.[\w-]+)*", host) else ""


def _check_encrypted(host: str, port: int | None, *, tls: bool, starttls: bool, plain: bool) -> None:
    """Refuse a relay on another machine that would be used without TLS, or in a way that cannot work."""
    if port == 465 and not tls:
        raise SettingsError(f"SMTP_URLS: port 465 of {host} is TLS from the first byte; write smtps://…")
    if not (tls or starttls or plain):
        raise SettingsError(
            f"SMTP_URLS: mail would reach {host} unencrypted; write smtps://… or ?starttls=1, or ?plain=1 to insist"
        )


def _check_known(values: Mapping[str, str]) -> None:
    known = (*_SWITCHES, *_LIMITS, *PROVIDERS_BY_NAME)
    for name in values:
        if name not in known:
            cure = _CURES.get(name.lower(), f"known are {', '.join(known)}")
            raise SettingsError(f"SMTP_URLS has an unknown parameter {quoted(name)}; {cure}")


def _switches(values: Mapping[str, str], *, tls: bool) -> tuple[bool, bool]:
    """Return (starttls, plain)."""
    starttls, plain = (switch("SMTP_URLS", name, values.get(name, "0")) for name in _SWITCHES)
    if tls and (starttls or plain):
        raise SettingsError("SMTP_URLS: smtps:// is TLS from the first byte; leave out starttls and plain")
    if starttls and plain:
        raise SettingsError("SMTP_URLS: starttls and plain contradict each other; keep one")
    return starttls, plain


def _limits(values: Mapping[str, str]) -> RelayLimits:
    return RelayLimits(
        connections=_number(values, "connections", MAX_CONNECTIONS) or CONNECTIONS,
        per_minute=_number(values, "per_minute", MAX_PER_MINUTE),
        warm_up=_warm_up(values.get("warm_up")),
        providers={
            name: number for name in PROVIDERS_BY_NAME if (number := _number(values, name, MAX_PER_MINUTE)) is not None
        },
    )


def _number(values: Mapping[str, str], name: str, limit: int) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if not 1 <= number <= limit:
        raise SettingsError(f"SMTP_URLS: {name} must be a whole number from 1 to {limit}")
    return number


def _warm_up(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,3})d", text)
    if match is None or not 1 <= int(match[1]) <= MAX_WARM_UP_DAYS:
        raise SettingsError(f"SMTP_URLS: warm_up must be a number of days such as 14d, at most {MAX_WARM_UP_DAYS}d")
    return timedelta(days=int(match[1]))
