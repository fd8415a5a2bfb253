"""``petition mirror``: write a static copy of a letter, or verify one."""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from petition.core import i18n, signed_notes
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError
from petition.core.settings import Settings
from petition.core.signed_notes import BadNote
from petition.core.templates import Renderer
from petition.letters.published import PublishedLetters
from petition.mirrors import folders, sealing, verifying
from petition.mirrors.fetching import served
from petition.mirrors.making import MirrorMaker
from petition.mirrors.manifest import MANIFEST
from petition.mirrors.model import BadMirror, addresses_of
from petition.mirrors.verifying import MAX_PROBLEMS, FolderSource, MirrorReport

ENDINGS = {".html", ".htm"}
_AGE = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


async def write(settings: Settings, database: Database, slug: str, target: Path, *, single: bool) -> list[str]:
    """Write a letter's copy; return what to print. Raises ``NotFound``, ``Gone``, ``BadMirror``, ``OSError``."""
    languages = i18n.load(settings.locales_dir)
    renderer = Renderer(languages, settings.base_url, settings.controller)
    wrapper = Wrapper(settings.secret_keys)
    maker = MirrorMaker(database, wrapper, renderer, addresses_of(settings))
    published = await PublishedLetters(database, wrapper).get(slug)
    if single:
        path = _file_in(target, slug)
        content = await maker.one_file(published, next(iter(languages)))
        folders.replace_file(path, content)
        lines = [f"{path}: {len(content):,} bytes"]
    else:
        files = await maker.folder(published)
        folders.replace(target, files)
        lines = [f"{target}: {len(files)} files, {sum(map(len, files.values())):,} bytes, signed in {MANIFEST}"]
    async with database.connection() as conn:
        return [*lines, f"key: {(await maker.signer(conn)).key}"]


def _file_in(target: Path, slug: str) -> Path:
    """Return the file to write: ``target`` itself if it is named as one, else one inside it."""
    return target if target.suffix in ENDINGS and not target.is_dir() else target / f"{slug}.html"


async def verify(target: str, key: str | None, max_age: timedelta | None) -> int:
    """Print what a copy is and what is wrong with it; return 1 if anything is."""
    try:
        report = await _report(target, None if key is None else read_public_key(key))
    except BadMirror as bad:
        print(f"wrong: {bad}")
        return 1
    now = datetime.now(UTC)
    for line in _lines(report, now, is_key_known=key is not None):
        print(line)
    late = verifying.age_problem(report, now, max_age)
    problems = [*report.problems, *([late] if late else [])]
    for problem in problems[:MAX_PROBLEMS]:
        print(f"wrong: {problem}")
    if len(problems) > MAX_PROBLEMS:
        print(f"wrong: {len(problems) - MAX_PROBLEMS} more")
    if not problems:
        print("everything is as it was signed")
    return 1 if problems else 0


async def _report(target: str, public_key: bytes | None) -> MirrorReport:
    if "://" in target:
        async with served(target) as source:
            return await verifying.verify_mirror(source, public_key)
    content = _content_of(Path(target))
    if content is None:
        return await verifying.verify_mirror(FolderSource(Path(target)), public_key)
    return verifying.verify_file(content, public_key)


def _content_of(path: Path) -> bytes | None:
    """Return a letter in one file, or None for a folder. Raises ``BadMirror`` if there is neither."""
    if path.is_dir():
        return None
    if not path.is_file():
        raise BadMirror(f"there is no {path}")
    with path.open("rb") as file:
        return file.read(sealing.MAX_FILE + 1)


def _lines(report: MirrorReport, now: datetime, *, is_key_known: bool) -> list[str]:
    age = max(now - report.written_at, timedelta())
    lines = [
        f"letter: {report.letter}",
        f"copy of {report.written_at:%Y-%m-%d %H:%M:%S} UTC ({_words(age)} old)",
        f"count of {report.counted_at:%Y-%m-%d %H:%M:%S} UTC: {report.total:,}",
        f"{report.files} file{'' if report.files == 1 else 's'}, {report.size:,} bytes",
        f"key: {report.key}",
    ]
    if report.log is not None and not report.log.problems:
        lines.append(f"count log: {report.log.size:,} entries make {report.log.total:,}")
        lines += [f"cosigned by {line}" for line in report.log.cosigned]
    if not is_key_known:
        lines.append("the copy itself names this key: compare it with the installation's, or give that one with --key")
    if not report.has_unlisted:
        lines.append("files that are not in the manifest cannot be seen from outside; no page of the copy links to one")
    return lines


def _words(age: timedelta) -> str:
    hours = int(age.total_seconds()) // 3600
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours >= 2 else f"{age.seconds // 60} minutes"


def read_public_key(text: str) -> bytes:
    """Return 32 bytes from name+hash+key, hexadecimal digits, base64, or a file with one of these.

    Raises ``PetitionError``.
    """
    text = text.strip()
    if len(text) < 200 and "\0" not in text and Path(text).is_file():
        text = Path(text).read_text(encoding="utf-8", errors="replace").strip()
    try:
        if text.count("+") >= 2:
            return signed_notes.read_key(text).public
        key = bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]{64}", text) else base64.b64decode(text, validate=True)
    except (BadNote, binascii.Error, ValueError):
        key = b""
    if len(key) != signed_notes.KEY_BYTES:
        raise PetitionError("--key must be an Ed25519 key as `petition mirror` prints it: name+hash+key")
    return key


def read_age(text: str) -> timedelta:
    """Return the age in "90m", "36h" or "2d". Raises ``ValueError``."""
    match = _AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no age like 90m, 36h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
