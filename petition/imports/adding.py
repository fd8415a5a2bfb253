"""Taking in signatories from a file: all of it or nothing, and nothing twice.

The rows are read, checked and staged first; then one statement adds them, so that people who confirm at the same time
hardly wait. E-mail addresses are digested while they are read and stand nowhere afterwards.
"""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

from petition.core import email_addresses
from petition.core.database import Connection, Record
from petition.core.email_addresses import Mailbox
from petition.core.encryption import LetterKeys
from petition.core.errors import Gone, ImportRefused
from petition.core.ids import LetterId, OrganizationId
from petition.formats import csv_rows, xlsx_reader
from petition.imports import adding_queries as queries
from petition.signatures import counting, countries, csv_format, organization_queries, organizations, search_words
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.csv_format import Entry, Problem, Row
from petition.signatures.model import Kind
from petition.signatures.organizations import OrganizationDirectory, OrganizationNames
from petition.signatures.stored_names import StoredNames, names_to_store

STEP = 500  # rows between two signs of progress

Progress = Callable[[int], None]  # how many rows were read
Entries = dict[
    OrganizationNames, tuple[int, datetime]
]  # organizations of a file: their number in it, since when they are listed


@dataclass(frozen=True, slots=True)
class Target:
    """The letter that signatories are taken into."""

    letter_id: LetterId
    keys: LetterKeys
    rules_version: int
    languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES  # in which countries are known


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do."""

    rows: int
    people: int
    organizations: int  # entries that were not counted before
    representatives: int  # signatures of organizations
    hidden: int
    known: int  # rows whose mailbox has signed, or that were imported before
    barred: int  # rows whose mailbox a moderator removed


async def add_rows(
    conn: Connection, target: Target, source: BinaryIO, *, dry_run: bool = False, progress: Progress = lambda _: None
) -> ImportReport:
    """Import every row of ``source`` in this transaction; with ``dry_run`` only tell what that would do.

    ``source`` is a CSV file, or a workbook (XLSX) with the same columns. Raises ``ImportRefused`` with a line for each
    row that cannot be taken in; then nothing is. Raises ``KeyDestroyed`` if the letter's keys are gone.
    """
    now = await organization_queries.now(conn)
    reader = RowReader(target, now, progress)
    found = xlsx_reader.rows(source) if xlsx_reader.is_workbook(source) else csv_rows.rows(source)
    await queries.stage(conn, reader.rows(csv_format.parse_rows(found, now, target.languages)))
    if reader.problems:
        raise ImportRefused(
            f"nothing was imported: {len(reader.problems)} of {reader.read} rows cannot be taken in",
            tuple(map(str, reader.problems)),
        )
    barred, made, change = await settle(conn, target.letter_id, reader.entries, None, dry_run=dry_run)
    return reported(reader.read, barred, made, change)


async def settle(
    conn: Connection, letter_id: LetterId, entries: "Entries", number: int | None, *, dry_run: bool
) -> tuple[int, Record, EntryChange]:
    """Add what is staged and not there yet, as import ``number`` (None: the next one); return how many mailboxes were
    barred, how many were added, and how the list's entries changed. Raises ``Gone`` if the letter was taken down."""
    if not await queries.hold_letter(conn, letter_id):
        raise Gone("the letter was taken down")
    barred = await queries.drop_barred(conn, letter_id)
    await queries.drop_known(conn, letter_id)
    found = await _place(conn, letter_id, entries)
    before = await organization_queries.load_counted(conn, letter_id, found.ids)
    if dry_run:
        return barred, await queries.staged(conn), EntryChange(before, before | dict.fromkeys(found.ids, True))
    if number is None:
        number = await queries.number(conn, letter_id)
    return barred, *await _add(conn, letter_id, number, found, before)


def reported(rows: int, barred: int, made: Record, change: EntryChange) -> ImportReport:
    """Return what became of ``rows``."""
    added = made["signatures"]
    return ImportReport(
        rows=rows,
        people=made["people"],
        organizations=change.organizations,
        representatives=added - made["people"],
        hidden=made["hidden"],
        known=rows - barred - added,  # one that was confirmed in this very moment is among them
        barred=barred,
    )


async def _place(conn: Connection, letter_id: LetterId, entries: "Entries") -> OrganizationDirectory:
    """Find or make the organizations that are left."""
    left = set(await queries.entries(conn))
    wanted = [(number, named, listed_at) for named, (number, listed_at) in entries.items() if number in left]
    found = await organizations.directory(conn, letter_id, [named for _, named, _ in wanted])
    places = [(number, found.find_or_create(named, listed_at)) for number, named, listed_at in wanted]
    if places:
        await queries.place(conn, *zip(*places, strict=True))
    return found


async def _add(
    conn: Connection,
    letter_id: LetterId,
    number: int,
    found: OrganizationDirectory,
    before: Mapping[OrganizationId, bool],
) -> tuple[Record, EntryChange]:
    await found.write(conn, before)
    made = await queries.add(conn, letter_id, number)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, found.ids))
    await organization_queries.delete_unused(conn, letter_id, [each for each in found.ids if each not in change.after])
    known_words = [(letter_id, Kind.PERSON, word) for word in await queries.words(conn, letter_id)]
    await search_words.add(conn, [*known_words, *await found.words(conn, change.after)])
    if made["signatures"]:
        count_change = CountChange.of_list(made["people"], made["hidden"]) + CountChange.of_entries(change)
        await counting.apply(conn, letter_id, count_change, revision=True)
    return made, change


class RowReader:
    """Turns what was read into rows to be stored, and remembers what was wrong.

    With ``skip`` rows with something wrong are left out; without it nothing is yielded any more after the first one.
    """

    def __init__(self, target: Target, now: datetime, progress: Progress = lambda _: None, *, skip: bool = False):
        self._target = target
        self._now = now
        self._progress = progress
        self._skip = skip
        self._alike: Counter[bytes] = Counter()
        self.problems: list[Problem] = []
        self.entries: Entries = {}
        self.read = 0

    def rows(self, found: Iterable[Row | Problem]) -> Iterator[tuple[object, ...]]:
        """Yield each row as ``import_queries.STAGED`` has it."""
        for row in found:
            self.read += 1
            if self.read % STEP == 0:
                self._progress(self.read)
            if isinstance(row, Problem):
                self.problems.append(row)
            elif self._skip or not self.problems:
                yield self._row(row.line, row.entry)
        self._progress(self.read)

    def _row(self, line: int, entry: Entry) -> tuple[object, ...]:
        keys = self._target.keys
        digest = keys.digest(self._mailbox(entry.email)) if entry.email else None
        how = _shown(entry, keys)
        return (
            *(line, secrets.randbits(63), entry.kind.value, digest, self._import_key(entry, digest), entry.signed_at),
            *(entry.visibility.value, entry.country),
            *(how.name, how.affiliation, how.city, how.name_key, how.private, self._entry(entry)),
        )

    def _mailbox(self, address: str) -> str:
        local, _, domain = address.rpartition("@")  # was read as an address already, which is most of the work
        return email_addresses.canonical(Mailbox(address, local, domain), self._target.rules_version)

    def _entry(self, entry: Entry) -> int | None:
        if entry.kind is Kind.PERSON:
            return None
        named, number = OrganizationNames(entry.name_en, entry.name_ru), len(self.entries)
        # The list keeps the order of the file among organizations of one time too: the first is the newest.
        listed_at = (entry.signed_at or self._now) - number * timedelta(microseconds=1)
        return self.entries.setdefault(named, (number, listed_at))[0]

    def _import_key(self, entry: Entry, digest: bytes | None) -> bytes:
        """Return what tells this row from all others of the file, the same one whenever it is read.

        Who may see the name does not count: the same person with another visibility is no second person.
        """
        moment = entry.signed_at.isoformat() if entry.signed_at else None
        content = (entry.kind, entry.name, entry.name_en, entry.name_ru, digest and digest.hex(), entry.affiliation)
        text = json.dumps(["import", *content, entry.city, entry.country, moment], ensure_ascii=False)
        key = self._target.keys.digest(text)
        nth = self._alike[key]
        self._alike[key] += 1
        return self._target.keys.digest(f"{text} {nth}") if nth else key


def _shown(entry: Entry, keys: LetterKeys) -> StoredNames:
    """Return how the names are stored. A row says nothing of who signs for an organization."""
    if entry.kind is Kind.ORGANIZATION:
        return StoredNames()
    told = {"name": entry.name, "affiliation": entry.affiliation, "city": entry.city}
    fields = {key: value for key, value in told.items() if value}
    return names_to_store(keys, Kind.PERSON, fields | {"visibility": entry.visibility.value})
