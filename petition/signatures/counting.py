"""The one module that moves counts: who counts, where, and in which order the rows are locked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, PartnerId, TallyId
from petition.count_log.entries import EntryKind, Exit
from petition.count_log.queued import QueuedEntry, of_organization, queued
from petition.letters import queries
from petition.signatures.model import Counts, Kind, Visibility
from petition.signatures.signals import PARTNER

# The definitions of contract.md in SQL. ``CountChange`` has the same rules, for one act.
COUNT_FROM_ROWS = """
SELECT s.people + t.people AS people, organizations, hidden,
       listed_people + listed_organizations + t.people AS imported, listed_people, listed_organizations
FROM (
  SELECT count(*) FILTER (WHERE kind = 'person') AS people,
         count(DISTINCT organization) FILTER (WHERE kind = 'organization') AS organizations,
         count(*) FILTER (WHERE kind = 'person' AND visibility <> 'public') AS hidden,
         count(*) FILTER (WHERE kind = 'person' AND import IS NOT NULL) AS listed_people,
         count(DISTINCT organization) FILTER (WHERE kind = 'organization' AND import IS NOT NULL)
           AS listed_organizations
  FROM signature WHERE letter = $1 AND state = 'confirmed'
) AS s, (SELECT coalesce(sum(people), 0)::bigint AS people FROM tally WHERE letter = $1 AND ended_at IS NULL) AS t
"""

MOVE_REVISION = "UPDATE letter SET revision = revision + 1, purges = purges + $2::integer WHERE id = $1"

MOVE_PARTNERS = """
WITH mine AS (
  SELECT c.letter, c.partner FROM unnest($1::integer[], $2::integer[]) AS u (letter, partner)
  JOIN count_partner c ON c.letter = u.letter AND c.partner = u.partner ORDER BY c.letter, c.partner FOR UPDATE OF c
)
UPDATE count_partner c SET people = c.people + u.people, representatives = c.representatives + u.representatives
FROM mine, unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[])
  AS u (letter, partner, people, representatives)
WHERE c.letter = mine.letter AND c.partner = mine.partner AND c.letter = u.letter AND c.partner = u.partner
"""

# Without an hour: in the present one.
MOVE_HOURS = """
INSERT INTO count_hour AS h (letter, hour, people, organizations, listed)
SELECT letter, coalesce(hour, date_trunc('hour', now())), sum(people)::bigint, sum(organizations)::bigint,
       sum(listed)::bigint
FROM unnest($1::integer[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS u (letter, hour, people, organizations, listed)
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (letter, hour) DO UPDATE SET people = h.people + excluded.people,
  organizations = h.organizations + excluded.organizations, listed = h.listed + excluded.listed
"""

# With a row for the count log of each entry, which the worker takes into the log (petition/count_log/).
MOVE_COUNTS = """
WITH mine AS (SELECT letter FROM count WHERE letter = ANY($1::integer[]) ORDER BY letter FOR UPDATE),
     queued AS (
  INSERT INTO count_log_queue (letter, kind, subject, number, exit)
  SELECT * FROM unnest($8::integer[], $9::smallint[], $10::bigint[], $11::bigint[], $12::smallint[])
)
UPDATE count c SET people = c.people + u.people, organizations = c.organizations + u.organizations,
       hidden = c.hidden + u.hidden, imported = c.imported + u.imported,
       listed_people = c.listed_people + u.listed_people,
       listed_organizations = c.listed_organizations + u.listed_organizations, changed_at = now()
FROM mine, unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
  AS u (letter, people, organizations, hidden, imported, listed_people, listed_organizations)
WHERE c.letter = mine.letter AND c.letter = u.letter
RETURNING c.letter, c.people, c.organizations, c.hidden, c.imported, c.listed_people, c.listed_organizations
"""

ENTRY_COLUMNS = 5  # letter, kind, subject, number, exit

LOAD_COUNTS = """
SELECT letter, people, organizations, hidden, imported, listed_people, listed_organizations
FROM count WHERE letter = ANY($1::integer[])
"""


def is_named_on_pages(signature: Record | Mapping[str, Any]) -> bool:
    """Return whether pages show a name because of a row that counts: of a person, representative or employer.

    An act that changes this must purge pages: a stale copy would show the name again.
    """
    return signature["visibility"] == Visibility.PUBLIC or signature["employer"] is not None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """Which of some organizations had a confirmed signature before an act, and which have one after it.

    The values are those of ``organization_queries.load_counted``: whether one of these signatures was imported.
    """

    before: Mapping[OrganizationId, bool]
    after: Mapping[OrganizationId, bool]

    @property
    def organizations(self) -> int:
        return len(self.after) - len(self.before)

    @property
    def imported(self) -> int:
        """How many more organizations count as imported."""
        return sum(self.after.values()) - sum(self.before.values())

    def by_hour(self, listed_at: Mapping[OrganizationId, datetime]) -> "Hours":
        """Return the change in the hours since which the organizations are listed, as far as ``listed_at`` says."""
        hours: dict[datetime, HourChange] = {}
        for organization_id, moment in listed_at.items():
            counts = (organization_id in self.after) - (organization_id in self.before)
            listed = self.after.get(organization_id, False) - self.before.get(organization_id, False)
            hour = hour_of(moment)
            hours[hour] = hours.get(hour, HourChange()) + HourChange(organizations=counts, listed=listed)
        return hours


@dataclass(frozen=True, slots=True)
class HourChange:
    """What an act changes in the history of an hour; ``listed`` are people and organizations of lists."""

    people: int = 0
    organizations: int = 0
    listed: int = 0

    def __add__(self, other: "HourChange") -> "HourChange":
        return HourChange(
            self.people + other.people, self.organizations + other.organizations, self.listed + other.listed
        )

    def __sub__(self, other: "HourChange") -> "HourChange":
        return HourChange(
            self.people - other.people, self.organizations - other.organizations, self.listed - other.listed
        )


Hours = Mapping[datetime, HourChange]  # by the beginning of the hour (UTC)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class CountChange:
    """How much an act adds to a letter's count, and to its partners'; negative numbers subtract.

    ``entries`` say the same to the count log, for each signature or number that counts or no longer does.
    ``hours`` is the part of it that stands in the history of other hours than the present one, in which all the rest
    does: what a file added or a tally counts, by the date of signing, and the same when it is undone.
    """

    people: int = 0
    organizations: int = 0
    hidden: int = 0
    imported: int = 0
    listed_people: int = 0
    listed_organizations: int = 0
    hours: Hours = field(default_factory=dict)
    partners: Mapping[tuple[PartnerId, Kind], int] = field(default_factory=dict)
    entries: tuple[QueuedEntry, ...] = field(default=(), compare=False)

    @classmethod
    def of_signature(
        cls,
        row: Record | Mapping[str, Any],
        visibility: str,
        *,
        import_number: int | None = None,
        sign: int = 1,
        exit: Exit = Exit.WITHDRAWN,
    ) -> "CountChange":
        """Return the change by a signature that starts to count; ``sign`` -1 if it stops, ``exit`` being why.

        ``row`` has id, kind and signals. A representative counts for the partner only; whether the organization counts,
        ``of_entries`` says.
        """
        kind, partner = Kind(row["kind"]), (row["signals"] or {}).get(PARTNER)
        partners = {(PartnerId(partner), kind): sign} if isinstance(partner, int) else {}
        if kind is Kind.ORGANIZATION:
            return cls(partners=partners)
        is_imported = import_number is not None
        return cls(
            people=sign,
            hidden=sign * (visibility != Visibility.PUBLIC),
            imported=sign * is_imported,
            listed_people=sign * is_imported,
            partners=partners,
            entries=queued(EntryKind.LISTED_PEOPLE, import_number, sign, exit)
            if import_number is not None
            else queued(EntryKind.PERSON, row["id"], sign, exit),
        )

    @classmethod
    def of_visibility(cls, before: str, after: str) -> "CountChange":
        """Return the change by a person who counts, and changes who may see the name."""
        return cls(hidden=(after != Visibility.PUBLIC) - (before != Visibility.PUBLIC))

    @classmethod
    def without_partner(cls, row: Record) -> "CountChange":
        """Return the change by a person who counts, and from now on for no partner (``signals.as_counted``)."""
        partner = (row["signals"] or {}).get(PARTNER)
        return cls(partners={(PartnerId(partner), Kind.PERSON): -1} if isinstance(partner, int) else {})

    @classmethod
    def of_entries(
        cls,
        change: EntryChange,
        listed_at: Mapping[OrganizationId, datetime] | None = None,
        exit: Exit = Exit.REGROUPED,
        exits: Mapping[OrganizationId, Exit] | None = None,
    ) -> "CountChange":
        """Return the change by organizations, those in ``listed_at`` in the hours that it says.

        ``exits`` say why those stop to count that do, ``exit`` of the others.
        """
        organizations = sorted(change.before.keys() | change.after.keys())
        entries = [
            of_organization(
                id, before=change.before.get(id), after=change.after.get(id), exit=(exits or {}).get(id, exit)
            )
            for id in organizations
        ]
        return cls(
            organizations=change.organizations,
            imported=change.imported,
            listed_organizations=change.imported,
            hours=change.by_hour(listed_at or {}),
            entries=tuple(entry for of_one in entries for entry in of_one),
        )

    @classmethod
    def of_list(
        cls, import_number: int, people_by_hour: Mapping[datetime, int], hidden: int = 0, sign: int = 1
    ) -> "CountChange":
        """Return the change by people of a file; ``sign`` -1 if they are taken out again."""
        people = sign * sum(people_by_hour.values())
        hours = {hour: HourChange(people=sign * n, listed=sign * n) for hour, n in people_by_hour.items()}
        entries = queued(EntryKind.LISTED_PEOPLE, import_number, people, Exit.UNDONE)
        return cls(
            people=people,
            hidden=sign * hidden,
            imported=people,
            listed_people=people,
            hours=hours,
            entries=entries,
        )

    @classmethod
    def of_tally(cls, tally_id: TallyId, people: int, counted_on: date) -> "CountChange":
        """Return the change by people on paper, at the beginning of the day on which they were counted."""
        hour = datetime.combine(counted_on, time.min, UTC)
        entries = queued(EntryKind.PAPER, tally_id, people, Exit.CORRECTED)
        return cls(people=people, imported=people, hours={hour: HourChange(people=people)}, entries=entries)

    def __add__(self, other: "CountChange") -> "CountChange":
        hours, partners = self.hours or other.hours, self.partners or other.partners
        if self.hours and other.hours:
            both, nothing = self.hours.keys() | other.hours.keys(), HourChange()
            hours = {hour: self.hours.get(hour, nothing) + other.hours.get(hour, nothing) for hour in both}
        if self.partners and other.partners:
            keys = self.partners.keys() | other.partners.keys()
            partners = {key: self.partners.get(key, 0) + other.partners.get(key, 0) for key in keys}
        return CountChange(
            people=self.people + other.people,
            organizations=self.organizations + other.organizations,
            hidden=self.hidden + other.hidden,
            imported=self.imported + other.imported,
            listed_people=self.listed_people + other.listed_people,
            listed_organizations=self.listed_organizations + other.listed_organizations,
            hours=hours,
            partners=partners,
            entries=self.entries + other.entries,
        )

    def by_hour(self) -> list[tuple[datetime | None, HourChange]]:
        """Return what changes in each hour; None is the present one."""
        present = HourChange(self.people, self.organizations, self.listed_people + self.listed_organizations)
        for change in self.hours.values():
            present -= change
        changes: list[tuple[datetime | None, HourChange]] = [*self.hours.items(), (None, present)]
        return [(hour, change) for hour, change in changes if change != HourChange()]

    @property
    def is_in_count(self) -> bool:
        """False if at most partners' counts change."""
        numbers = self.people, self.organizations, self.hidden, self.imported
        return any((*numbers, self.listed_people, self.listed_organizations, self.hours, self.entries))


async def apply(
    conn: Connection, letter_id: LetterId, change: CountChange, *, revision: bool = False, purge: bool = False
) -> None:
    """Move a letter's count as ``apply_all`` does, before it the revision if the ``revision`` of its pages changes.

    ``purge`` if a name that pages may show was taken back: then not even stale copies are served any more.
    """
    if revision or purge:
        await move_revision(conn, letter_id, purge=purge)
    await apply_all(conn, {letter_id: change})


async def apply_all(conn: Connection, changes: Mapping[LetterId, CountChange]) -> dict[LetterId, Counts]:
    """Move the counts of letters: partners', the hours', the letters'. Return the new counts of those that moved.

    The last statements of a transaction: from here to its end all others that count on these letters wait.
    """
    # lock order: see docs/decisions/lock-order.md
    await _move_partners(conn, changes)
    counted = [(letter_id, change) for letter_id, change in sorted(changes.items()) if change.is_in_count]
    await _move_hours(conn, counted)
    if not counted:
        return {}
    rows = [
        (
            letter_id,
            change.people,
            change.organizations,
            change.hidden,
            change.imported,
            change.listed_people,
            change.listed_organizations,
        )
        for letter_id, change in counted
    ]
    entries = [(letter_id, *entry.columns) for letter_id, change in counted for entry in change.entries]
    columns = zip(*entries, strict=True) if entries else [()] * ENTRY_COLUMNS
    return _counts_in(await conn.fetch(MOVE_COUNTS, *zip(*rows, strict=True), *columns))


async def _move_hours(conn: Connection, changes: Sequence[tuple[LetterId, CountChange]]) -> None:
    rows = [
        (letter_id, hour, part.people, part.organizations, part.listed)
        for letter_id, change in changes
        for hour, part in change.by_hour()
    ]
    if rows:
        await conn.execute(MOVE_HOURS, *zip(*rows, strict=True))


async def load_counts(conn: Connection, letter_ids: Sequence[LetterId]) -> dict[LetterId, Counts]:
    """Return the stored counts of letters, by letter."""
    return _counts_in(await conn.fetch(LOAD_COUNTS, letter_ids))


def _counts_in(rows: Sequence[Record]) -> dict[LetterId, Counts]:
    return {row["letter"]: queries.counts_in(row) for row in rows}


async def _move_partners(conn: Connection, changes: Mapping[LetterId, CountChange]) -> None:
    numbers: dict[tuple[LetterId, PartnerId], list[int]] = {}
    for letter_id, change in changes.items():
        for (partner_id, kind), number in change.partners.items():
            if number:
                numbers.setdefault((letter_id, partner_id), [0, 0])[kind is Kind.ORGANIZATION] += number
    if numbers:
        rows = [(letter, partner, people, others) for (letter, partner), (people, others) in sorted(numbers.items())]
        await conn.execute(MOVE_PARTNERS, *zip(*rows, strict=True))


async def move_revision(conn: Connection, letter_id: LetterId, *, purge: bool = False) -> None:
    """Invalidate cached pages of the letter; ``purge`` stale copies too, if something on them was taken back."""
    await conn.execute(MOVE_REVISION, letter_id, int(purge))


async def counts_from_rows(conn: Connection, letter_id: LetterId) -> Counts:
    """Return the count worked out from the rows: the stored one must always equal it."""
    row = await conn.fetchrow(COUNT_FROM_ROWS, letter_id)
    if row is None:
        raise LookupError("an aggregate always has one row")
    return queries.counts_in(row)
