"""The file: a gzipped tar, encrypted to age keys while it is written. Nothing decrypted touches a disk.

Members, in this order: ``takeout.json`` (``TakeoutManifest``), ``secrets.json`` (a setting's name → its value; may be
missing), ``tables/TABLE/NNNNNN.csv`` (COPY's CSV without a header), ``end.json`` (rows of each table, the sequences).
"""

import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyrage

from petition.core.errors import PetitionError
from petition.core.private_folders import open_private

FORMAT = 1
HEAD, SECRETS, END, TABLES = "takeout.json", "secrets.json", "end.json", "tables/"
MAX_JSON = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class TakeoutManifest:
    """What the file is. ``tables`` are names → columns, as they stand in the rows."""

    version: str
    schema: int
    made_at: str  # ISO 8601, UTC
    base_url: str
    tables: dict[str, list[str]] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class TakeoutEnd:
    """What must have come: rows by table. ``sequences`` are names → the next number is above this one."""

    rows: dict[str, int]
    sequences: dict[str, int]


def read_recipients(keys: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """Return the age public keys. Raises ``PetitionError``."""
    try:
        return [pyrage.x25519.Recipient.from_str(key.strip()) for key in keys]
    except pyrage.RecipientError:
        raise PetitionError("a recipient is an age public key: age1 and 58 more characters") from None


def read_identities(path: Path) -> list[pyrage.x25519.Identity]:
    """Return the age secret keys in a file of age-keygen. Raises ``PetitionError``, ``OSError``."""
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    try:
        keys = [
            pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.strip() and not line.startswith("#")
        ]
    except pyrage.IdentityError:
        keys = []
    if not keys:
        raise PetitionError(f"{path} is no age identity: a line must begin with AGE-SECRET-KEY-1")
    return keys


class TakeoutWriter:
    """Writes the file; whole under its name, or not at all. Blocks: call it from a thread."""

    def __init__(self, path: Path, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
        self._path, self._unfinished = path, path.with_name(path.name + ".part")
        self._recipients = list(recipients)
        self._errors: list[BaseException] = []

    def __enter__(self) -> Self:
        if self._path.exists():
            raise PetitionError(f"{self._path} exists already")
        read_end, write_end = os.pipe()
        self._plain = os.fdopen(write_end, "wb")
        self._cipher = os.fdopen(open_private(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")
        self._thread = threading.Thread(target=self._encrypt, args=(os.fdopen(read_end, "rb"),), daemon=True)
        self._thread.start()
        self._tar = tarfile.open(fileobj=self._plain, mode="w|gz", format=tarfile.PAX_FORMAT)
        return self

    def add(self, name: str, content: bytes) -> None:
        """Add one member. Raises ``OSError``, ``PetitionError``."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        try:
            self._tar.addfile(member, io.BytesIO(content))
        except BrokenPipeError:
            raise self._errors[0] if self._errors else PetitionError("the encryption has ended") from None

    def add_json(self, name: str, value: object) -> None:
        self.add(name, json.dumps(value, ensure_ascii=False, sort_keys=True).encode())

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._tar.close()
            self._plain.close()
            self._thread.join()
            if self._errors:
                raise self._errors[0]
            self._cipher.flush()
            os.fsync(self._cipher.fileno())
            if kind is None:
                self._unfinished.rename(self._path)
        finally:
            self._cipher.close()
            self._unfinished.unlink(missing_ok=True)

    def _encrypt(self, plain: BinaryIO) -> None:
        try:
            with plain:
                pyrage.encrypt_io(plain, self._cipher, self._recipients)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._errors.append(error)


@contextmanager
def reading(path: Path, identities: Sequence[pyrage.x25519.Identity]) -> Iterator["TakeoutReader"]:
    """Open the file. Blocks. Raises ``PetitionError`` if it is none, or encrypted to another key, or cut off."""
    read_end, write_end = os.pipe()
    errors: list[BaseException] = []

    def decrypt() -> None:
        try:
            with path.open("rb") as cipher, os.fdopen(write_end, "wb") as plain:
                pyrage.decrypt_io(cipher, plain, list(identities))
        except BrokenPipeError:
            pass  # the reader has enough
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            errors.append(error)

    if not path.is_file():
        os.close(read_end)
        os.close(write_end)
        raise PetitionError(f"{path}: there is no such file")
    thread = threading.Thread(target=decrypt, daemon=True)
    thread.start()
    plain = os.fdopen(read_end, "rb")
    try:
        with tarfile.open(fileobj=plain, mode="r|gz") as tar:
            yield TakeoutReader(tar)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        plain.close()
        thread.join()
        raise _cause(path, errors) from error
    finally:
        plain.close()
        thread.join()


def _cause(path: Path, errors: Sequence[BaseException]) -> PetitionError:
    if any(isinstance(error, pyrage.DecryptError) for error in errors):
        return PetitionError(
            f"{path} cannot be decrypted: it is no takeout, is damaged, or is encrypted to another key"
        )
    return PetitionError(f"{path} is damaged or is no takeout")


class TakeoutReader:
    """Reads the members in their order."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = iter(tar)
        self.manifest = _manifest(self._json(HEAD))
        self.secrets: dict[str, str] = {}
        self._ahead = next(self._members, None)
        if self._ahead is not None and self._ahead.name == SECRETS:
            self.secrets = self._content_of_json(self._ahead)
            self._ahead = next(self._members, None)

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield (table, some of its rows); ``end`` is there afterwards. Raises ``PetitionError``."""
        while self._ahead is not None and self._ahead.name.startswith(TABLES):
            table = self._ahead.name.split("/")[1]
            if table not in self.manifest.tables:
                raise PetitionError(f"the takeout has rows of {table}, which its list of tables lacks")
            yield table, self._content(self._ahead)
            self._ahead = next(self._members, None)
        if self._ahead is None or self._ahead.name != END:
            raise PetitionError("the takeout is not whole")
        self.end = TakeoutEnd(**self._content_of_json(self._ahead))

    def _json(self, name: str) -> dict[str, Any]:
        member = next(self._members, None)
        if member is None or member.name != name:
            raise PetitionError("this is no takeout")
        return self._content_of_json(member)

    def _content_of_json(self, member: tarfile.TarInfo) -> dict[str, Any]:
        if member.size > MAX_JSON:
            raise PetitionError("this is no takeout")
        value = json.loads(self._content(member))
        if not isinstance(value, dict):
            raise PetitionError("this is no takeout")
        return value

    def _content(self, member: tarfile.TarInfo) -> bytes:
        file = self._tar.extractfile(member)
        if file is None:
            raise PetitionError("this is no takeout")
        return file.read()


def _manifest(value: dict[str, Any]) -> TakeoutManifest:
    if value.get("format") != FORMAT:
        raise PetitionError(f"this takeout has format {value.get('format')}; this version of petition reads {FORMAT}")
    return TakeoutManifest(**value)


def dump(manifest: TakeoutManifest) -> dict[str, Any]:
    return asdict(manifest)
