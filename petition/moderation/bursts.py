"""What only shows in many signatures at once: bursts from one network, and one name again and again.

A network is stored as a digest that is the same for one hour only. Once that hour is over, the worker looks who signed
from one network in it, writes a flag and a random group number, and forgets the networks: an hour or two after signing
nobody can tell any more who shared one, other than those in a burst.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from petition.core.client_networks import ONION, UNKNOWN
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.quotas import DayKey
from petition.moderation import burst_queries as queries
from petition.signatures.flags import Flag

BURST = 10  # sign-ups from one network within an hour
REPEATED = 5  # signatures of nearly one name within an hour …
REPEATED_SHARE = 50  # … that are at least one in so many of all in that hour: in a crowd some share a common name
MAX_ROWS = 50_000  # signatures looked at in one transaction
BATCH = 2_000

_IGNORED = re.compile(r"\d+|(.)(?=\1)")  # digits, and all but the last of the same letters in a row


async def forget_networks(database: Database, wrapper: Wrapper) -> int:
    """Flag the bursts of the hours that are over, and forget all networks of those; return how many signatures had one.

    Harmless when done twice or by two workers at once. Raises ``Unavailable``.
    """
    async with database.connection() as conn:
        before = await queries.over(conn)
        letters = await queries.letters(conn)
        exempt = _digests_of_many(await queries.day_keys(conn, before), wrapper)
    total = 0
    for letter in letters:
        async with database.transaction() as conn:
            if await queries.try_lock(conn, letter):
                total += await _forget(conn, letter, before, exempt)
    return total


def _digests_of_many(days: Sequence[Record], wrapper: Wrapper) -> frozenset[bytes]:
    """Return the digests that stand for no one network: everybody's who came through Tor, and the unknown one."""
    keys = [DayKey(row["day"], wrapper.unwrap(row["wrapped"])) for row in days]
    names = [f"network|{hour:02}|{name}" for hour in range(24) for name in (ONION, UNKNOWN)]
    return frozenset(key.digest(name) for key in keys for name in names)


async def _forget(conn: Connection, letter_id: LetterId, before: datetime, exempt: frozenset[bytes]) -> int:
    bursts = await queries.bursts(conn, letter_id, before, BURST)
    groups = {network: secrets.randbits(62) for network in bursts if network not in exempt}
    rows = await queries.signed(conn, letter_id, before, MAX_ROWS)
    repeated = repeated_names([(row["hour"], row["name_key"]) for row in rows])
    # By id: whoever decides about many takes them in that order too.
    for start in range(0, len(rows), BATCH):
        some = sorted(rows, key=lambda row: int(row["id"]))[start : start + BATCH]
        flags = [_flags(row, groups, repeated) for row in some]
        given = [groups.get(row["network"]) for row in some]
        await queries.mark_signed(conn, letter_id, [row["id"] for row in some], flags, given)
    await queries.mark_pending(conn, letter_id, before, list(groups), list(groups.values()))
    return len(rows)


def _flags(row: Record, groups: Mapping[bytes, int], repeated: frozenset[tuple[datetime, str]]) -> str:
    found = {
        Flag.BURST: row["network"] in groups,
        Flag.REPEATED: row["name_key"] is not None and (row["hour"], likeness(row["name_key"])) in repeated,
    }
    return ",".join(flag.value for flag, speaks in found.items() if speaks)


def repeated_names(names: Iterable[tuple[datetime, str | None]]) -> frozenset[tuple[datetime, str]]:
    """Return (hour, likeness) of the names that were signed with again and again; ``names`` are (hour, folded name)."""
    known = list(names)
    in_hour = Counter(hour for hour, _ in known)
    alike = Counter((hour, likeness(name)) for hour, name in known if name)
    return frozenset(
        (hour, name) for (hour, name), n in alike.items() if n >= max(REPEATED, in_hour[hour] // REPEATED_SHARE)
    )


def likeness(name_key: str) -> str:
    """Return what nearly the same names share: the order of words, digits and doubled letters make no difference."""
    words = sorted(_IGNORED.sub("", word) for word in name_key.split())
    return " ".join(filter(None, words)) or name_key
