"""Imports as organizers steer them: upload, mapping, start, cancel, undo. The work is the worker's (``jobs``)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection, Database
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.formats.encodings import NAMES
from petition.formats.tables import CSV, DELIMITERS
from petition.imports import adding_queries, column_mapping, queries
from petition.imports.model import MAX_BYTES, FileInfo, ImportJob, ImportState, import_job_in

PART = 256 * 1024  # bytes that are encrypted and stored at once
MAX_UNDER_WAY = 5

TOO_LARGE = N_("This file is larger than 32 MB. Split it, or save it as CSV.")
TOO_MANY = N_("This letter already has five unfinished imports. Finish or cancel one first.")
HAS_PROBLEMS = N_("Some rows cannot be imported. Correct the file, or choose to leave them out.")
NOTHING_TO_REDO = N_("There is nothing left to restore.")
WHAT = N_("Choose what to do.")


class Oversized(Exception):
    """The file is larger than ``MOST_BYTES``."""


async def begin(conn: Connection, actor: Actor) -> int:
    """Begin an import whose file is about to come; return its number. Raises ``Refused``, ``Gone``."""
    await audit_log.hold_letter(conn, actor.letter_id)
    number = await adding_queries.number(conn, actor.letter_id, actor.organizer_id, ImportState.UPLOADING.value)
    if await queries.under_way(conn, actor.letter_id) > MAX_UNDER_WAY:
        raise Refused(TOO_MANY, "file")
    return number


async def store(database: Database, actor: Actor, keys: LetterKeys, number: int, pieces: AsyncIterator[bytes]) -> int:
    """Encrypt and keep a file as it comes in; return how many bytes. Raises ``Oversized``, ``Gone``.

    Between two parts nothing is held, neither a connection nor more than one part.
    """
    held, size, part = bytearray(), 0, 0
    async for piece in pieces:
        held += piece
        size += len(piece)
        if size > MAX_BYTES:
            raise Oversized
        if len(held) >= PART:
            await _keep(database, actor, keys, number, part, bytes(held))
            held.clear()
            part += 1
    if held:
        await _keep(database, actor, keys, number, part, bytes(held))
    return size


async def _keep(database: Database, actor: Actor, keys: LetterKeys, number: int, part: int, content: bytes) -> None:
    async with database.transaction() as conn:
        await audit_log.hold_letter(conn, actor.letter_id)
        await queries.add_part(conn, actor.letter_id, number, part, keys.encrypt(content))


async def uploaded(conn: Connection, actor: Actor, keys: LetterKeys, number: int, name: str) -> None:
    """Hand a file over to the worker."""
    await queries.uploaded(conn, actor.letter_id, number, FileInfo(_plain(name)).hidden(keys))
    await audit_log.record_by(conn, actor, "import.upload", ids=[number])


def _plain(name: str) -> str:
    """Return a file's name without its folder and without what cannot be seen."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:100]


async def read(conn: Connection, letter_id: LetterId, number: int) -> ImportJob:
    """Return an import. Raises ``NotFound``."""
    row = await queries.one(conn, letter_id, number)
    if row is None:
        raise NotFound("there is no such import")
    return import_job_in(row)


async def advance(conn: Connection, actor: Actor, keys: LetterKeys, number: int, form: Mapping[str, str]) -> None:
    """Do the step that a form asks for. Raises ``Refused``, ``NotFound``."""
    now = await read(conn, actor.letter_id, number)
    step = form.get("step", "")
    if step not in _STEPS:
        raise Refused(WHAT)
    before, after = _STEPS[step]
    more = await _asked(conn, actor, keys, now, step, form)
    seen = int(form["changed"]) if form.get("changed", "").isdecimal() and len(form["changed"]) < 9 else None
    wanted = tuple(each.value for each in before)
    if not await queries.move(conn, actor.letter_id, number, wanted, seen, after.value, **more):
        raise Refused(TOO_LATE)
    if after is ImportState.CANCELLED:
        await queries.drop_parts(conn, actor.letter_id, number)
    if step in _LOGGED:
        await audit_log.record_by(
            conn, actor, f"import.{step}", ids=[number], before=now.state.value, after=after.value
        )


_STEPS: Mapping[str, tuple[tuple[ImportState, ...], ImportState]] = {
    "again": ((ImportState.MAPPING,), ImportState.READING),  # with another encoding or delimiter
    "check": ((ImportState.MAPPING,), ImportState.CHECKING),
    "back": ((ImportState.CHECKED,), ImportState.MAPPING),
    "start": ((ImportState.CHECKED,), ImportState.IMPORTING),
    "cancel": (
        (
            ImportState.UPLOADING,
            ImportState.READING,
            ImportState.MAPPING,
            ImportState.CHECKING,
            ImportState.CHECKED,
            ImportState.IMPORTING,
        ),
        ImportState.CANCELLED,
    ),
    "undo": ((ImportState.DONE,), ImportState.UNDOING),
    "redo": ((ImportState.UNDONE,), ImportState.REDOING),
}
_LOGGED = {"start", "cancel", "undo", "redo"}


async def _asked(
    conn: Connection, actor: Actor, keys: LetterKeys, now: ImportJob, step: str, form: Mapping[str, str]
) -> dict[str, Any]:
    """Return what else a step changes. Raises ``Refused`` where it makes no sense."""
    if step == "again" and now.format == CSV:
        encoding, delimiter = form.get("encoding", ""), form.get("delimiter", "")
        if encoding in NAMES and delimiter in DELIMITERS:
            return {"encoding": encoding, "delimiter": delimiter}
        raise Refused(WHAT)
    if step == "check" and now.state is ImportState.MAPPING:
        about = FileInfo.revealed(now.about, keys)
        return {"plan": column_mapping.plan_of(form, len(about.header), about.orders).as_json()}
    if step == "start" and now.plan and now.problems:
        if form.get("skip") != "1":
            raise Refused(HAS_PROBLEMS, "skip")
        return {"plan": now.plan.as_json() | {"skip": True}}
    if step == "redo" and not await queries.undone(conn, actor.letter_id, now.number):
        raise Refused(NOTHING_TO_REDO)
    return {}
