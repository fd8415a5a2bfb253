"""Rows written and read directly: a crowd that signed without a form, and the count worked out anew from the rows."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from petition.core import email_addresses
from petition.core.database import Connection, Database
from petition.core.encryption import Sealer, Wrapper
from petition.core.ids import LetterId, SignatureId
from petition.core.tokens import Tokens
from petition.letters import published
from petition.letters.model import Letter
from petition.statistics import queries as statistics
from petition.statistics.model import Period
from petition.statistics.reading import BEGINNING
from tests.running import KEY, PUBLIC_KEY, SLUG

ADD = """
INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang, created_at)
SELECT $1, id, $2::kind, digest, fields, sealed, 1, 1, 'en', 'en', now() - $3::interval
FROM unnest($4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[]) AS u (id, digest, fields, sealed)
"""

# As the contract defines them: "organizations" are entries with at least one confirmed signature, however many
# representatives; "hidden" are counted people whose name is not shown; an entry is "imported" if a signature of it is.
# Tallies are people, and imported.
RECOUNT = """
SELECT count(*) FILTER (WHERE kind = 'person')
         + (SELECT coalesce(sum(people), 0) FROM tally WHERE letter = $1 AND ended_at IS NULL) AS people,
       count(DISTINCT organization) AS organizations,
       count(*) FILTER (WHERE kind = 'person' AND visibility <> 'public') AS hidden,
       count(*) FILTER (WHERE kind = 'person' AND import IS NOT NULL)
         + count(DISTINCT organization) FILTER (WHERE import IS NOT NULL)
         + (SELECT coalesce(sum(people), 0) FROM tally WHERE letter = $1 AND ended_at IS NULL) AS imported
FROM signature WHERE letter = $1 AND state = 'confirmed'
"""

# By source: of lists; the history has each at the date of signing, as far as a row has one.
RECOUNT_OF_LISTS = """
SELECT count(*) FILTER (WHERE kind = 'person') AS listed_people,
       count(DISTINCT organization) FILTER (WHERE kind = 'organization') AS listed_organizations
FROM signature WHERE letter = $1 AND state = 'confirmed' AND import IS NOT NULL
"""

COUNTED_OF_LISTS = "SELECT listed_people, listed_organizations FROM count WHERE letter = $1"

COUNTED = "SELECT people, organizations, hidden, imported FROM count WHERE letter = $1"

# What statistics say of the rows as they are now, said again.
FIGURES = """
SELECT 'state' AS what, kind || ':' || state AS value, count(*) AS number FROM signature WHERE letter = $1 GROUP BY 2
UNION ALL
SELECT f.what, f.value, count(*) FROM signature s, LATERAL (VALUES
  ('lang', coalesce(s.read_lang, '')), ('country', coalesce(s.country, '')),
  ('source', CASE WHEN s.import IS NULL THEN 'web' ELSE 'import' END)) AS f (what, value)
WHERE s.letter = $1 AND s.kind = 'person' AND s.state = 'confirmed' GROUP BY 1, 2
UNION ALL
SELECT 'pending', '', count(*) FROM pending WHERE letter = $1 HAVING count(*) > 0
"""

HOURS = """
SELECT coalesce(sum(people), 0)::bigint AS people, coalesce(sum(organizations), 0)::bigint AS organizations,
       coalesce(sum(listed), 0)::bigint AS listed
FROM count_hour WHERE letter = $1
"""


async def letter(conn: Connection, slug: str = SLUG) -> Letter:
    """Return a published letter with its keys."""
    letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", slug)
    return await published.read(conn, Wrapper([KEY]), letter_id)


def digest_of(whose: Letter, address: str) -> bytes:
    """Return the digest under which ``whose`` letter knows the mailbox at ``address``."""
    return whose.keys.digest(email_addresses.canonical(address, whose.rules_version))


def token(whose: Letter, signature_id: SignatureId) -> str:
    """Return the token in the mail of one row."""
    return Tokens([KEY]).for_signature(whose.id, signature_id)


def code(whose: Letter, signature_id: SignatureId) -> str:
    """Return the six digits in the mail of one row."""
    return Tokens([KEY]).code(whose.id, signature_id)


async def add_pending(
    conn: Connection, whose: Letter, addresses: Sequence[str], age: timedelta = timedelta(), /, **fields: str
) -> list[SignatureId]:
    """Add a pending signature for each address, as the form would have; return their ids in the same order.

    ``fields`` is what was typed; with ``organization_en`` or ``organization_ru`` in it they sign for an organization.
    """
    kind = "organization" if {"organization_en", "organization_ru"} & fields.keys() else "person"
    ids = [SignatureId(secrets.randbits(63)) for _ in addresses]
    typed = {"visibility": "public", "name": "Vera Novak", **fields}
    if typed["visibility"] == "counted":
        typed = {key: value for key, value in typed.items() if key not in {"name", "affiliation", "city"}}
    sealer = Sealer(PUBLIC_KEY)
    await conn.execute(
        ADD,
        whose.id,
        kind,
        age,
        ids,
        [digest_of(whose, each) for each in addresses],
        [whose.keys.hide(typed) for _ in addresses],
        [sealer.seal(each) for each in addresses],
    )
    return ids


async def check_count(conn: Connection, whose: Letter) -> dict[str, int]:
    """Fail unless the count, the sum of its hours and the statistics are what the rows say; return the count."""
    counted = dict(await _row(conn, COUNTED, whose.id))
    assert counted == dict(await _row(conn, RECOUNT, whose.id))
    listed = dict(await _row(conn, COUNTED_OF_LISTS, whose.id))
    assert listed == dict(await _row(conn, RECOUNT_OF_LISTS, whose.id))
    hours = await _row(conn, HOURS, whose.id)
    assert (hours["people"], hours["organizations"]) == (counted["people"], counted["organizations"])
    assert hours["listed"] == listed["listed_people"] + listed["listed_organizations"]
    await check_statistics(conn, whose)
    return counted


async def check_statistics(conn: Connection, whose: Letter) -> None:
    """Fail unless the figures are what the rows say, and the hours add up to them."""
    figures = {(row["what"], row["value"]): row["number"] for row in await statistics.totals(conn, whose.id)}
    history = {"count", "confirmed_in", "refused", "partner", "provider"}
    now = {place: number for place, number in figures.items() if place[0] not in history}
    rows = await conn.fetch(FIGURES, whose.id)
    assert now == {(row["what"], row["value"]): row["number"] for row in rows}
    hours = [Period(**row) for row in await statistics.periods(conn, whose.id, "hour", BEGINNING)]
    assert sum(hour.came - hour.went for hour in hours) == figures.get(("source", "web"), 0)
    assert all(min(hour.signed_up, hour.confirmed, hour.came, hour.went) >= 0 for hour in hours)
    confirmed = sum(number for (what, _), number in figures.items() if what == "confirmed_in")
    assert sum(hour.confirmed for hour in hours) == confirmed


async def _row(conn: Connection, statement: str, *arguments: object) -> Any:
    row = await conn.fetchrow(statement, *arguments)
    assert row is not None
    return row


async def rows_of(database: Database, statement: str, *arguments: object) -> list[dict[str, Any]]:
    """Return rows as dictionaries."""
    async with database.connection() as conn:
        return [dict(row) for row in await conn.fetch(statement, *arguments)]


WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())"


async def somebody_waits(conn: Connection) -> None:
    """Wait until a statement in this database waits for a lock; ``conn`` may itself be what holds it."""
    async with asyncio.timeout(120):
        while not await conn.fetchval(WAITS):
            await asyncio.sleep(0.01)
            await conn.execute("SELECT pg_stat_clear_snapshot()")  # which else lasts as long as a transaction


TABLES = """
SELECT t.table_name AS name, bool_or(c.column_name = 'letter') AS of_letter
FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name)
WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE' GROUP BY 1 ORDER BY 1
"""
# What changes by being there: uses of limits, the day's key, when somebody was last seen.
BESIDE = {"limit_use", "day_key", "migration", "access_journal", "name_reading"}


async def picture(database: Database, letter_id: LetterId | None = None) -> dict[str, str]:
    """Return a fingerprint of every table, or of the rows of one letter in those that have letters."""
    async with database.connection() as conn:
        tables = [row for row in await conn.fetch(TABLES) if row["name"] not in BESIDE]
        wanted = [row["name"] for row in tables if letter_id is None or row["of_letter"]]
        where = "" if letter_id is None else f"WHERE t.letter = {letter_id}"
        each = " UNION ALL ".join(
            f"SELECT '{name}' AS name, coalesce(md5(string_agg(line, '|' ORDER BY line)), '') AS print"
            f" FROM (SELECT (to_jsonb(t) - 'seen_at')::text AS line FROM {name} t {where}) AS {name}_lines"
            for name in wanted
        )
        return {row["name"]: row["print"] for row in await conn.fetch(each)}
