"""Crowds: many signatures of one mail domain or mail host within a day, of which the last ones wait.

Those that counted before a ceiling was reached are flagged as well, and get the group of those that wait, so that a
moderator can look at all of them and decide in one act. Afterwards the digests go: after a day, or, where so many
sign-ups of one domain can still be confirmed that they would be above the ceiling, with the last of these.
"""

from petition.core.database import Database
from petition.core.limits import Limits
from petition.signatures.flags import Flag

BATCH = 2_000  # signatures per transaction


def _group(column: str) -> str:
    """Return ``signatures.ceilings.group_of`` in SQL."""
    return f"(('x' || encode(substr({column}, 1, 8), 'hex'))::bit(64)::bigint & 4611686018427387903)"


def _flag(column: str, flag: Flag, group: str) -> str:
    # Reviewed ones (last_act) are left alone. Locked rows are left for the next round.
    return f"""
    WITH crowd AS MATERIALIZED (
      SELECT DISTINCT letter, {column} AS key FROM signature
      WHERE {column} IS NOT NULL AND state <> 'withdrawn' AND flags @> '{{{flag.value}}}'
    ), mine AS MATERIALIZED (
      SELECT s.letter, s.id FROM signature s JOIN crowd c ON c.letter = s.letter AND c.key = s.{column}
      WHERE s.{column} IS NOT NULL AND s.state IN ('held', 'confirmed') AND s.kind = 'person' AND s.last_act IS NULL
        AND NOT s.flags @> '{{{flag.value}}}'
      ORDER BY s.letter, s.id LIMIT $1 FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE signature s SET flags = s.flags || '{{{flag.value}}}'::text[], group_number = {group}
    FROM mine m WHERE s.letter = m.letter AND s.id = m.id
    """  # noqa: S608 - constants


# The group of a mail host is the larger one.
FLAG_DOMAINS = _flag("domain", Flag.ONE_DOMAIN, f"coalesce(s.group_number, {_group('s.domain')})")
FLAG_HOSTS = _flag("mail_host", Flag.ONE_HOST, _group("s.mail_host"))

_PAST = "now() - interval '1 day'"


def _forget_pending(column: str) -> str:
    # Together with those that were confirmed ($2: half of the limit): fewer than any but a rare ceiling.
    return f"""
    WITH small AS MATERIALIZED (
      SELECT p.letter, p.{column} AS key FROM pending p LEFT JOIN limit_use u ON u.key = p.{column}
      WHERE p.{column} IS NOT NULL GROUP BY p.letter, p.{column}
      HAVING max(p.created_at) < {_PAST} AND count(*) + coalesce(max(u.used), 0) < $2
    ), mine AS MATERIALIZED (
      SELECT p.letter, p.id FROM pending p JOIN small s ON s.letter = p.letter AND s.key = p.{column}
      WHERE p.{column} IS NOT NULL ORDER BY p.letter, p.id LIMIT $1 FOR UPDATE OF p SKIP LOCKED
    )
    UPDATE pending p SET {column} = NULL FROM mine m WHERE p.letter = m.letter AND p.id = m.id
    """  # noqa: S608 - constants


def _forget_signed(column: str) -> str:
    return f"""
    WITH mine AS MATERIALIZED (
      SELECT s.letter, s.id FROM signature s
      WHERE s.{column} IS NOT NULL AND s.listed_at < {_PAST}
        AND NOT EXISTS (SELECT FROM pending p WHERE p.letter = s.letter AND p.{column} = s.{column})
      ORDER BY s.letter, s.id LIMIT $1 FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE signature s SET {column} = NULL FROM mine m WHERE s.letter = m.letter AND s.id = m.id
    """  # noqa: S608 - constants


FORGET_DOMAINS = _forget_pending("domain")
FORGET_HOSTS = _forget_pending("mail_host")
FORGET_DOMAINS_OF_SIGNED = _forget_signed("domain")
FORGET_HOSTS_OF_SIGNED = _forget_signed("mail_host")


async def flag(database: Database, limits: Limits) -> int:
    """Flag what belongs to a crowd, delete digests that are no longer needed; return how many were flagged.

    Idempotent, also for two workers at once. Raises ``Unavailable``.
    """
    flagged = await _repeat(database, FLAG_DOMAINS) + await _repeat(database, FLAG_HOSTS)
    await _repeat(database, FORGET_DOMAINS, limits.domain // 2)
    await _repeat(database, FORGET_HOSTS, limits.mail_host // 2)
    await _repeat(database, FORGET_DOMAINS_OF_SIGNED)
    await _repeat(database, FORGET_HOSTS_OF_SIGNED)
    return flagged


async def _repeat(database: Database, statement: str, *arguments: object) -> int:
    total, changed = 0, BATCH
    while changed == BATCH:
        async with database.transaction() as conn:
            changed = int((await conn.execute(statement, BATCH, *arguments)).split()[-1])
        total += changed
    return total
