"""The settings of mail that comes in: its domains, and where this machine's mail server hands it over."""

import re
from dataclasses import dataclass
from pathlib import Path

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.service_urls import is_this_machine

MAX_DOMAIN = 180  # characters: an address with one of our tokens must not have more than 254
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+|localhost")


@dataclass(frozen=True, slots=True)
class MailListener:
    """Where the worker speaks LMTP: a loopback address and port, or a Unix socket."""

    host: str | None = None
    port: int = 0
    path: Path | None = None


def read_bounce_domain(reader: EnvironmentReader) -> str | None:
    """Return the domain as DNS has it. Raises ``SettingsError``."""
    return _domain("BOUNCE_DOMAIN", reader.text("BOUNCE_DOMAIN"))


def read_mail_in(reader: EnvironmentReader) -> str | None:
    """Return the domain as DNS has it. Raises ``SettingsError``."""
    return _domain("MAIL_IN", reader.text("MAIL_IN"))


def read_mail_in_dir(reader: EnvironmentReader) -> Path | None:
    """Return the Maildir that the worker empties. Raises ``SettingsError``."""
    text = reader.text("MAIL_IN_DIR")
    if text is None:
        return None
    if reader.text("MAIL_IN") is None:
        raise SettingsError("MAIL_IN_DIR needs MAIL_IN, the domain whose mail is delivered there")
    return Path(text).absolute()


def read_mail_listen(reader: EnvironmentReader) -> MailListener | None:
    """Return where LMTP is spoken: it knows no passwords, so on this machine only. Raises ``SettingsError``."""
    text = reader.text("MAIL_LISTEN")
    if text is None:
        return None
    if text.startswith("/"):
        return MailListener(path=Path(text))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not is_this_machine(host) or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise SettingsError(
            "MAIL_LISTEN must be a port of this machine, 127.0.0.1:2424, or the path of a socket, /run/…"
        )
    return MailListener(host, int(port))


def _domain(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        domain = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    if not _DOMAIN.fullmatch(domain) or len(domain) > MAX_DOMAIN:
        raise SettingsError(f"{name} must be a domain like mail.letters.example, not {text!r}")
    return domain
