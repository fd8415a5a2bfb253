"""What ``petition signatures …`` does: signatories in and out, organizations that wait."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.errors import Gone, ImportRefused, NotFound, PetitionError
from petition.core.keeper import NO_KEEPER, KeeperClient
from petition.exports import whole_letter
from petition.exports.writers import Format
from petition.imports import file_adding
from petition.imports.adding import ImportReport
from petition.imports.file_adding import NO_ANSWERS, Answers, FileResult
from petition.imports.row_reading import Target
from petition.letters import queries as letters
from petition.letters import switch_queries
from petition.letters.keys import keys_of
from petition.letters.model import State
from petition.signatures import approval
from petition.signatures.approval import Held


async def import_file(
    database: Database,
    wrapper: Wrapper,
    slug: str,
    path: Path,
    *,
    dry_run: bool = False,
    answers: Answers = NO_ANSWERS,
    keeper: KeeperClient = NO_KEEPER,
) -> None:
    """Take in signatories from a file and say what that changed.

    Raises ``NotFound``, ``ImportRefused``, ``KeyDestroyed``.
    """
    try:
        source = path.open("rb")
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror}") from None
    with source, _Progress("rows read") as progress:
        async with database.transaction() as conn:
            row = await _letter(conn, slug)
            target = Target(row["id"], keys_of(row, wrapper, row["id"]), row["rules_version"])
            result = await file_adding.add_rows(
                conn, target, source, dry_run=dry_run, progress=progress, answers=answers, keeper=keeper
            )
    for line in _notes(result):
        print(line, file=sys.stderr)
    _say(_summary(result.report, dry_run=dry_run))


async def export(database: Database, wrapper: Wrapper, slug: str, form: str, out: BinaryIO) -> None:
    """Write signatories to ``out``. Raises ``NotFound``, ``KeyDestroyed``; ``PetitionError`` if ``out`` cannot be."""
    if form == Format.XLSX and out.isatty():
        raise PetitionError("a workbook is not for the terminal; write it to a file: … > signatories.xlsx")
    try:
        async with database.transaction() as conn:
            row = await _letter(conn, slug)
            await whole_letter.write(conn, row["id"], keys_of(row, wrapper, row["id"]), Format(form), _Out(out))
    except _CannotWrite as failed:
        raise failed.error from None
    out.flush()


async def held(database: Database, wrapper: Wrapper, slug: str) -> None:
    """Say which organizations wait, with what their representatives typed, unless all names are hidden.

    Raises ``NotFound``, ``KeyDestroyed``.
    """
    async with database.transaction() as conn:
        row = await _letter(conn, slug)
        hides = (await switch_queries.of_letter(conn, row["id"])).list_hidden
        waiting = await approval.held(conn, row["id"], keys_of(row, wrapper, row["id"]))
    for signature in waiting:
        _say(_line(signature.without_names() if hides else signature))
    if waiting and hides:
        print("all names are hidden: `petition switch` shows them again", file=sys.stderr)
    if not waiting:
        print("no organizations are waiting", file=sys.stderr)


async def _letter(conn: Connection, slug: str) -> Record:
    row = await letters.by_slug(conn, slug)
    if row is None:
        raise NotFound(f"there is no letter {slug}")
    if row["state"] == State.GONE:
        raise Gone(f"the letter {slug} was taken down")
    return row


def _summary(report: ImportReport, *, dry_run: bool) -> str:
    verb = "would take" if dry_run else "took"
    lines = [
        f"{report.rows} rows read",
        f"{verb} {report.people} people ({report.hidden} of them without a public name)",
        f"{verb} {report.organizations} organizations ({report.representatives} rows)",
        f"{report.known} rows were imported before",
    ]
    if report.repeated:
        lines.append(f"{report.repeated} rows left out: an earlier row has the same mailbox")
    if report.same_names:
        names = "names that are there already, from an earlier import"
        lines.append(f"{report.same_names} rows left out: {names} (--add-same-names adds them)")
    if report.left_out:
        lines.append(f"{report.left_out} rows left out: totals, headers in between")
    if report.mailboxes:
        lines.append("mailboxes that have signed or were removed are counted once or not at all; none is named")
    return "\n".join(lines)


def _notes(result: FileResult) -> Iterator[str]:
    """Yield what was guessed, left out or put right."""
    for title, name in result.columns:
        yield f"column {title or '(no title)'}: {file_adding.field_name(name)}"
    for group in result.notes:
        more = ", …" if group.rows > len(group.lines) else ""
        lines = ", ".join(group.lines) + more
        yield f"left out or put right: {group.column}: {group.reason} ({group.rows}; lines {lines})"
    for row in result.left_out[:20]:
        yield f"line {row.line} left out: {row.reason}"
    for line, first in result.repeated[:20]:
        yield f"line {line} left out: line {first} has the same mailbox"
    for number, rows in result.same_names.by_import.items():
        yield f"{rows} names that are there already are from import {number}"


def _line(signature: Held) -> str:
    """Return one line: the id to approve, tab, the names; then what else is known, each with its tab."""
    names = " // ".join(filter(None, (signature.organization_en, signature.organization_ru)))
    person = ", ".join(filter(None, (signature.representative, signature.position)))
    signals = " ".join(f"{key}={value}" for key, value in sorted(signature.signals.items()))
    cells = (
        str(signature.id),
        names,
        signature.website,
        person,
        signature.country,
        f"{signature.signed_at:%Y-%m-%d}",
        signals,
    )
    return "\t".join(cell or "-" for cell in cells)


class _CannotWrite(Exception):
    """The reader of the output has gone, or the disk is full: not to be mistaken for a lost database."""

    def __init__(self, error: OSError) -> None:
        self.error = error


class _Out(io.RawIOBase, BinaryIO):
    """Writes on to a file; its errors are kept apart from the database's."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return self._out.write(data)
        except OSError as error:
            raise _CannotWrite(error) from None


class _Progress:
    """Counts on a terminal, in one line; says nothing anywhere else."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_terminal = sys.stderr.isatty()
        self._counted = False

    def __call__(self, count: int) -> None:
        if self._is_terminal:
            self._counted = True
            print(f"\r{count:,} {self._what}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._counted:
            print(file=sys.stderr)


def _say(text: str) -> None:
    print(text)
