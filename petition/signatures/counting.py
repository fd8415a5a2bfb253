"""The one module that moves counts: who counts, where, and in which order the rows are locked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, PartnerId
from petition.signatures.model import Counts, Kind, Visibility
from petition.signatures.signals import PARTNER

# The definitions of contract.md in SQL. ``CountChange`` has the same rules, for one act.
COUNT_FROM_ROWS = """
SELECT count(*) FILTER (WHERE kind = 'person') + (SELECT coalesce(sum(people), 0) FROM tally
         WHERE letter = $1 AND ended_at IS NULL) AS people,
       count(DISTINCT organization) FILTER (WHERE kind = 'organization') AS organizations,
       count(*) FILTER (WHERE kind = 'person' AND visibility <> 'public') AS hidden,
       count(*) FILTER (WHERE kind = 'person' AND import IS NOT NULL)
         + count(DISTINCT organization) FILTER (WHERE kind = 'organization' AND import IS NOT NULL)
         + (SELECT coalesce(sum(people), 0) FROM tally WHERE letter = $1 AND ended_at IS NULL) AS imported
FROM signature WHERE letter = $1 AND state = 'confirmed'
"""

MOVE_REVISION = "UPDATE letter SET revision = revision + 1 WHERE id = $1"

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

MOVE_HOURS = """
INSERT INTO count_hour AS h (letter, hour, people, organizations)
SELECT letter, date_trunc('hour', now()), people, organizations
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS u (letter, people, organizations) ORDER BY letter
ON CONFLICT (letter, hour) DO UPDATE SET
  people = h.people + excluded.people, organizations = h.organizations + excluded.organizations
"""

MOVE_COUNTS = """
WITH mine AS (SELECT letter FROM count WHERE letter = ANY($1::integer[]) ORDER BY letter FOR UPDATE)
UPDATE count c SET people = c.people + u.people, organizations = c.organizations + u.organizations,
       hidden = c.hidden + u.hidden, imported = c.imported + u.imported, changed_at = now()
FROM mine, unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS u (letter, people, organizations, hidden, imported)
WHERE c.letter = mine.letter AND c.letter = u.letter
RETURNING c.letter, c.people, c.organizations, c.hidden, c.imported
"""

LOAD_COUNTS = "SELECT letter, people, organizations, hidden, imported FROM count WHERE letter = ANY($1::integer[])"


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


@dataclass(frozen=True, slots=True)
class CountChange:
    """How much an act adds to a letter's count, and to its partners'; negative numbers subtract."""

    people: int = 0
    organizations: int = 0
    hidden: int = 0
    imported: int = 0
    partners: Mapping[tuple[PartnerId, Kind], int] = field(default_factory=dict)

    @classmethod
    def of_signature(cls, row: Record, visibility: str, *, imported: bool = False, sign: int = 1) -> "CountChange":
        """Return the change by a signature (``kind``, ``signals``) that starts to count; ``sign`` -1 if it stops.

        A representative counts for the partner only; whether the organization counts, ``of_entries`` says.
        """
        kind, partner = Kind(row["kind"]), (row["signals"] or {}).get(PARTNER)
        partners = {(PartnerId(partner), kind): sign} if isinstance(partner, int) else {}
        if kind is Kind.ORGANIZATION:
            return cls(partners=partners)
        return cls(
            people=sign,
            hidden=sign * (visibility != Visibility.PUBLIC),
            imported=sign * imported,
            partners=partners,
        )

    @classmethod
    def of_visibility(cls, before: str, after: str) -> "CountChange":
        """Return the change by a person who counts, and changes who may see the name."""
        return cls(hidden=(after != Visibility.PUBLIC) - (before != Visibility.PUBLIC))

    @classmethod
    def of_entries(cls, change: EntryChange) -> "CountChange":
        return cls(organizations=change.organizations, imported=change.imported)

    @classmethod
    def of_list(cls, people: int, hidden: int = 0) -> "CountChange":
        """Return the change by people of a file or on paper: they count as imported."""
        return cls(people=people, hidden=hidden, imported=people)

    def __add__(self, other: "CountChange") -> "CountChange":
        partners = self.partners or other.partners
        if self.partners and other.partners:
            keys = self.partners.keys() | other.partners.keys()
            partners = {key: self.partners.get(key, 0) + other.partners.get(key, 0) for key in keys}
        return CountChange(
            people=self.people + other.people,
            organizations=self.organizations + other.organizations,
            hidden=self.hidden + other.hidden,
            imported=self.imported + other.imported,
            partners=partners,
        )

    @property
    def is_in_count(self) -> bool:
        """False if at most partners' counts change."""
        return any((self.people, self.organizations, self.hidden, self.imported))


async def apply(conn: Connection, letter_id: LetterId, change: CountChange, *, revision: bool = False) -> None:
    """Move a letter's count as ``apply_all`` does, before it the revision if the ``revision`` of its pages changes."""
    if revision:
        await move_revision(conn, letter_id)
    await apply_all(conn, {letter_id: change})


async def apply_all(conn: Connection, changes: Mapping[LetterId, CountChange]) -> dict[LetterId, Counts]:
    """Move the counts of letters: partners', the hour's, the letters'. Return the new counts of those that moved.

    The last statements of a transaction: from here to its end all others that count on these letters wait.
    """
    # lock order: see docs/decisions/lock-order.md
    await _move_partners(conn, changes)
    rows = [
        (letter_id, change.people, change.organizations, change.hidden, change.imported)
        for letter_id, change in sorted(changes.items(), key=lambda item: item[0])
        if change.is_in_count
    ]
    if not rows:
        return {}
    letters, people, organizations, hidden, imported = zip(*rows, strict=True)
    await conn.execute(MOVE_HOURS, letters, people, organizations)
    return _counts_in(await conn.fetch(MOVE_COUNTS, letters, people, organizations, hidden, imported))


async def load_counts(conn: Connection, letter_ids: Sequence[LetterId]) -> dict[LetterId, Counts]:
    """Return the stored counts of letters, by letter."""
    return _counts_in(await conn.fetch(LOAD_COUNTS, letter_ids))


def _counts_in(rows: Sequence[Record]) -> dict[LetterId, Counts]:
    return {row["letter"]: Counts(row["people"], row["organizations"], row["hidden"], row["imported"]) for row in rows}


async def _move_partners(conn: Connection, changes: Mapping[LetterId, CountChange]) -> None:
    numbers: dict[tuple[LetterId, PartnerId], list[int]] = {}
    for letter_id, change in changes.items():
        for (partner_id, kind), number in change.partners.items():
            if number:
                numbers.setdefault((letter_id, partner_id), [0, 0])[kind is Kind.ORGANIZATION] += number
    if numbers:
        rows = [(letter, partner, people, others) for (letter, partner), (people, others) in sorted(numbers.items())]
        await conn.execute(MOVE_PARTNERS, *zip(*rows, strict=True))


async def move_revision(conn: Connection, letter_id: LetterId) -> None:
    """Invalidate cached pages of the letter."""
    await conn.execute(MOVE_REVISION, letter_id)


async def counts_from_rows(conn: Connection, letter_id: LetterId) -> Counts:
    """Return the count worked out from the rows: the stored one must always equal it."""
    row = await conn.fetchrow(COUNT_FROM_ROWS, letter_id)
    if row is None:
        raise LookupError("an aggregate always has one row")
    return Counts(row["people"], row["organizations"], row["hidden"], row["imported"])
