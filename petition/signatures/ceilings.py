"""Ceilings above which signatures wait for a moderator. Nothing is refused, and no threshold can be read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from petition.core import quotas
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, SignatureId
from petition.core.limits import Limits
from petition.core.quotas import BatchPositions, Quota
from petition.signatures.flags import Flag
from petition.signatures.model import Kind

Key = tuple[LetterId, SignatureId]

LIFETIME = timedelta(days=8)  # a pending row can be confirmed for seven

# (column, flag, limit); the last that matches decides: the group of a mail host is the larger one.
_CEILINGS: tuple[tuple[str, Flag, Callable[[Limits], int]], ...] = (
    ("domain", Flag.ONE_DOMAIN, lambda limits: limits.domain),
    ("mail_host", Flag.ONE_HOST, lambda limits: limits.mail_host),
)


def threshold(key: bytes, limit: int) -> int:
    """Return the ceiling of one quota: drawn by its ``key`` from ½ to 1½ of ``limit``, one in twenty from 1 to ½.

    The key is a digest under a secret, so the draw cannot be known outside. Without the small ones, the owner of many
    mailboxes could conclude from a signature that waits that another one of the domain exists
    (docs/decisions/forgery.md).
    """
    half = limit // 2
    draw = int.from_bytes(key[-8:], "big")
    if draw % 20 == 0:
        return 1 + draw // 20 % max(1, half)
    return half + draw // 20 % (limit + 1)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Why a signature waits: it is one too many of a domain or a mail host. ``group`` is the same for all of these."""

    flag: Flag
    group: int


async def crowds_of(conn: Connection, rows: Sequence[Record], limits: Limits) -> dict[Key, Crowd]:
    """Count the people of ``rows`` (``queries.LOCK_PENDING``) by domain and mail host; return those above a ceiling.

    Only mailboxes without a signature count, each once, or one mailbox could fill the ceiling of its domain.
    """
    people: dict[tuple[LetterId, bytes], Record] = {}
    for row in rows:
        if row["kind"] == Kind.PERSON and not row["has_signed"] and (row["domain"] or row["mail_host"]):
            people.setdefault((row["letter"], row["digest"]), row)
    if not people:
        return {}
    quotas_of = _quotas_by_key(people.values())
    used = quotas.count_by_quota(quotas_of[row[c]] for row in people.values() for c, _, _ in _CEILINGS if row[c])
    positions = BatchPositions(await quotas.spend(conn, used), used)
    crowds = {}
    for row in people.values():
        for column, flag, limit_of in _CEILINGS:
            key = row[column]
            if key and positions.next_position(quotas_of[key]) > threshold(key, limit_of(limits)):
                crowds[row["letter"], row["id"]] = Crowd(flag, group_of(key))
    return crowds


def group_of(key: bytes) -> int:
    """Return the group number of a digest of a domain or mail host. SQL of ``moderation.crowds`` has it as well."""
    return int.from_bytes(key[:8], "big") & (2**62 - 1)


def _quotas_by_key(rows: Iterable[Record]) -> dict[bytes, Quota]:
    """Return one quota for each digest. It outlives the last row that may still be confirmed."""
    quotas_of: dict[bytes, Quota] = {}
    for row in rows:
        ends = row["created_at"] + LIFETIME
        for column, _, _ in _CEILINGS:
            if (key := row[column]) and (key not in quotas_of or quotas_of[key].expires_at < ends):
                quotas_of[key] = Quota(key, ends)
    return quotas_of
