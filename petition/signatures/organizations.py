"""Organizations as records: whoever signs for one that is there already is attached to it, by either of its names."""

import secrets
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId
from petition.signatures import names
from petition.signatures import organization_queries as queries
from petition.signatures.model import Kind


@dataclass(frozen=True, slots=True)
class OrganizationNames:
    """An organization as somebody names it; at least one name is there."""

    name_en: str | None
    name_ru: str | None
    website: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Return what its names fold to."""
        return tuple(names.organization_key(name) for name in (self.name_en, self.name_ru) if name)


@dataclass(slots=True)
class _Entry:
    id: OrganizationId
    name_en: str | None
    name_ru: str | None
    website: str | None
    listed_at: datetime | None = None  # of a new one
    merged: bool = False
    completed: bool = False

    @property
    def key_en(self) -> str | None:
        return names.organization_key(self.name_en) if self.name_en else None

    @property
    def key_ru(self) -> str | None:
        return names.organization_key(self.name_ru) if self.name_ru else None

    @property
    def name_key(self) -> str:
        return names.fold(" ".join(filter(None, (self.name_en, self.name_ru))))

    def columns(self) -> tuple[object, ...]:
        return (self.id, self.name_en, self.name_ru, self.website, self.key_en, self.key_ru, self.name_key)


@dataclass(slots=True)
class OrganizationDirectory:
    """The organizations of one letter that some names lead to. Nothing is written before ``write``."""

    letter_id: LetterId
    _by_key: dict[str, _Entry] = field(default_factory=dict)
    _found: dict[OrganizationId, tuple[_Entry, datetime]] = field(default_factory=dict)

    def add_known(self, row: Record) -> None:
        """Take in an organization that is there. Of several with one name, the first is the one it leads to."""
        record = _Entry(row["id"], row["name_en"], row["name_ru"], row["website"], merged=row["merged"])
        for key in filter(None, (row["key_en"], row["key_ru"])):
            self._by_key.setdefault(key, record)

    def find_or_create(self, named: OrganizationNames, listed_at: datetime) -> OrganizationId:
        """Return the id of the organization ``named``, a new one's if it is not there.

        A name or a website that it lacks is added to it. Where the two names lead to two organizations it is the
        first one, and both stay as they are: to merge them is for a person to decide.
        """
        known = {id(record): record for key in named.keys if (record := self._by_key.get(key))}
        record = next(iter(known.values()), None)
        if record is None:
            record = _Entry(
                OrganizationId(secrets.randbits(63)), named.name_en, named.name_ru, named.website, listed_at
            )
        elif len(known) == 1 and not record.merged:
            self._complete(record, named)
        for key in named.keys:
            self._by_key.setdefault(key, record)
        self._found.setdefault(record.id, (record, listed_at))
        return record.id

    @property
    def ids(self) -> list[OrganizationId]:
        """Return the ids of all that were placed."""
        return list(self._found)

    async def write(self, conn: Connection, shown_before: Iterable[int]) -> None:
        """Write new organizations and what was added to others; list those now that were not shown before."""
        before = set(shown_before)
        records = [record for record, _ in self._found.values()]
        new = [(record.listed_at, *record.columns()) for record in records if record.listed_at is not None]
        completed = [record.columns() for record in records if record.completed and record.listed_at is None]
        again = [
            (record.id, listed_at)
            for record, listed_at in self._found.values()
            if record.listed_at is None and record.id not in before
        ]
        for write, rows in ((queries.add, new), (queries.complete, completed), (queries.list_now, again)):
            if rows:
                await write(conn, self.letter_id, rows)

    async def words(self, conn: Connection, shown: Container[OrganizationId]) -> list[tuple[LetterId, Kind, str]]:
        """Return the words under which those placed are found that are among ``shown`` now.

        Call it after ``write``: whoever was led there by a name that was merged into another knows only that name.
        """
        keys = await queries.name_keys(conn, self.letter_id, [each for each in self._found if each in shown])
        return [(self.letter_id, Kind.ORGANIZATION, word) for key in keys for word in names.words(key)]

    def _complete(self, record: _Entry, named: OrganizationNames) -> None:
        if not record.name_en and named.name_en and names.organization_key(named.name_en) != record.key_ru:
            record.name_en, record.completed = named.name_en, True
        if not record.name_ru and named.name_ru and names.organization_key(named.name_ru) != record.key_en:
            record.name_ru, record.completed = named.name_ru, True
        if not record.website and named.website:
            record.website, record.completed = named.website, True


async def directory(
    conn: Connection, letter_id: LetterId, wanted: Sequence[OrganizationNames]
) -> OrganizationDirectory:
    """Return the directory for ``wanted``. Nobody else is given this letter's until the transaction ends."""
    await queries.lock(conn, letter_id)
    found = OrganizationDirectory(letter_id)
    for row in await queries.find(conn, letter_id, sorted({key for named in wanted for key in named.keys})):
        found.add_known(row)
    return found
