"""Values in tables that go through the keeper: gathered in a temporary table, asked for in batches, put in place.

In one transaction of the caller's.
"""

import asyncio
from collections.abc import Iterable

from petition.core.database import Connection
from petition.core.errors import Unavailable
from petition.core.keeper import MAX_VALUES, KeeperClient, KeeperPurpose

LONG = 3600.0  # seconds

CREATE = """
CREATE TEMPORARY TABLE kept_value (inner_value bytea PRIMARY KEY, outer_value bytea) ON COMMIT DROP
"""
ADD = "INSERT INTO kept_value (inner_value) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING"
NEXT = "SELECT inner_value FROM kept_value WHERE outer_value IS NULL ORDER BY inner_value LIMIT $1"
FILL = """
UPDATE kept_value k SET outer_value = u.outer_value
FROM unnest($1::bytea[], $2::bytea[]) AS u (inner_value, outer_value) WHERE k.inner_value = u.inner_value
"""
OUTER = "SELECT inner_value, outer_value FROM kept_value WHERE inner_value = ANY($1::bytea[])"


async def fill(conn: Connection, keeper: KeeperClient, purpose: KeeperPurpose, *, is_first: bool = False) -> None:
    """Ask the keeper for all that ``kept_value`` does not have yet; wait while its limit is used up.

    ``is_first``: nothing is compared with the fingerprint of the database, which has none. Raises ``Unavailable``.
    """
    while rows := await conn.fetch(NEXT, MAX_VALUES, timeout=LONG):
        values = [row["inner_value"] for row in rows]
        await conn.execute(FILL, values, await _apply(keeper, values, purpose, is_first=is_first), timeout=LONG)


async def _apply(keeper: KeeperClient, values: list[bytes], purpose: KeeperPurpose, *, is_first: bool) -> list[bytes]:
    while True:
        try:
            if is_first:
                return (await keeper.ask({purpose: values}))[1][purpose]
            return await keeper.apply(values, purpose)
        except Unavailable as error:
            if error.__cause__ is not None:  # away, and not only busy
                raise
            await asyncio.sleep(error.retry_after)


async def outer_values(conn: Connection, inner: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the keeper's digests of values in the table."""
    rows = await conn.fetch(OUTER, list(inner), timeout=LONG)
    return {row["inner_value"]: row["outer_value"] for row in rows}
