"""The rows of a file, checked, turned into what is staged: keys, digests, the columns of names."""

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from petition.core import email_addresses
from petition.core.email_addresses import Mailbox
from petition.core.encryption import KeyedDigest, LetterKeys
from petition.core.ids import LetterId
from petition.imports.column_mapping import LeftOut
from petition.imports.notes import Notes
from petition.imports.plain_rows import PlainRow
from petition.imports.same_names import NameComparison
from petition.imports.staged_rows import NO_NAMES, NULL, StagedRow, as_text
from petition.signatures import countries
from petition.signatures.csv_format import Entry, Problem, Row
from petition.signatures.model import Kind, Visibility
from petition.signatures.organizations import OrganizationNames
from petition.signatures.stored_names import StoredNames, names_to_store

STEP = 500  # rows between two calls of a Progress
RANDOM_IDS = 1024  # made at once

Progress = Callable[[int], None]  # called with the number of rows read
# The organizations of a file: their number in it, and since when they are listed.
Entries = dict[OrganizationNames, tuple[int, datetime]]


@dataclass(frozen=True, slots=True)
class Target:
    """The letter that signatories are imported into."""

    letter_id: LetterId
    keys: LetterKeys
    rules_version: int
    languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES  # of the names of countries


class RowReader:
    """Turns the rows of a file into rows to stage, and collects problems and notes.

    With ``skip`` rows with problems are left out; without it nothing is yielded after the first problem. With ``names``
    the digests of names are staged too. In a ``dry_run`` no name is staged: it would only be counted, and might be
    written to the database's disk. ``keep`` yields the whole rows as well, to be kept for the import.
    """

    def __init__(
        self,
        target: Target,
        now: datetime,
        progress: Progress = lambda _: None,
        *,
        skip: bool = False,
        names: NameComparison | None = None,
        dry_run: bool = False,
        keep: bool = False,
    ):
        self._target = target
        self._now = now
        self._progress = progress
        self._skip = skip
        self._names = names
        self._dry_run = dry_run
        self._keep = keep
        target.keys.digest("")  # raises if the key was destroyed
        self._digest = KeyedDigest(target.keys.digest_key or b"").digest
        self._ids = _random_ids()
        self._repeated: dict[bytes, int] = {}  # by import key
        self.problems: list[Problem] = []
        self.left_out: list[LeftOut] = []
        self.notes = Notes()
        self.entries: Entries = {}
        self.read = 0

    @property
    def staged(self) -> int:
        """The number of rows that can be imported."""
        return self.read - len(self.problems) - len(self.left_out)

    def rows(self, rows: Iterable[Row | Problem | LeftOut | PlainRow]) -> Iterator[StagedRow]:
        """Yield the columns ``adding_queries.STAGED`` of each row, as COPY reads them."""
        for row in rows:
            self.read += 1
            if self.read % STEP == 0:
                self._progress(self.read)
            if isinstance(row, tuple):
                if self._skip or not self.problems:
                    yield self._of_plain(row)
            elif isinstance(row, Problem):
                self.problems.append(row)
            elif isinstance(row, LeftOut):
                self.left_out.append(row)
            else:
                for note in row.notes:
                    self.notes.add(note.column, note.reason, str(row.line))
                if self._skip or not self.problems:
                    yield self._of_entry(row.line, row.entry)
        self._progress(self.read)

    def _of_plain(self, row: PlainRow) -> StagedRow:
        line, name, name_key, address, (affiliation, city, country, moment, visibility) = row
        digest = self._digest(address) if address else None
        mailbox, column = (f'"{digest.hex()}"', f"\\\\x{digest.hex()}") if digest else ("null", NULL)
        key = self._import_key(
            f'["import", "person", "{name}", null, null, {mailbox}, {affiliation[1]}, {city[1]}, {country[1]},'
            f" {moment[1]}]"
        )
        begin = (
            f"{line}\t{next(self._ids)}\tperson\t{column}\t\\\\x{key.hex()}\t{moment[2]}\t{visibility[2]}\t{country[2]}"
        )
        end = "\\N\t\\N\t\\N"
        if self._names:
            digests = self._names.digests_of(self._names.person(name), affiliation[0], city[0])
            end = f"{NULL}\t{as_text(digests[0])}\t{as_text(digests[1])}"
        if self._dry_run and not self._keep:
            return f"{begin}\t{NO_NAMES}\t{end}\n", ""
        if visibility[0] == Visibility.PUBLIC:
            names = f"{name}\t{affiliation[2]}\t{city[2]}\t{name_key}\t\\N"
        else:
            fields = {"name": name, "affiliation": affiliation[0], "city": city[0]}
            hidden = self._target.keys.hide({field: text for field, text in fields.items() if text})
            names = f"\\N\t\\N\t\\N\t\\N\t\\\\x{hidden.hex()}"
        return self._both(begin, names, end)

    def _of_entry(self, line: int, entry: Entry) -> StagedRow:
        digest = self._digest(self._mailbox(entry.email)) if entry.email else None
        is_named = self._keep or not self._dry_run
        stored = _stored_names(entry, self._target.keys) if is_named else StoredNames()
        begin = (
            line,
            next(self._ids),
            entry.kind.value,
            digest,
            self._key_of(entry, digest),
            entry.signed_at,
            entry.visibility.value,
            entry.country,
        )
        names = (stored.name, stored.affiliation, stored.city, stored.name_key, stored.private)
        end = (self._entry(entry), *(self._names.digests(entry) if self._names else (None, None)))
        return self._both(*("\t".join(map(as_text, columns)) for columns in (begin, names, end)))

    def _both(self, begin: str, names: str, end: str) -> StagedRow:
        whole = f"{begin}\t{names}\t{end}\n"
        return f"{begin}\t{NO_NAMES}\t{end}\n" if self._dry_run else whole, whole if self._keep else ""

    def _mailbox(self, address: str) -> str:
        local, _, domain = address.rpartition("@")  # parsed as an address before, which is most of the work
        return email_addresses.canonical(Mailbox(address, local, domain), self._target.rules_version)

    def _entry(self, entry: Entry) -> int | None:
        if entry.kind is Kind.PERSON:
            return None
        names, number = OrganizationNames(entry.name_en, entry.name_ru), len(self.entries)
        # Among organizations of one time the list has the order of the file: the first is the newest.
        listed_at = (entry.signed_at or self._now) - number * timedelta(microseconds=1)
        return self.entries.setdefault(names, (number, listed_at))[0]

    def _key_of(self, entry: Entry, digest: bytes | None) -> bytes:
        moment = entry.signed_at.isoformat() if entry.signed_at else None
        content = (entry.kind, entry.name, entry.name_en, entry.name_ru, digest and digest.hex(), entry.affiliation)
        return self._import_key(json.dumps(["import", *content, entry.city, entry.country, moment], ensure_ascii=False))

    def _import_key(self, text: str) -> bytes:
        """Return a digest of the row that is unique in the file and the same whenever the file is read.

        Without the visibility: the same person with another one is no second person.
        """
        key = self._digest(text)
        repetition = self._repeated.get(key, 0)
        self._repeated[key] = repetition + 1
        return self._digest(f"{text} {repetition}") if repetition else key


def _random_ids() -> Iterator[int]:
    """Yield random numbers of 63 bits."""
    while True:
        yield from (number >> 1 for number in array("Q", os.urandom(8 * RANDOM_IDS)))


def _stored_names(entry: Entry, keys: LetterKeys) -> StoredNames:
    if entry.kind is Kind.ORGANIZATION:  # a row does not say who signs for it
        return StoredNames()
    columns = {"name": entry.name, "affiliation": entry.affiliation, "city": entry.city}
    fields = {key: value for key, value in columns.items() if value}
    return names_to_store(keys, Kind.PERSON, fields | {"visibility": entry.visibility.value})
