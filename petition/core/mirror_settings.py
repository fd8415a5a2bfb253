"""The settings of mirrors: where static copies of letters are written, and at which other addresses they are served."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError

MAX_URLS = 8
MAX_MINUTES = 7 * 24 * 60
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_PATH = re.compile(r"[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, slots=True)
class MirrorSettings:
    """``urls`` are without a slash at the end; below each, every letter has a folder of its short name."""

    urls: tuple[str, ...] = ()
    folder: Path | None = None  # None: the worker writes no mirrors
    max_age: timedelta = timedelta(hours=1)  # of the count in a mirror that is written though nothing changed


def read_mirrors(reader: EnvironmentReader) -> MirrorSettings:
    """Return the settings of mirrors. Raises ``SettingsError``."""
    folder = reader.text("MIRROR_DIR")
    minutes = reader.number("MIRROR_MAX_AGE", 60)
    if not 1 <= minutes <= MAX_MINUTES:
        raise SettingsError(f"MIRROR_MAX_AGE must be from 1 to {MAX_MINUTES} minutes, not {minutes}")
    return MirrorSettings(
        urls=_urls(reader.text("MIRROR_URLS") or ""),
        folder=Path(folder).absolute() if folder else None,
        max_age=timedelta(minutes=minutes),
    )


def _urls(text: str) -> tuple[str, ...]:
    urls = tuple(dict.fromkeys(_url(url.strip()) for url in text.split(",") if url.strip()))
    if len(urls) > MAX_URLS:
        raise SettingsError(f"MIRROR_URLS lists {len(urls)} addresses; {MAX_URLS} at most are linked from each letter")
    return urls


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host.encode("idna").decode().lower()
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, host, port = None, "", ""
    if parts is None or parts.scheme not in {"http", "https"} or "@" in parts.netloc or not _HOST.fullmatch(host):
        raise SettingsError("MIRROR_URLS must list addresses like https://mirror.example/letters")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise SettingsError("MIRROR_URLS must list addresses without parameters, and with a plain path")
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
