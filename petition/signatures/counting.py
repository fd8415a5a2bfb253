"""The one place that moves counts: every act that lets a signature count, or takes it out, ends here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, PartnerId
from petition.signatures import counting
from petition.signatures.model import Counts, Kind
from petition.signatures.signals import PARTNER

# What contract.md says each figure is, said again in SQL.
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


MOVE_COUNTS = """
WITH mine AS (SELECT letter FROM count WHERE letter = ANY($1::integer[]) ORDER BY letter FOR UPDATE)
UPDATE count c SET people = c.people + u.people, organizations = c.organizations + u.organizations,
       hidden = c.hidden + u.hidden, imported = c.imported + u.imported, changed_at = now()
FROM mine, unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS u (letter, people, organizations, hidden, imported)
WHERE c.letter = mine.letter AND c.letter = u.letter
"""
MOVE_HOURS = """
INSERT INTO count_hour AS h (letter, hour, people, organizations)
SELECT letter, date_trunc('hour', now()), people, organizations
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS u (letter, people, organizations) ORDER BY letter
ON CONFLICT (letter, hour) DO UPDATE SET
  people = h.people + excluded.people, organizations = h.organizations + excluded.organizations
"""
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


async def move_counts(conn: Connection, moves: Sequence[tuple[int, int, int, int, int]]) -> None:
    """Move the counts by (letter, people, organizations, hidden, imported), and the hour's with them.

    The last statement of a transaction: from here to its end everybody else who counts on this letter waits.
    """
    letter, people, organizations, hidden, imported = zip(*sorted(moves), strict=True)
    await conn.execute(MOVE_HOURS, letter, people, organizations)
    await conn.execute(MOVE_COUNTS, letter, people, organizations, hidden, imported)


async def move_partners(conn: Connection, moves: Iterable[tuple[int, int | None, str, int]]) -> None:
    """Move partners' counts by (letter, partner, kind of signature, how many); those without a partner are passed over.

    Just before ``move_counts``, after everything else is locked.
    """
    found: dict[tuple[int, int], list[int]] = {}
    for letter, partner, kind, number in moves:
        if partner is not None and number:
            found.setdefault((letter, partner), [0, 0])[kind != Kind.PERSON] += number
    if found:
        rows = [(*place, *numbers) for place, numbers in sorted(found.items())]
        await conn.execute(MOVE_PARTNERS, *zip(*rows, strict=True))


def partner_of(row: Record) -> PartnerId | None:
    """Return by which partner a row with ``signals`` and ``letter`` came."""
    partner = (row["signals"] or {}).get(PARTNER)
    return PartnerId(partner) if isinstance(partner, int) else None


async def count_from_rows(conn: Connection, letter_id: LetterId) -> Record:
    """Return people, organizations, hidden and imported as the rows have them."""
    row = await conn.fetchrow(COUNT_FROM_ROWS, letter_id)
    if row is None:
        raise LookupError("an aggregate has always one row")
    return row


async def move_revision(conn: Connection, letter_id: LetterId) -> None:
    """Have kept pages of the letter made anew."""
    await conn.execute(MOVE_REVISION, letter_id)


@dataclass(frozen=True, slots=True)
class EntryChange:
    """How the entries of a list changed between two looks at what ``shown`` returns."""

    before: Mapping[OrganizationId, bool]
    after: Mapping[OrganizationId, bool]

    @property
    def entries(self) -> int:
        """Return how many more are counted."""
        return len(self.after) - len(self.before)

    @property
    def imported(self) -> int:
        """Return how many more of them are counted as imported."""
        return sum(self.after.values()) - sum(self.before.values())


async def counts_from_rows(conn: Connection, letter_id: LetterId) -> Counts:
    """Return the count made anew from the rows: what the kept one must always equal."""
    row = await counting.count_from_rows(conn, letter_id)
    return Counts(row["people"], row["organizations"], row["hidden"], row["imported"])
