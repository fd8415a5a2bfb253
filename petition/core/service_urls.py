"""The addresses of other services in the settings: PostgreSQL here, mail relays in ``relay_urls``.

What is not known in them is refused: a parameter that is misread in silence would, for one, send a password in the
clear. A service on another machine is used over TLS unless ``?plain=1`` insists. No message repeats an address: there
may be a password in it.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from petition.core.errors import SettingsError

_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """What ``DATABASE_URL`` says: the driver's part of it, and ours."""

    url: str = field(repr=False)  # for the driver
    statement_cache_size: int | None = None  # None: the driver's own; 0: a pooler in transaction mode stands in between
    sslmode: str | None = None  # of a connection that leaves this machine; None: it does not
    servers: tuple[tuple[str, int], ...] = ()  # (host or folder of a socket, port), where there are several

    @property
    def is_pooled(self) -> bool:
        """Return whether two statements outside a transaction may meet two different servers."""
        return self.statement_cache_size == 0


def is_onion(url: str) -> bool:
    """Return whether an address is an Onion service's."""
    return (urlsplit(url).hostname or "").endswith(".onion")


def is_loopback(url: str) -> bool:
    """Return whether a browser that opens ``url`` stays on its own machine."""
    host = urlsplit(url).hostname or ""
    return is_this_machine(host) or host.endswith(".localhost")


def is_this_machine(host: str) -> bool:
    """Return whether a connection to ``host`` stays on this machine, without asking a name server.

    Unlike browsers, resolvers may ask a name server for what ends in ".localhost".
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# PostgreSQL

DATABASE_FORM = "{} must look like postgresql://user:password@host:5432/name"
_DATABASE_URL = re.compile(r"(postgres(?:ql)?)://(?:([^/?]*)@)?([^/?@]*)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w-]+)?)\]|([\w.%-]+))(?::([0-9]{1,5}))?")
_SERVER_PORT = re.compile(r"[0-9]{1,5}(?:,[0-9]{1,5})*")
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


def parse_database(url: str, environ: Mapping[str, str] = os.environ, setting: str = "DATABASE_URL") -> DatabaseAddress:
    """Read ``postgresql://user:password@host:5432/name?…`` of ``setting``. Raises ``SettingsError``.

    For a server on another machine ``sslmode`` becomes ``require`` where neither the address nor ``PGSSLMODE`` says
    anything: what the driver would read from ``environ`` by itself is held to the same rules.
    """
    match = _DATABASE_URL.fullmatch(url)
    if match is None:
        raise SettingsError(DATABASE_FORM.format(setting))
    scheme, user, authority, path, query = match.groups(default="")
    values = parameters(setting, query)
    for name in values.keys() - _OURS - _DRIVERS:
        raise SettingsError(f"{setting} has an unknown parameter {quoted(name)}")
    plain = switch(setting, "plain", values.pop("plain", "0"))
    size = values.pop("statement_cache_size", None)
    if size is not None and not re.fullmatch(r"[0-9]{1,5}", size):
        raise SettingsError(f"{setting}: statement_cache_size must be a whole number; 0 for a pooler")
    if values.get("target_session_attrs", "any") not in _TARGETS:
        raise SettingsError(f"{setting}: target_session_attrs must be one of {', '.join(sorted(_TARGETS))}")
    servers = _servers(setting, authority, values, environ)
    mode = _encrypt(setting, values, [host for host, _ in servers], environ.get("PGSSLMODE"), plain=plain)
    return DatabaseAddress(
        f"{scheme}://{_requoted(user)}{authority}{quote(unquote(path), safe='/')}{_query(values)}",
        None if size is None else int(size),
        mode,
        tuple(servers) if len(servers) > 1 else (),
    )


def each_server(url: str, setting: str, environ: Mapping[str, str] = os.environ) -> Iterator[tuple[str, str]]:
    """Yield (host:port, address) for each host of a ``url`` that may name several. Raises ``SettingsError``.

    Without ``target_session_attrs``: what kind of server it is, each is asked itself.
    """
    parse_database(url, environ, setting)
    match = _DATABASE_URL.fullmatch(url)
    scheme, user, authority, path, query = match.groups(default="") if match else [""] * 5
    values = parameters(setting, query)
    values.pop("target_session_attrs", None)
    login = f"{user}@" if user else ""
    if "service" in values:
        yield values["service"], f"{scheme}://{login}{authority}{path}{_query(values)}"
        return
    for host, port in _servers(setting, authority, values, environ):
        name = f"[{host}]" if ":" in host else host
        one = {**values, "host": name, "port": str(port)}
        yield f"{name}:{port}", f"{scheme}://{login}{path or '/'}{_query(one)}"


def _encrypt(setting: str, values: dict[str, str], hosts: list[str], default: str | None, *, plain: bool) -> str | None:
    """See that what leaves this machine is encrypted; return in which mode it is, or ``None`` if nothing leaves it.

    Raises ``SettingsError`` if the address, or ``default`` where it says nothing, allows a connection without TLS.
    """
    mode = values.get("sslmode") or default
    if mode and mode not in _MODES:
        raise SettingsError(f"{setting}: sslmode must be one of {', '.join(sorted(_MODES))}")
    if "service" in values and "sslmode" not in values and not plain:
        raise SettingsError(f"{setting}: with service=… say sslmode=require or better here, or plain=1 to insist")
    if all(host.startswith("/") or is_this_machine(host) for host in hosts) and "service" not in values:
        return None
    if mode and mode not in _ENCRYPTED and not plain:
        raise SettingsError(
            f"{setting}: with sslmode={mode} names and passwords may reach another machine unencrypted; write"
            " sslmode=require or better, or add plain=1 to insist"
        )
    if mode or not plain:
        values["sslmode"] = mode or "require"
    return values.get("sslmode", "prefer")


def _servers(
    setting: str, authority: str, values: Mapping[str, str], environ: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Return the hosts that the driver will connect to. Raises ``SettingsError`` where two readings are possible.

    The driver takes those of the authority before the parameter's, libpq the other way round.
    """
    if authority and not values.keys().isdisjoint({"host", "port"}):
        raise SettingsError(f"{setting} names host or port twice; keep them before the / or behind the ?")
    text = values.get("port") or environ.get("PGPORT") or "5432"
    if not _SERVER_PORT.fullmatch(text):
        raise SettingsError(f"{setting}: port (or PGPORT) must be a whole number")
    ports = [int(port) for port in text.split(",")]
    if authority:
        return [(unquote(host), port or ports[0]) for host, port in _split(setting, authority)]
    hosts = [host for host, _ in _split(setting, values.get("host") or environ.get("PGHOST") or "localhost")]
    if len(ports) not in {1, len(hosts)} or not all(0 < port < 65536 for port in ports):
        raise SettingsError(f"{setting}: port must name one for all hosts, or one for each")
    return list(zip(hosts, ports if len(ports) > 1 else ports * len(hosts), strict=True))


def _split(setting: str, hosts: str) -> Iterator[tuple[str, int | None]]:
    """Yield each host with its port, if it names one. Raises ``SettingsError``."""
    for part in hosts.split(","):
        match = _HOST_AND_PORT.fullmatch(part)
        if match and (match[3] is None or 0 < int(match[3]) < 65536):
            yield match[1] or match[2], int(match[3]) if match[3] else None
        elif part.startswith("/"):
            yield part, None
        else:
            raise SettingsError(DATABASE_FORM.format(setting))


def _requoted(user: str) -> str:
    """Return user and password so that every reader ends them at the same @, in front of the host."""
    if not user:
        return ""
    name, colon, password = user.partition(":")
    return f"{quote(unquote(name), safe='')}{colon}{quote(unquote(password), safe='')}@"


def _query(values: Mapping[str, str]) -> str:
    query = urlencode(values, safe="/:,", quote_via=quote)
    return f"?{query}" if query else ""


# Both


def parameters(setting: str, query: str) -> dict[str, str]:
    """Return the parameters behind the ?. Raises ``SettingsError``."""
    if "@" in query:  # most probably the rest of a password with a ? in it: nothing of it is repeated
        raise SettingsError(f"{setting}: in user and password write ? as %3F; behind the ? write @ as %40")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise SettingsError(f"{setting}: what follows the ? must look like name=value&name=value") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise SettingsError(f"{setting} has a parameter twice")
    return values


def switch(setting: str, name: str, value: str) -> bool:
    """Read a parameter that is on or off. Raises ``SettingsError``."""
    if value.lower() not in _SWITCH:
        raise SettingsError(f"{setting}: {name} must be 1 or 0, not {quoted(value)}")
    return _SWITCH[value.lower()]


def quoted(text: str) -> str:
    """Return an unexpected name or value, unless it may be part of a password."""
    return repr(text) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,29}", text) else "that is not a word"
