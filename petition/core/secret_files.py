"""Secrets that a loopback installation makes for itself and keeps in ``DATA_DIR``, each in a file of its own.

The private contact key has a file that ``petition serve`` never opens.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from petition.core.encryption import new_contact_pair, new_key
from petition.core.errors import SettingsError
from petition.core.private_folders import make_private, open_private


class Secrets:
    """The secret files of one ``DATA_DIR``. Made at first need, by one process however many ask at once."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "secrets"

    def secret_keys(self) -> tuple[str, ...]:
        """Return the secrets under which keys are wrapped and links are signed, the newest first."""
        return tuple(self._read("secret_key").splitlines())

    def is_empty(self) -> bool:
        """Return whether none has been made yet."""
        return not (self._folder / "secret_key").exists()

    def rotate_secret_key(self) -> None:
        """Put a new secret in front of those that are there."""
        former = self.secret_keys()
        with self._alone():
            self._write("secret_key", "\n".join((new_key().hex(), *former)))

    def put(self, name: str, text: str) -> None:
        """Store a secret that came from elsewhere. Raises ``SettingsError`` if there is another one already."""
        path = self._folder / name
        try:
            self._close_to_others()
            with self._alone():
                if path.exists() and path.read_text(encoding="ascii").strip() != text.strip():
                    raise SettingsError(f"{path} holds another secret: use a new DATA_DIR, or move that file away")
                self._write(name, text)
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from None

    def contact_public_key(self) -> str:
        return self._read("contact_public_key")

    def contact_private_key(self) -> str:
        """Return the private contact key. Raises ``SettingsError`` where it has been taken away."""
        self._read("contact_public_key")
        try:
            return (self._folder / "contact_private_key").read_text(encoding="ascii").strip()
        except OSError as error:
            raise SettingsError(f"the private contact key cannot be read: {error.strerror}") from None

    def dkim_private_key(self) -> str:
        """Return the DKIM keys, as ``DKIM_PRIVATE_KEY`` has them."""
        return self._read("dkim_private_key")

    def _read(self, name: str) -> str:
        path = self._folder / name
        try:
            self._close_to_others()
            if not path.exists():
                self._make(name)
            return path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise SettingsError(f"{path} cannot be read or made: {error.strerror}") from None

    def _close_to_others(self) -> None:
        for folder in (self._folder.parent, self._folder):
            make_private(folder)

    def _make(self, name: str) -> None:
        with self._alone():
            if (self._folder / name).exists():
                return
            if name == "secret_key":
                self._write(name, new_key().hex())
                return
            if name == "dkim_private_key":
                from petition.core import dkim_keys  # as in ``dkim_settings``

                self._write(name, dkim_keys.new_pair())
                return
            public, private = new_contact_pair()
            self._write("contact_private_key", private)
            self._write("contact_public_key", public)

    def _write(self, name: str, text: str) -> None:
        """Write whole or not at all: a reader never sees half a key."""
        unfinished = self._folder / f"{name}.new"
        descriptor = open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._folder / name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with os.fdopen(open_private(self._folder / "lock", os.O_WRONLY | os.O_CREAT), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
