"""The addresses of other services in the settings: PostgreSQL and mail relays.

What is not known in them is refused: a parameter that is misread in silence would, for one, send a password in the
clear. A service on another machine is used over TLS unless ``?plain=1`` insists. No message repeats an address: there
may be a password in it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from petition.core.errors import SettingsError

_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Relay:
    """One mail relay out of ``SMTP_URLS``."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool  # from the first byte (smtps)
    starttls: bool


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """What ``DATABASE_URL`` says: the driver's part of it, and ours."""

    url: str = field(repr=False)  # for the driver
    statement_cache_size: int | None = None  # None: the driver's own; 0: a pooler in transaction mode stands in between

    @property
    def is_pooled(self) -> bool:
        """Return whether two statements outside a transaction may meet two different servers."""
        return self.statement_cache_size == 0


def is_onion(url: str) -> bool:
    """Return whether an address is an Onion service's."""
    return (urlsplit(url).hostname or "").endswith(".onion")


def is_loopback(url: str) -> bool:
    """Return whether ``url`` leads to this machine and no further."""
    return is_this_machine(urlsplit(url).hostname or "")


def is_this_machine(host: str) -> bool:
    """Return whether a host's name or address is this machine's own, without asking a name server."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Relays

RELAY_FORM = "addresses like smtp://user:password@host:587?starttls=1 or smtps://user:password@host"
_RELAY_CURES = {  # what other programs call it
    name: "write smtps://… for TLS from the first byte, ?starttls=1 for STARTTLS"
    for name in ("tls", "ssl", "secure", "encryption", "start_tls", "use_tls", "usetls", "use_ssl", "auth", "security")
}


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
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or port == 0:
        raise SettingsError(f"SMTP_URLS must list {RELAY_FORM}")
    if parts.path.strip("/") or parts.fragment:
        raise SettingsError("SMTP_URLS has an address with a path, or with a # that must be written as %23")
    starttls, plain = _relay_switches(parts.query, tls=parts.scheme == "smtps")
    tls = parts.scheme == "smtps"
    if not (tls or starttls or plain or is_this_machine(parts.hostname)):
        raise SettingsError(
            f"SMTP_URLS: mail would reach {parts.hostname} unencrypted; write smtps://… or ?starttls=1, or ?plain=1 to"
            " insist"
        )
    return Relay(
        host=parts.hostname,
        port=port or (465 if tls else 25),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
        starttls=starttls,
    )


def _relay_switches(query: str, *, tls: bool) -> tuple[bool, bool]:
    """Return (starttls, plain)."""
    values = _parameters("SMTP_URLS", query)
    for name in values.keys() - {"starttls", "plain"}:
        cure = _RELAY_CURES.get(name.lower(), "known are starttls and plain")
        raise SettingsError(f"SMTP_URLS has an unknown parameter {_quoted(name)}; {cure}")
    starttls, plain = (_switch("SMTP_URLS", name, values.get(name, "0")) for name in ("starttls", "plain"))
    if tls and (starttls or plain):
        raise SettingsError("SMTP_URLS: smtps:// is TLS from the first byte; leave out starttls and plain")
    if starttls and plain:
        raise SettingsError("SMTP_URLS: starttls and plain contradict each other; keep one")
    return starttls, plain


# PostgreSQL

DATABASE_FORM = "DATABASE_URL must look like postgresql://user:password@host:5432/name"
_DATABASE_URL = re.compile(r"(postgres(?:ql)?://(?:[^/?]*@)?([^/?@]*)(?:/[^?]*)?)(?:\?(.*))?")
_HOST_AND_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::[0-9]*)?")
_OURS = {"plain", "statement_cache_size"}
# What the driver takes, and those settings of a session that make sense here. It would send any other name to the
# server, which refuses to be connected to then, or knows a setting by that name.
_DRIVERS = {
    "host",
    "port",
    "dbname",
    "database",
    "user",
    "password",
    "passfile",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "target_session_attrs",
    "krbsrvname",
    "gsslib",
    "service",
    "application_name",
    "options",
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
}
_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_MODES = _ENCRYPTED | {"disable", "allow", "prefer"}
_TARGETS = {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}


def parse_database(url: str) -> DatabaseAddress:
    """Read ``postgresql://user:password@host:5432/name?…``. Raises ``SettingsError``.

    For a server on another machine ``sslmode`` becomes ``require`` where nothing else is said.
    """
    match = _DATABASE_URL.fullmatch(url)
    if match is None or not all(_HOST_AND_PORT.fullmatch(host) for host in match[2].split(",")):
        raise SettingsError(DATABASE_FORM)
    values = _parameters("DATABASE_URL", match[3] or "")
    for name in values.keys() - _OURS - _DRIVERS:
        raise SettingsError(f"DATABASE_URL has an unknown parameter {_quoted(name)}")
    plain = _switch("DATABASE_URL", "plain", values.pop("plain", "0"))
    size = values.pop("statement_cache_size", None)
    if size is not None and not re.fullmatch(r"[0-9]{1,5}", size):
        raise SettingsError("DATABASE_URL: statement_cache_size must be a whole number; 0 for a pooler")
    if values.get("target_session_attrs", "any") not in _TARGETS:
        raise SettingsError(f"DATABASE_URL: target_session_attrs must be one of {', '.join(sorted(_TARGETS))}")
    _encrypt(values, _hosts(match[2], values), plain=plain)
    query = urlencode(values, safe="/:,", quote_via=quote)
    return DatabaseAddress(match[1] + (f"?{query}" if query else ""), None if size is None else int(size))


def _encrypt(values: dict[str, str], hosts: list[str], *, plain: bool) -> None:
    """See that what leaves this machine is encrypted. Raises ``SettingsError`` if the address says otherwise."""
    mode = values.get("sslmode")
    if mode is not None and mode not in _MODES:
        raise SettingsError(f"DATABASE_URL: sslmode must be one of {', '.join(sorted(_MODES))}")
    if plain or mode in _ENCRYPTED or all(host.startswith("/") or is_this_machine(host) for host in hosts):
        return
    if mode is not None:
        raise SettingsError(
            f"DATABASE_URL: with sslmode={mode} names and passwords may reach another machine unencrypted; write"
            " sslmode=require or better, or add plain=1 to insist"
        )
    values["sslmode"] = "require"


def _hosts(authority: str, values: Mapping[str, str]) -> list[str]:
    named = values.get("host") or authority
    hosts = [re.sub(r":[0-9]*$", "", host) if not host.startswith("/") else host for host in named.split(",")]
    return [unquote(host).strip("[]") for host in hosts if host]


# Both


def _parameters(setting: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise SettingsError(f"{setting}: what follows the ? must look like name=value&name=value") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise SettingsError(f"{setting} has a parameter twice")
    return values


def _switch(setting: str, name: str, value: str) -> bool:
    if value.lower() not in _SWITCH:
        raise SettingsError(f"{setting}: {name} must be 1 or 0, not {_quoted(value)}")
    return _SWITCH[value.lower()]


def _quoted(text: str) -> str:
    """Return an unexpected name or value, unless it may be part of a password."""
    return repr(text) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,29}", text) else "that is not a word"
