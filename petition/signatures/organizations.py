"""Organizations as records: a signature for a known organization is attached to it, by either of its names."""

import secrets
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId
from petition.signatures import names
from petition.signatures import organization_queries as queries
from petition.signatures.model import Kind


@dataclass(frozen=True, slots=True)
class OrganizationNames:
    """An organization as a representative or a file names it; at least one name is set."""

    name_en: str | None
    name_ru: str | None
    website: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(names.organization_key(name) for name in (self.name_en, self.name_ru) if name)


@dataclass(slots=True)
class _OrganizationEntry:
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

    def complete(self, named: OrganizationNames) -> None:
        """Add a name or a website that is missing."""
        if not self.name_en and named.name_en and names.organization_key(named.name_en) != self.key_ru:
            self.name_en, self.completed = named.name_en, True
        if not self.name_ru and named.name_ru and names.organization_key(named.name_ru) != self.key_en:
            self.name_ru, self.completed = named.name_ru, True
        if not self.website and named.website:
            self.website, self.completed = named.website, True


@dataclass(slots=True)
class OrganizationDirectory:
    """The organizations of one letter under some names. Nothing is stored before ``write``."""

    letter_id: LetterId
    _by_key: dict[str, _OrganizationEntry] = field(default_factory=dict)
    _entries: dict[OrganizationId, tuple[_OrganizationEntry, datetime]] = field(default_factory=dict)

    def add_known(self, row: Record) -> None:
        """Add a stored organization. Of several with one name, the first is found under it."""
        entry = _OrganizationEntry(row["id"], row["name_en"], row["name_ru"], row["website"], merged=row["merged"])
        for key in filter(None, (row["key_en"], row["key_ru"])):
            self._by_key.setdefault(key, entry)

    def find_or_create(self, named: OrganizationNames, listed_at: datetime) -> OrganizationId:
        """Return the id of the organization, a new one's if it is not known.

        A missing name or website is added to a known one. Where the two names lead to two organizations, it is the
        first of them and both stay as they are: merging them is a moderator's decision.
        """
        known = {id(entry): entry for key in named.keys if (entry := self._by_key.get(key))}
        entry = next(iter(known.values()), None)
        if entry is None:
            organization_id = OrganizationId(secrets.randbits(63))
            entry = _OrganizationEntry(organization_id, named.name_en, named.name_ru, named.website, listed_at)
        elif len(known) == 1 and not entry.merged:
            entry.complete(named)
        for key in named.keys:
            self._by_key.setdefault(key, entry)
        self._entries.setdefault(entry.id, (entry, listed_at))
        return entry.id

    @property
    def ids(self) -> list[OrganizationId]:
        return list(self._entries)

    async def write(self, conn: Connection, counted_before: Container[OrganizationId]) -> None:
        """Store new organizations and additions; list those from now on that did not count before."""
        entries = [entry for entry, _ in self._entries.values()]
        new = [(entry.listed_at, *entry.columns()) for entry in entries if entry.listed_at is not None]
        completed = [entry.columns() for entry in entries if entry.completed and entry.listed_at is None]
        relisted = [
            (entry.id, listed_at)
            for entry, listed_at in self._entries.values()
            if entry.listed_at is None and entry.id not in counted_before
        ]
        for store, rows in ((queries.add, new), (queries.complete, completed), (queries.list_now, relisted)):
            if rows:
                await store(conn, self.letter_id, rows)

    async def words(self, conn: Connection, counted: Container[OrganizationId]) -> list[tuple[LetterId, Kind, str]]:
        """Return the search words of the organizations that are in ``counted``.

        They are read from the database, after ``write``: an organization may have been found by a name that was merged
        into another.
        """
        counted_ids = [organization_id for organization_id in self._entries if organization_id in counted]
        keys = await queries.name_keys(conn, self.letter_id, counted_ids)
        return [(self.letter_id, Kind.ORGANIZATION, word) for key in keys for word in names.words(key)]


async def directory(conn: Connection, letter_id: LetterId, named: Sequence[OrganizationNames]) -> OrganizationDirectory:
    """Return the directory for these names. The letter's organizations are locked until the transaction ends."""
    # lock order: see docs/decisions/lock-order.md
    await queries.lock(conn, letter_id)
    organizations = OrganizationDirectory(letter_id)
    for row in await queries.find(conn, letter_id, sorted({key for one in named for key in one.keys})):
        organizations.add_known(row)
    return organizations
