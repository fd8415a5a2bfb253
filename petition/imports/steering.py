"""An organizer's steps of an import: upload, mapping, start, cancel, undo. The ``worker`` carries them out."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection, Database
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.form_values import MAX_INTEGER, number_of
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.formats.encodings import NAMES
from petition.formats.tables import CSV, DELIMITERS
from petition.imports import adding, adding_queries, column_mapping, kept_mappings, owner_mails, queries
from petition.imports.column_mapping import Plan
from petition.imports.file_info import FileInfo
from petition.imports.model import HAS_FILE, MAX_BYTES, ImportJob, ImportState, import_job_in
from petition.signatures import names_end_queries
from petition.signatures.self_service import NAMES_GONE

PART = 256 * 1024  # bytes that are encrypted and stored at once
MAX_OPEN = 5  # imports of a letter
MAX_FILE_NAME = 80  # characters

TOO_LARGE = N_("This file is larger than 32 MB. Split it, or save it as CSV.")
TOO_MANY = N_("This letter already has five unfinished imports. Finish or cancel one first.")
HAS_PROBLEMS = N_("Some rows cannot be imported. Correct the file, or choose to leave them out.")
NOTHING_TO_REDO = N_("There is nothing left to restore.")
PROVE = N_("Prove your second factor again to import e-mail addresses. Then press the button once more.")
WHAT = N_("Choose what to do.")


@dataclass(frozen=True, slots=True)
class MailboxRights:
    """Whether an organizer may import mailboxes (docs/decisions/import-silence.md)."""

    is_owner: bool
    is_fresh: bool  # the second factor was proved a short time ago

    @property
    def has_all(self) -> bool:
        return self.is_owner and self.is_fresh


class FileTooLarge(Exception):
    """The file is larger than ``MAX_BYTES``."""


async def begin(conn: Connection, actor: Actor) -> int:
    """Begin an import whose upload follows; return its number. Raises ``Refused``, ``Gone``."""
    await audit_log.hold_letter(conn, actor.letter_id)
    if await names_end_queries.have_ended(conn, actor.letter_id):
        raise Refused(NAMES_GONE, "file")
    number = await adding_queries.add_import(conn, actor.letter_id, actor.organizer_id, ImportState.UPLOADING.value)
    if await queries.count_open(conn, actor.letter_id) > MAX_OPEN:
        raise Refused(TOO_MANY, "file")
    return number


async def store(database: Database, actor: Actor, keys: LetterKeys, number: int, pieces: AsyncIterator[bytes]) -> int:
    """Encrypt and store a file as it arrives; return how many bytes. Raises ``FileTooLarge``, ``Gone``.

    Between two parts it holds no connection, and never more than one part in memory.
    """
    buffer, size, part = bytearray(), 0, 0

    async def store_part() -> None:
        content = keys.encrypt(bytes(buffer))
        async with database.transaction() as conn:
            await audit_log.hold_letter(conn, actor.letter_id)
            await queries.add_part(conn, actor.letter_id, number, part, content)
        buffer.clear()

    async for piece in pieces:
        buffer += piece
        size += len(piece)
        if size > MAX_BYTES:
            raise FileTooLarge
        if len(buffer) >= PART:
            await store_part()
            part += 1
    if buffer:
        await store_part()
    return size


async def finish_upload(conn: Connection, actor: Actor, keys: LetterKeys, number: int, name: str) -> None:
    """Hand a file over to the worker."""
    name = _plain(name)
    about, file = FileInfo(name).encrypt(keys), keys.hide({"name": name})
    await queries.finish_upload(conn, actor.letter_id, number, about, file)
    await audit_log.record_by(conn, actor, "import.upload", ids=[number])


def _plain(name: str) -> str:
    """Return a file's name without its folder and without unprintable characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:MAX_FILE_NAME]


async def load(conn: Connection, letter_id: LetterId, number: int) -> ImportJob:
    """Raises ``NotFound``."""
    row = await queries.load_job(conn, letter_id, number)
    if row is None:
        raise NotFound("there is no such import")
    return import_job_in(row)


async def advance(
    conn: Connection, actor: Actor, keys: LetterKeys, number: int, form: Mapping[str, str], rights: MailboxRights
) -> None:
    """Take the step that a form names. Raises ``Refused``, ``NotFound``."""
    job = await load(conn, actor.letter_id, number)
    # The buttons of sheets say which one to read, in place of a step.
    step = "again" if {"again", "guess"} & form.keys() else form.get("step", "")
    if step not in _STEPS:
        raise Refused(WHAT)
    if step == "check" and job.plan and number_of(form.get("header", "")) not in {None, job.plan.header}:
        step = "again"  # the columns on the page belong to another header
    before, after = _STEPS[step]
    changed = number_of(form.get("changed", ""))
    if changed is None or changed > MAX_INTEGER:
        raise Refused(TOO_LATE)  # a form without these figures may come from a page that displayed others
    fields = await _fields_to_store(conn, actor, keys, job, step, form, rights)
    states = tuple(state.value for state in before)
    if not await queries.move(conn, actor.letter_id, number, states, changed, after.value, **fields):
        raise Refused(TOO_LATE)
    if after is ImportState.CANCELLED:
        await queries.drop_parts(conn, actor.letter_id, number)
        await queries.drop_problems(conn, actor.letter_id, number)
    if step == "check" and form.get("mapping", "").strip():
        file, plan = FileInfo.decrypt(job.about, keys), Plan.of_json(fields["plan"])
        await kept_mappings.save(conn, actor, keys, form["mapping"], file, plan)
    if step in _ADDING and job.report.get("mailboxes", 1) and rights.has_all:
        await owner_mails.notify(conn, actor, number, step)
    if step in _LOGGED:
        await audit_log.record_by(
            conn, actor, f"import.{step}", ids=[number], before=job.state.value, after=after.value
        )


_STEPS: Mapping[str, tuple[tuple[ImportState, ...], ImportState]] = {
    "again": ((ImportState.MAPPING,), ImportState.READING),  # with another encoding or delimiter
    "check": ((ImportState.MAPPING,), ImportState.CHECKING),
    "back": ((ImportState.CHECKED,), ImportState.MAPPING),
    "start": ((ImportState.CHECKED,), ImportState.IMPORTING),
    "cancel": ((ImportState.UPLOADING, *HAS_FILE), ImportState.CANCELLED),
    "undo": ((ImportState.DONE,), ImportState.UNDOING),
    "redo": ((ImportState.UNDONE,), ImportState.REDOING),
}
_ADDING = {"start", "redo"}
_LOGGED = {"start", "cancel", "undo", "redo"}


async def _fields_to_store(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    job: ImportJob,
    step: str,
    form: Mapping[str, str],
    rights: MailboxRights,
) -> dict[str, Any]:
    """Return what a step changes besides the state. Raises ``Refused`` where it makes no sense."""
    if step == "again":
        return _reading_again(job, form)
    if step == "check" and job.state is ImportState.MAPPING and job.plan:
        file = FileInfo.decrypt(job.about, keys)
        return {"plan": column_mapping.parse_plan(form, file, job.plan).as_json()}
    if step == "start" and job.plan:
        if job.problems and form.get("skip") != "1":
            raise Refused(HAS_PROBLEMS, "skip")
        _check_mailboxes(job, rights, adding.MIN_MAILBOXES)
        plan = replace(job.plan, skip=bool(job.problems), same_names=form.get("names") == "add")
        return {"plan": replace(plan, mailboxes=rights.has_all).as_json()}
    if step == "redo":
        if not await queries.count_undone(conn, actor.letter_id, job.number):
            raise Refused(NOTHING_TO_REDO)
        _check_mailboxes(job, rights, 0)
        return {"plan": replace(job.plan or Plan(()), mailboxes=rights.has_all).as_json()}
    return {}


def _check_mailboxes(job: ImportJob, rights: MailboxRights, limit: int) -> None:
    """Refuse at once what the worker would refuse: it checks the rows that there are then."""
    mailboxes = job.report.get("mailboxes", 0)
    if not mailboxes:
        return
    if not rights.is_owner:
        raise Refused(adding.OWNERS_ONLY)
    if mailboxes < limit:
        raise Refused(adding.TOO_FEW_MAILBOXES)
    if not rights.is_fresh:
        raise Refused(PROVE)


def _reading_again(job: ImportJob, form: Mapping[str, str]) -> dict[str, Any]:
    """Return what reading a file again begins with. Raises ``Refused``."""
    fields: dict[str, Any] = {}
    if job.format == CSV:
        encoding, delimiter = form.get("encoding", ""), form.get("delimiter", "")
        if encoding not in NAMES or delimiter not in DELIMITERS:
            raise Refused(WHAT)
        fields = {"encoding": encoding, "delimiter": delimiter}
    before = job.plan or Plan(())
    sheet, header = number_of(form.get("again", "")), number_of(form.get("header", ""))
    if sheet is not None and sheet != before.sheet:
        header = None  # of another sheet
    choice = Plan((), sheet=before.sheet if sheet is None else sheet, header=header)
    return fields | {"plan": replace(choice, use_mapping=form.get("guess") != "1").as_json()}
