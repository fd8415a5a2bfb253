"""The one clock of sensitive letters: what readers see of their count and list moves at full ten minutes.

One row for each such letter holds all of it (``count_step``); page, API, history, events, badge, list and the rest read
that row, by the views ``published_…``, so that they cannot move apart (docs/decisions/sensitive-letters.md).
"""

from petition.core.database import Connection
from petition.core.ids import LetterId, SignatureId

STEP = "10 minutes"  # an hour has a whole number of steps
MAX_SMALL = 1000  # signatures; a letter with as many moves at once, also if some are withdrawn later
MIN_COUNTRY = 10  # people; a country with fewer is not named

THIS_STEP = f"date_bin('{STEP}', now(), 'epoch'::timestamptz)"

# A step of another ten minutes than these; also of later ones, after a clock that was ahead was put right.
_IS_OF_ANOTHER_STEP = f"date_bin('{STEP}', {{}}, 'epoch'::timestamptz) <> {THIS_STEP}"

# When a signature of a sensitive letter is listed: with the next step. In between the order is that of random ids.
LISTED_AT = f"""
(SELECT CASE WHEN l.sensitive THEN {THIS_STEP} + interval '{STEP}' ELSE now() END FROM letter l WHERE l.id = u.letter)
"""

# One statement, so that count and list are of one moment. Of two processes the second changes nothing.
ADVANCE = f"""
INSERT INTO count_step (letter, stepped_at, is_small, people, organizations, hidden, imported, listed_people,
                        listed_organizations, signature_ids, hours, partners, countries, evidence)
SELECT l.id, now(), size.is_small, c.people, c.organizations, c.hidden, c.imported, c.listed_people,
       c.listed_organizations,
       CASE WHEN size.is_small THEN ARRAY(SELECT s.id FROM signature s WHERE s.letter = l.id AND s.state = 'confirmed')
       ELSE '{{}}' END,
       CASE WHEN size.is_small THEN (SELECT coalesce(jsonb_agg(h), '[]') FROM count_hour h WHERE h.letter = l.id)
       ELSE '[]' END,
       CASE WHEN size.is_small THEN (SELECT coalesce(jsonb_agg(p), '[]') FROM count_partner p WHERE p.letter = l.id)
       ELSE '[]' END,
       ARRAY(SELECT s.country FROM signature s
             WHERE s.letter = l.id AND s.state = 'confirmed' AND s.kind = 'person' AND s.country IS NOT NULL
             GROUP BY s.country HAVING count(*) >= {MIN_COUNTRY}),
       CASE WHEN size.is_small THEN evidence_counts(l.id) ELSE '{{}}' END
FROM letter l JOIN count c ON c.letter = l.id LEFT JOIN count_step before ON before.letter = l.id
CROSS JOIN LATERAL (
  SELECT coalesce(before.is_small, true) AND c.people + c.organizations < {MAX_SMALL} AS is_small
) AS size
WHERE l.sensitive AND (before.letter IS NULL OR {_IS_OF_ANOTHER_STEP.format("before.stepped_at")})
ORDER BY l.id
ON CONFLICT (letter) DO UPDATE SET
  stepped_at = excluded.stepped_at, is_small = excluded.is_small, people = excluded.people,
  organizations = excluded.organizations, hidden = excluded.hidden, imported = excluded.imported,
  listed_people = excluded.listed_people, listed_organizations = excluded.listed_organizations,
  signature_ids = excluded.signature_ids, hours = excluded.hours, partners = excluded.partners,
  countries = excluded.countries, evidence = excluded.evidence
WHERE {_IS_OF_ANOTHER_STEP.format("count_step.stepped_at")}
"""

DROP = "DELETE FROM count_step WHERE letter = $1"

WAITS = "SELECT NOT $2::bigint = ANY(signature_ids) FROM count_step WHERE letter = $1 AND is_small"


# Of a letter l, whose row of this table, if any, is s.
IS_DUE = f"l.sensitive AND (s.letter IS NULL OR {_IS_OF_ANOTHER_STEP.format('s.stepped_at')})"


def is_listed(signature_id: str) -> str:
    """Return the SQL condition that a signature of letter $1 is in the list: all are, unless a step is awaited."""
    return f"""(
  (SELECT NOT is_small FROM count_step WHERE letter = $1) IS NOT FALSE
  OR {signature_id} = ANY((SELECT signature_ids FROM count_step WHERE letter = $1)::bigint[])
)"""


def shown_country(country: str) -> str:
    """Return the SQL of a country that may be shown with a name of letter $1; null if it may not."""
    return f"""CASE WHEN (SELECT countries FROM count_step WHERE letter = $1) IS NULL
  OR {country} = ANY((SELECT countries FROM count_step WHERE letter = $1)::text[]) THEN {country} END"""


async def advance(conn: Connection) -> None:
    """Have the sensitive letters whose next step has come show the count and the list of now."""
    await conn.execute(ADVANCE)


async def drop(conn: Connection, letter_id: LetterId) -> None:
    """Have a letter that is no longer sensitive show everything at once."""
    await conn.execute(DROP, letter_id)


async def waits(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bool:
    """Return whether a signature that counts will be seen in the count with the next step only."""
    return bool(await conn.fetchval(WAITS, letter_id, signature_id))
