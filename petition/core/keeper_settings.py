"""The settings of the keeper: where its clients reach it, and what its own process runs with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.service_urls import is_this_machine, parameters, quoted, switch

MIN_TOKEN = 32  # characters
MIN_LIMIT = 2000
MAX_SOCKET_PATH = 100  # bytes; the system's limit is 107
FORM = "KEEPER_URL must look like http+unix:///run/petition/keeper.sock or https://keeper.example:8443"


@dataclass(frozen=True, slots=True)
class KeeperAddress:
    """Where the keeper is: a socket of this machine, or an origin over HTTP."""

    token: str = field(repr=False)
    origin: str = "http://keeper"  # without a socket: scheme, host and port
    socket: Path | None = None
    ca_file: Path | None = None  # whose certificates are believed; None: the system's

    @property
    def text(self) -> str:
        return self.origin if self.socket is None else f"http+unix://{self.socket}"

    @property
    def is_tls(self) -> bool:
        return self.origin.startswith("https://")


@dataclass(frozen=True, slots=True)
class KeeperListener:
    """Where the keeper listens: a socket, or a port, with TLS unless it is this machine's."""

    socket: Path | None = None
    host: str = ""
    port: int = 0
    certificate: Path | None = None
    certificate_key: Path | None = None


def read_keeper(reader: EnvironmentReader) -> KeeperAddress | None:
    """Return where the keeper is; None without ``KEEPER_URL``. Raises ``SettingsError``."""
    url, token = reader.text("KEEPER_URL"), reader.secret("KEEPER_TOKEN")
    if url is None:
        return None
    if token is None:
        raise SettingsError("KEEPER_URL needs KEEPER_TOKEN, which the keeper was started with")
    check_token(token)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError(FORM) from None
    if "@" in parts.netloc or parts.fragment:
        raise SettingsError(f"{FORM}; the token is KEEPER_TOKEN's")
    values = parameters("KEEPER_URL", parts.query)
    for name in values.keys() - {"plain", "ca"}:
        raise SettingsError(f"KEEPER_URL has an unknown parameter {quoted(name)}")
    if parts.scheme == "http+unix":
        return KeeperAddress(token, socket=_socket(parts.netloc, parts.path, values))
    if parts.scheme not in {"http", "https"} or not host or parts.path.strip("/"):
        raise SettingsError(FORM)
    return _over_tcp(token, parts.scheme, host, port, values)


def _over_tcp(token: str, scheme: str, host: str, port: int | None, values: Mapping[str, str]) -> KeeperAddress:
    is_plain = switch("KEEPER_URL", "plain", values.get("plain", "0"))
    if scheme == "http" and not is_this_machine(host) and not is_plain:
        raise SettingsError("KEEPER_URL: another machine is asked over https://; add plain=1 to insist on plain HTTP")
    ca = values.get("ca")
    if ca and not Path(ca).is_file():
        raise SettingsError("KEEPER_URL: ca must be a file of certificates")
    name = f"[{host}]" if ":" in host else host
    origin = f"{scheme}://{name}" + (f":{port}" if port else "")
    return KeeperAddress(token, origin, ca_file=Path(ca) if ca else None)


def _socket(netloc: str, path: str, values: Mapping[str, str]) -> Path:
    """Return the path behind ``http+unix://``: as it is, or as a host with %2F."""
    text = unquote(netloc) + unquote(path)
    if not text.startswith("/") or len(text.encode()) > MAX_SOCKET_PATH or values:
        raise SettingsError(f"{FORM}: the path of a socket, of {MAX_SOCKET_PATH} bytes at most, without parameters")
    return Path(text.rstrip("/"))


def read_key(reader: EnvironmentReader) -> str | None:
    return reader.secret("KEEPER_KEY")


def read_limit(reader: EnvironmentReader, default: int) -> int:
    """Return how many values a minute the keeper answers. Raises ``SettingsError``."""
    limit = reader.number("KEEPER_LIMIT", default)
    if limit < MIN_LIMIT:
        raise SettingsError(f"KEEPER_LIMIT must be at least {MIN_LIMIT} values a minute: twice what one request brings")
    return limit


def check_token(token: str) -> None:
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"KEEPER_TOKEN must have at least {MIN_TOKEN} characters; `petition keeper keys` makes one")


def read_listener(reader: EnvironmentReader, default: Path) -> KeeperListener:
    """Return where the keeper listens; at the socket ``default`` if nothing is set. Raises ``SettingsError``."""
    text = reader.text("KEEPER_LISTEN") or str(default)
    if text.removeprefix("unix:").startswith("/"):
        path = text.removeprefix("unix:")
        if len(path.encode()) > MAX_SOCKET_PATH:
            raise SettingsError(f"KEEPER_LISTEN: the path of a socket has {MAX_SOCKET_PATH} bytes at most")
        return KeeperListener(Path(path))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise SettingsError("KEEPER_LISTEN must be the path of a socket, /run/…, or an address and port, 10.0.0.5:8443")
    files = [reader.text("KEEPER_CERTIFICATE"), reader.text("KEEPER_CERTIFICATE_KEY")]
    if any(files) and not all(files):
        raise SettingsError("KEEPER_CERTIFICATE and KEEPER_CERTIFICATE_KEY are set together: two PEM files")
    if not all(files) and not is_this_machine(host):
        raise SettingsError(
            "KEEPER_LISTEN: for other machines set KEEPER_CERTIFICATE and KEEPER_CERTIFICATE_KEY, or take 127.0.0.1"
        )
    certificate, key = (Path(file) if file else None for file in files)
    return KeeperListener(None, host, int(port), certificate, key)
