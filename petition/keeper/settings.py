"""What the keeper's process runs with: none of the web's or the worker's secrets."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from petition.core.encryption import new_key
from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.keeper_settings import KeeperListener, check_token, read_key, read_limit, read_listener
from petition.core.private_folders import make_private, open_private

LIMIT = 300_000  # values a minute; a form takes three


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    key: bytes = field(repr=False)
    token: str = field(repr=False)
    listener: KeeperListener
    limit: int  # values a minute
    counts_file: Path


def load(environ: Mapping[str, str] | None = None) -> KeeperSettings:
    """Read the keeper's settings; make its key and token in ``DATA_DIR`` where they are not set, and are not there.

    Raises ``SettingsError``.
    """
    reader = EnvironmentReader(os.environ if environ is None else environ)
    folder = Path(reader.text("DATA_DIR") or ".petition").absolute() / "keeper"
    try:
        make_private(folder.parent)
        make_private(folder)
        key = read_key(reader) or _own(folder / "key")
        token = reader.secret("KEEPER_TOKEN") or _own(folder / "token")
    except OSError as error:
        raise SettingsError(f"{folder} cannot be read or made: {error.strerror}") from None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise SettingsError("KEEPER_KEY must be 64 hexadecimal digits; `petition keeper keys` makes one")
    check_token(token)
    listener, limit = read_listener(reader, folder / "socket"), read_limit(reader, LIMIT)
    return KeeperSettings(bytes.fromhex(key), token, listener, limit, folder / "counts.json")


def _own(path: Path) -> str:
    """Return the secret in a file of the keeper's own, made at first need."""
    if not path.exists():
        unfinished = path.with_suffix(".new")
        with os.fdopen(open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="ascii") as file:
            file.write(new_key().hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    return path.read_text("ascii").strip()
