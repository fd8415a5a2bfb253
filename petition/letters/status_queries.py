"""What a web process asks twice a second: which letters have moved, and how they stand now."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.letters import count_step_queries, switch_queries
from petition.letters.switches import Setting

CHUNK = 1000  # letters of one statement: the rows of all would take some ten megabytes at once

# Each part reads an index, so that the cost does not depend on the number of letters. A transaction that was unfinished
# when the mark was taken has a number of at least the mark. Numbers that this server has not reached yet are another
# server's, whose dump was restored.
_HAS_MOVED = "moved >= $1::text::xid8 AND moved < pg_snapshot_xmax(pg_current_snapshot())"

LOOK = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS mark, pg_postmaster_start_time() AS server_started_at,
       now() AS at, {count_step_queries.THIS_STEP} AS step,
       ARRAY(
         SELECT id FROM letter WHERE {_HAS_MOVED}
         UNION SELECT letter FROM count WHERE {_HAS_MOVED}
         UNION SELECT letter FROM count_step WHERE {_HAS_MOVED}
         UNION SELECT letter FROM switch WHERE letter IS NOT NULL AND {_HAS_MOVED}
         UNION SELECT id FROM letter WHERE state = 'open'
           AND closes_at BETWEEN least($2::timestamptz, now()) AND greatest($2::timestamptz, now())
       ) AS moved,
       CASE WHEN {count_step_queries.THIS_STEP} IS DISTINCT FROM $3::timestamptz THEN EXISTS (
         SELECT FROM letter l LEFT JOIN count_step s ON s.letter = l.id WHERE {count_step_queries.IS_DUE}
       ) ELSE false END AS is_step_due,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(name, value, texts)), '[]') FROM switch
        WHERE coalesce(letter, 0) = 0 AND value <> 'off') AS switches
"""

_STATUSES = f"""
SELECT l.id, l.slug, l.revision, l.purges, l.effective_state AS state, l.opened_at,
       coalesce(c.people, 0) AS people, coalesce(c.organizations, 0) AS organizations,
       coalesce(c.hidden, 0) AS hidden, coalesce(c.imported, 0) AS imported,
       coalesce(c.listed_people, 0) AS listed_people, coalesce(c.listed_organizations, 0) AS listed_organizations,
       c.counted_at, {count_step_queries.IS_DUE} AS is_step_due,
       (l.publish_at_number IS NOT NULL OR l.publish_at_date IS NOT NULL) AND l.names_published_at IS NULL
         AS seals_names,
       (SELECT jsonb_agg(jsonb_build_array(w.name, w.value, w.texts)) FROM switch w
        WHERE coalesce(w.letter, 0) = l.id AND w.value <> 'off') AS switches
FROM letter l LEFT JOIN published_count c ON c.letter = l.id LEFT JOIN count_step s ON s.letter = l.id
WHERE (l.version IS NOT NULL OR l.state = 'gone')
"""
STATUSES_OF = f"{_STATUSES} AND l.id = ANY($1::integer[])"
STATUSES_AFTER = f"{_STATUSES} AND l.id > $1 ORDER BY l.id LIMIT $2"


_NEVER = str(2**64 - 1)  # no transaction has this number: nothing has moved since


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the database. ``mark`` is the transaction from which the next one asks."""

    mark: str = _NEVER
    server_started_at: datetime | None = None
    at: datetime | None = None  # by the database's clock
    step: datetime | None = None  # of sensitive letters, in which none is due any more
    moved: Sequence[LetterId] = ()  # since the look before
    is_step_due: bool = False
    switches: Sequence[Setting] = ()  # the installation's

    def follows(self, before: "Look") -> bool:
        """Return whether the same server answered both, so that ``moved`` is all that has moved in between."""
        return self.server_started_at == before.server_started_at and int(self.mark) >= int(before.mark)


async def look(conn: Connection, before: Look) -> Look:
    """Return what has moved since the look ``before``."""
    row = await conn.fetchrow(LOOK, before.mark, before.at, before.step)
    if row is None:
        raise LookupError("a SELECT without FROM always has one row")
    return Look(
        mark=row["mark"],
        server_started_at=row["server_started_at"],
        at=row["at"],
        step=before.step if row["is_step_due"] else row["step"],
        moved=row["moved"],
        is_step_due=row["is_step_due"],
        switches=settings_in(row["switches"]),
    )


async def statuses_of(conn: Connection, letter_ids: Sequence[LetterId]) -> list[Record]:
    """Return one row for each of the letters that is published or was taken down."""
    return await conn.fetch(STATUSES_OF, letter_ids)


async def all_statuses(conn: Connection) -> AsyncIterator[list[Record]]:
    """Yield the rows of all letters that are published or were taken down, in chunks."""
    last = 0
    while rows := await conn.fetch(STATUSES_AFTER, last, CHUNK):
        yield rows
        last = rows[-1]["id"]


def settings_in(switches: Sequence[tuple[str, str, dict[str, str]]] | None) -> tuple[Setting, ...]:
    """Return the switches of a row, each an array of its name, position and texts."""
    return tuple(switch_queries.setting_of(*switch) for switch in switches or ())
