"""SQL of the relays' shared state: who rests, who is tried, what each did by the hour, test mails."""

from collections.abc import Sequence
from datetime import timedelta

from petition.core.database import Connection, Record

# A relay that no worker has had in its settings for a day goes, with its figures.
REGISTER = """
WITH gone AS (DELETE FROM relay WHERE seen_at < now() - interval '1 day' AND NOT name = ANY($1::text[]))
INSERT INTO relay (name, position) SELECT * FROM unnest($1::text[], $2::smallint[]) ORDER BY 1
ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position, seen_at = now()
"""

BEAT = """
WITH gone AS (DELETE FROM mail_worker WHERE seen_at < now() - interval '1 hour')
INSERT INTO mail_worker (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()
"""

WORKERS = """
SELECT count(*) FILTER (WHERE id < $1) AS rank, greatest(1, count(*)) AS workers
FROM mail_worker WHERE seen_at > now() - interval '20 seconds'
"""

LEAVE = "DELETE FROM mail_worker WHERE id = $1"

STATES = """
SELECT name, failures, greatest(interval '0', rests_until - now()) AS rests, refused_in_a_row, now() - since AS age
FROM relay WHERE name = ANY($1::text[])
"""

# Failures that come together count once: $4 is the longest rest in seconds.
FAILED = """
UPDATE relay SET
  failures = CASE WHEN rests_until > now() THEN failures ELSE least(failures + 1, 10) END,
  rests_until = CASE WHEN rests_until > now() THEN rests_until
    ELSE now() + make_interval(secs => least($4::double precision, 2 ^ failures)) END,
  trying_until = NULL, trouble = $2, trouble_step = NULL, trouble_code = $3, trouble_status = NULL, trouble_at = now()
WHERE name = $1
RETURNING name, failures, rests_until - now() AS rests, refused_in_a_row, now() - since AS age
"""

WORKED = "UPDATE relay SET failures = 0, rests_until = NULL, trying_until = NULL WHERE name = $1 AND failures > 0"

TRY = """
UPDATE relay SET trying_until = now() + $2::interval
WHERE name = $1 AND failures > 0 AND coalesce(rests_until <= now(), true) AND coalesce(trying_until <= now(), true)
RETURNING true
"""

GIVE_UP_TRY = "UPDATE relay SET trying_until = NULL WHERE name = $1"

REPORT = """
UPDATE relay r SET
  refused_in_a_row = least(1000, CASE WHEN u.accepted THEN 0 ELSE r.refused_in_a_row END + u.refused),
  accepted_at = CASE WHEN u.accepted THEN now() ELSE r.accepted_at END,
  connected_at = CASE WHEN u.tls IS NULL THEN r.connected_at ELSE now() END,
  tls = coalesce(u.tls, r.tls), tls_verified = coalesce(u.tls_verified, r.tls_verified),
  tls_until = CASE WHEN u.tls IS NULL THEN r.tls_until ELSE u.tls_until END,
  trouble = coalesce(u.trouble, r.trouble),
  trouble_step = CASE WHEN u.trouble IS NULL THEN r.trouble_step ELSE u.step END,
  trouble_code = CASE WHEN u.trouble IS NULL THEN r.trouble_code ELSE u.code END,
  trouble_status = CASE WHEN u.trouble IS NULL THEN r.trouble_status ELSE u.status END,
  trouble_at = CASE WHEN u.trouble IS NULL THEN r.trouble_at ELSE now() END
FROM unnest($1::text[], $2::boolean[], $3::integer[], $4::text[], $5::boolean[], $6::timestamptz[],
            $7::text[], $8::text[], $9::smallint[], $10::text[])
  AS u (name, accepted, refused, tls, tls_verified, tls_until, trouble, step, code, status)
WHERE r.name = u.name
"""

COUNT = """
INSERT INTO relay_hour AS h (relay, hour, outcome, reason, mails)
SELECT u.relay, date_trunc('hour', now()), u.outcome, u.reason, u.mails
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS u (relay, outcome, reason, mails)
JOIN relay r ON r.name = u.relay
ORDER BY u.relay, u.outcome, u.reason
ON CONFLICT (relay, hour, outcome, reason) DO UPDATE SET mails = h.mails + EXCLUDED.mails
"""

TAKE_TESTS = """
UPDATE relay_test t SET taken_until = now() + $2::interval
FROM organizer o
WHERE o.id = t.organizer AND t.id IN (
  SELECT id FROM relay_test
  WHERE finished_at IS NULL AND relay = ANY($1::text[]) AND coalesce(taken_until <= now(), true)
    AND asked_at > now() - interval '10 minutes'
  ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED
)
RETURNING t.id, t.relay, o.sealed, o.digest, o.lang
"""

FINISH_TEST = "UPDATE relay_test SET finished_at = now(), trouble = $2, step = $3, code = $4, status = $5 WHERE id = $1"


async def register(conn: Connection, names: Sequence[str]) -> None:
    """Note that a worker has these relays, in this order of preference; relays of yesterday go."""
    await conn.execute(REGISTER, names, list(range(len(names))))


async def beat(conn: Connection, worker: int) -> tuple[int, int]:
    """Note that ``worker`` runs; return its rank among those that do, from 0, and how many there are."""
    await conn.execute(BEAT, worker)
    row = await conn.fetchrow(WORKERS, worker)
    return (row["rank"], row["workers"]) if row else (0, 1)


async def leave(conn: Connection, worker: int) -> None:
    await conn.execute(LEAVE, worker)


async def states(conn: Connection, names: Sequence[str]) -> list[Record]:
    """Return ``name``, ``failures``, ``rests`` and ``age`` (intervals) and ``refused_in_a_row`` of relays."""
    return await conn.fetch(STATES, names)


async def failed(conn: Connection, name: str, trouble: str, code: int, max_rest: float) -> Record | None:
    """Note a failure; return the state as ``states`` does."""
    return await conn.fetchrow(FAILED, name, trouble, code, max_rest)


async def worked(conn: Connection, name: str) -> None:
    await conn.execute(WORKED, name)


async def claim_try(conn: Connection, name: str, length: timedelta) -> bool:
    """Take the one try after a rest for ``length``; return whether no other worker has it."""
    return bool(await conn.fetchval(TRY, name, length))


async def give_up_try(conn: Connection, name: str) -> None:
    await conn.execute(GIVE_UP_TRY, name)


async def report(conn: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Store what happened since the last report: one row per relay, in the order of the parameters of ``REPORT``."""
    await conn.execute(REPORT, *zip(*rows, strict=True))


async def count(conn: Connection, rows: Sequence[tuple[str, str, str, int]]) -> None:
    """Add to this hour: relay, outcome, reason, mails."""
    await conn.execute(COUNT, *zip(*rows, strict=True))


async def take_tests(conn: Connection, names: Sequence[str], length: timedelta) -> list[Record]:
    """Lease test mails that were asked for: ``id``, ``relay``, and the organizer's ``sealed``, ``digest``, ``lang``."""
    return await conn.fetch(TAKE_TESTS, names, length)


async def finish_test(
    conn: Connection, test_id: int, trouble: str | None, step: str | None, code: int, status: str | None
) -> None:
    """Note how a test mail fared; without trouble it was accepted."""
    await conn.execute(FINISH_TEST, test_id, trouble, step, code, status)
