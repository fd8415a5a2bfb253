"""The manifest of a mirror: every file with its digest, the time, the letter, the key; signed as a note of its own."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from petition.core import signed_notes
from petition.core.signed_notes import BadNote, NoteKey, NoteSigner
from petition.mirrors.model import BadMirror, CopyFacts, LetterSnapshot
from petition.mirrors.pages import count_of, iso

MANIFEST, NOTE = "manifest.json", "manifest.note"
FORMAT = "petition mirror 1"
MAX_MANIFEST = 4 * 1024 * 1024  # bytes
MAX_NOTE = 4096
MAX_FILES = 20_000
MAX_FILE = 16 * 1024 * 1024  # bytes
MAX_BYTES = 1024 * 1024 * 1024  # of all files
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOTE = re.compile(r"([^\s]+)/mirror/([a-z0-9-]{3,64})\nsha256 ([0-9a-f]{64})\nwritten (\S+)\n")


@dataclass(frozen=True, slots=True)
class FileEntry:
    sha256: str  # 64 hexadecimal digits
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a mirror says of itself. ``state`` changes with everything that its pages show, apart from times."""

    letter: str
    written_at: datetime
    counted_at: datetime
    total: int
    state: str
    files: Mapping[str, FileEntry]


def build(snapshot: LetterSnapshot, facts: CopyFacts, state: str, files: Mapping[str, bytes], key: NoteKey) -> bytes:
    published, letter = snapshot.published, snapshot.letter
    content = {
        "format": FORMAT,
        "letter": letter.slug,
        "titles": {lang: text.title for lang, text in letter.version.texts.items()},
        "version": {"number": letter.version.number, "digest": letter.version.digest},
        "signing": [f"{origin}/{letter.slug}" for origin in facts.addresses.signing],
        "copies": [f"{url}/{letter.slug}/" for url in facts.addresses.copies],
        "written_at": iso(facts.written_at),
        "count": count_of(published.counts, published.counted_at),
        "state": state,
        "key": str(key),
        "files": {
            path: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for path, content in sorted(files.items())
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def sign(signer: NoteSigner, host: str, slug: str, manifest: bytes, written_at: datetime) -> bytes:
    """Return the note that signs a manifest. Its first line is like no other note's of the installation."""
    digest = hashlib.sha256(manifest).hexdigest()
    return signer.sign(f"{host}/mirror/{slug}\nsha256 {digest}\nwritten {iso(written_at)}\n").encode()


def key_of(content: bytes) -> NoteKey:
    """Return the key that a manifest names. Raises ``BadMirror``."""
    try:
        return signed_notes.read_key(str(_object(content).get("key", "")))
    except BadNote as bad:
        raise BadMirror(f"{MANIFEST} names no key: {bad}") from None


def verified(content: bytes, note: bytes, public_key: bytes) -> Manifest:
    """Return the manifest that ``public_key`` has signed. Raises ``BadMirror``."""
    host, slug, digest, written = _signed_lines(note, public_key)
    if hashlib.sha256(content).hexdigest() != digest:
        raise BadMirror(f"{MANIFEST} is not the one that was signed")
    manifest = read(content)
    if manifest.letter != slug or iso(manifest.written_at) != written:
        raise BadMirror(f"{MANIFEST} and its signature are of different copies of {host}")
    return manifest


def _signed_lines(note: bytes, public_key: bytes) -> tuple[str, str, str, str]:
    try:
        text = note.decode()
        names = [name for name, _, _ in signed_notes.signatures(text)]
        match = _NOTE.fullmatch(signed_notes.verify(text, NoteKey(names[0], public_key)))
    except (BadNote, UnicodeDecodeError) as bad:
        raise BadMirror(f"{NOTE}: {bad}") from None
    if match is None:
        raise BadMirror(f"{NOTE} is no signature of a mirror")
    return match[1], match[2], match[3], match[4]


def read(content: bytes) -> Manifest:
    """Return a manifest that nothing is known of yet. Raises ``BadMirror``."""
    value = _object(content)
    try:
        count = value["count"]
        if value["format"] != FORMAT:
            raise ValueError("another format")
        files = {_path(path): _entry(entry) for path, entry in value["files"].items()}
        manifest = Manifest(
            letter=str(value["letter"]),
            written_at=moment_of(str(value["written_at"])),
            counted_at=moment_of(str(count["counted_at"])),
            total=int(count["total"]),
            state=str(value["state"]),
            files=files,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadMirror(f"{MANIFEST} cannot be read: {type(error).__name__}") from None
    if len(files) > MAX_FILES or sum(entry.size for entry in files.values()) > MAX_BYTES:
        raise BadMirror(f"{MANIFEST} lists more than a mirror has")
    return manifest


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise BadMirror(f"{MANIFEST} is no JSON") from None
    if not isinstance(value, dict):
        raise BadMirror(f"{MANIFEST} is no JSON object")
    return value


def _path(path: str) -> str:
    """Return a path that stays inside the mirror on every server and disk. Raises ``ValueError``."""
    parts = PurePosixPath(path).parts
    if not parts or "/".join(parts) != path or not all(_SEGMENT.fullmatch(part) for part in parts):
        raise ValueError("a path leads out of the mirror")
    if path in {MANIFEST, NOTE}:
        raise ValueError("a manifest does not list itself")
    return path


def _entry(value: dict[str, Any]) -> FileEntry:
    digest, size = value["sha256"], value["bytes"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or type(size) is not int:
        raise ValueError("no digest")
    if not 0 <= size <= MAX_FILE:
        raise ValueError("too large")
    return FileEntry(digest, size)


def moment_of(text: str) -> datetime:
    """Return a time in UTC. Raises ``ValueError`` if it is none, or has no zone, ``OverflowError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.astimezone(UTC)
