"""What the desk has to do with a letter: flags, decisions, organizations that wait, reports, a log, as many as fit its
size."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from petition.core.database import connect
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.ids import LetterId, OrganizerId
from petition.letters import published
from tests.running import KEY

if TYPE_CHECKING:
    from tests.bench.fill import Conn

DAYS = 60  # of the letter's history, whatever its size: it is what the charts show
ORGANIZER = OrganizerId(1)

# Of a thousand people: three removed, one withdrawn, five flagged, a hundred brought along.
SORT = """
UPDATE signature SET
  state = CASE WHEN id % 1000 < 3 THEN 'removed'::signature_state ELSE state END,
  removed_from = CASE WHEN id % 1000 < 3 THEN 'confirmed'::signature_state END,
  removed_for = CASE WHEN id % 1000 < 3 THEN 'fake' END,
  flags = CASE WHEN id % 1000 BETWEEN 4 AND 8 THEN ARRAY[(ARRAY['link', 'burst', 'repeated', 'reported'])[1 + id % 4]]
               ELSE flags END,
  group_number = CASE WHEN id % 1000 BETWEEN 4 AND 8 AND id % 4 = 1 THEN 1 + id % 7 END,
  import = CASE WHEN id % 1000 >= 900 THEN 1 END
WHERE letter = $1 AND (id % 1000 < 9 OR id % 1000 >= 900)
"""
WITHDRAW = """
UPDATE signature SET state = 'withdrawn', visibility = 'counted', country = NULL, read_lang = NULL, mail_lang = NULL,
       digest = NULL, name = NULL, city = NULL, name_key = NULL, network = NULL
WHERE letter = $1 AND id % 1000 = 3
"""
# An act on one signature for every ten, some days ago, and one of a campaign for every 25,000.
ACTS = """
INSERT INTO log (at, organizer, letter, act, ids, before, after, reason)
SELECT now() - interval '3 days' - n * interval '1 second', $3, $1, 'signature.' || a.act, ARRAY[s.id], a.before,
       a.after, a.reason
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM signature WHERE letter = $1 AND id % 10 = 7) AS s
JOIN (VALUES (0, 'remove', 'confirmed', 'removed', 'fake'), (1, 'back', 'removed', 'confirmed', NULL))
  AS a (odd, act, before, after, reason) ON a.odd = s.n % 2
ORDER BY n LIMIT $2::integer / 10
"""
CAMPAIGNS = """
INSERT INTO campaign (letter, organizer, act, reason, conditions, state, matched, changed, listed_at, signature)
SELECT $1, $3, 'remove', 'fake', '{"country": "FR"}', 'done', 500 * n, 500, now(), 0
FROM generate_series(1, 1 + $2::integer / 25000) AS n
"""
STEPS = """
INSERT INTO log (at, organizer, letter, act, ids, before, after, reason, campaign)
SELECT now() - interval '2 days', $2, $1, 'signature.remove',
       ARRAY(SELECT (random() * 9e18)::bigint FROM generate_series(1, 500)), 'confirmed', 'removed', 'fake', c.id
FROM campaign c WHERE c.letter = $1
"""
REPORTS = """
INSERT INTO report (letter, signature, reason) SELECT letter, id, 'fake' FROM signature
WHERE letter = $1 AND flags @> '{reported}'
"""
# One import, with what could not be read of it; a picture; an update.
REST = (
    "INSERT INTO intake (letter, number, state, progress, total, problems, ended_at)"
    " VALUES ($1, 1, 'done', 1000, 1000, 200, now())",
    "INSERT INTO intake_problem (letter, number, line, field, reason)"
    " SELECT $1, 1, n, 'name', 'Enter your name.' FROM generate_series(1, 200) AS n",
    "INSERT INTO picture (letter, id, type, content) VALUES ($1, 7, 'image/png', '\\x89504e47')",
    'INSERT INTO news (letter, texts) VALUES ($1, \'{"en": {"title": "News", "markdown": "Some."}}\')',
)
SETTLE = "UPDATE count c SET (people, hidden, imported) = (SELECT count(*), 0, count(import) FROM signature \
WHERE letter = $1 AND kind = 'person' AND state = 'confirmed'), organizations = $2 WHERE c.letter = $1"
# As if the worker had been adding up all the time.
CLEAR = "TRUNCATE statistics_change, statistics_total, statistics_hour, count_hour"
HOURS = """
WITH hours AS (
  SELECT date_trunc('hour', now()) - n * interval '1 hour' AS hour, (c.people / (24 * $2::integer))::integer AS people,
         CASE WHEN n = 0 THEN c.organizations ELSE 0 END AS organizations,
         CASE WHEN n = 0 THEN c.people % (24 * $2::integer) ELSE 0 END AS rest
  FROM count c, generate_series(0, 24 * $2::integer - 1) AS n WHERE c.letter = $1
), counted AS (
  INSERT INTO count_hour SELECT $1, hour, people + rest, organizations FROM hours
)
INSERT INTO statistics_hour SELECT $1, hour, people + rest + 7, people + rest, people + rest, 0 FROM hours
"""
TOTALS = """
INSERT INTO statistics_total
SELECT $1, f.what, f.value, count(*) FROM signature s, LATERAL (
  SELECT * FROM figures_of(s.kind, s.state, s.read_lang, s.country, s.import)
  UNION ALL SELECT 'confirmed_in', (s.id % 150)::text WHERE s.import IS NULL
) AS f
WHERE s.letter = $1 GROUP BY f.what, f.value
"""


async def furnish(conn: "Conn", letter_id: LetterId, rows: int) -> None:
    """Add to the letter, which ``rows`` have just signed, what its size brings with it."""
    keys = (await published.read(conn, Wrapper([KEY]), letter_id)).keys
    await conn.execute(SORT, letter_id, timeout=600)
    await conn.execute(WITHDRAW, letter_id, timeout=600)
    organizations = await _organizations(conn, letter_id, max(10, rows // 1000), keys)
    await conn.execute(
        "INSERT INTO organizer (name, lang, digest, sealed) SELECT 'Colleague ' || n, 'en', sha256(n::text::bytea), ''"
        " FROM generate_series(1, 3) AS n"
    )
    await conn.execute(ACTS, letter_id, rows, ORGANIZER, timeout=600)
    await conn.execute(CAMPAIGNS, letter_id, rows, ORGANIZER)
    await conn.execute(STEPS, letter_id, ORGANIZER, timeout=600)
    await conn.execute(REPORTS, letter_id, timeout=600)
    for statement in REST:
        await conn.execute(statement, letter_id)
    await conn.execute(SETTLE, letter_id, organizations, timeout=600)
    await conn.execute(CLEAR)
    await conn.execute(HOURS, letter_id, DAYS)
    await conn.execute(TOTALS, letter_id, timeout=600)


async def _organizations(conn: "Conn", letter_id: LetterId, many: int, keys: LetterKeys) -> int:
    """Have so many organizations be listed, each with a representative, and a fifth as many wait."""
    now = datetime.now(UTC) - timedelta(minutes=2)
    listed = [
        (letter_id, secrets.randbits(63), f"Networks of {n}", f"networks of {n}", now - n * APART) for n in range(many)
    ]
    await conn.copy_records_to_table(
        "organization", records=listed, columns=("letter", "id", "name_en", "name_key", "listed_at")
    )
    representatives = (
        (letter_id, secrets.randbits(63), place, at, at, "organization", "confirmed", "public", "Anna Berg", None)
        for _, place, _, _, at in listed
    )
    await conn.copy_records_to_table("signature", records=representatives, columns=REPRESENTED)
    await conn.copy_records_to_table("signature", records=_held(letter_id, many // 5, keys), columns=REPRESENTED)
    return many


APART = timedelta(minutes=5)
REPRESENTED = (
    *("letter", "id", "organization", "signed_at", "listed_at", "kind", "state", "visibility", "name", "private"),
)


def _held(letter_id: LetterId, many: int, keys: LetterKeys) -> Iterator[tuple[Any, ...]]:
    now = datetime.now(UTC) - timedelta(minutes=1)
    for n in range(many):
        at = now - n * APART
        hidden = keys.hide({"organization_en": f"Waiting {n}", "name": "Olaf Lund", "visibility": "public"})
        yield letter_id, secrets.randbits(63), None, at, at, "organization", "held", "public", None, hidden


async def places(url: str, letter_id: LetterId) -> dict[str, int]:
    """Return what stands in addresses: a signature from the middle, one that waits, a campaign."""
    conn = await connect(url)
    try:
        row = await conn.fetchrow(PLACES, letter_id)
    finally:
        await conn.close()
    if row is None:
        raise LookupError("there is always one row")
    return dict(row)


PLACES = """
SELECT (SELECT id FROM signature WHERE letter = $1 AND kind = 'person' AND id % 100 = 7 LIMIT 1) AS signature,
       (SELECT id FROM signature WHERE letter = $1 AND state = 'held' LIMIT 1) AS held,
       (SELECT id FROM signature WHERE letter = $1 AND organization IS NOT NULL LIMIT 1) AS organization,
       (SELECT min(id) FROM campaign WHERE letter = $1) AS campaign,
       (SELECT min(id) FROM news WHERE letter = $1) AS update,
       (SELECT min(id) FROM addressee WHERE letter = $1) AS addressee
"""
