"""How many names that are not public an organizer has read at the desk: each signature once, however often it is shown.

Above a limit the desk wants a second factor that was proved a short time ago (docs/decisions/fresh-factor.md). Rows are
deleted after a day (``worker.retention``).
"""

from collections.abc import Sequence

from petition.core.database import Connection
from petition.core.ids import OrganizerId, SignatureId

MAX_HOUR = 300  # signatures
MAX_DAY = 1000

# In the order of the ids, since two pages of one organizer may be read at the same time.
ADD = """
WITH added AS (
  INSERT INTO name_reading (organizer, signature)
  SELECT $1, id FROM unnest($2::bigint[]) AS id ORDER BY id
  ON CONFLICT (organizer, signature) DO UPDATE SET at = now() WHERE name_reading.at < now() - interval '1 minute'
)
SELECT count(*) FILTER (WHERE at > now() - interval '1 hour') AS hour, count(*) AS day
FROM name_reading WHERE organizer = $1 AND at > now() - interval '1 day' AND signature <> ALL($2::bigint[])
"""


async def add(conn: Connection, organizer_id: OrganizerId, ids: Sequence[SignatureId]) -> bool:
    """Store that an organizer reads these names now; return whether all of the last hour and day are within the limits.

    Locks the rows. The caller rolls back where the names are not shown after all.
    """
    row = await conn.fetchrow(ADD, organizer_id, list(ids))
    others = (row["hour"], row["day"]) if row else (0, 0)
    return others[0] + len(ids) <= MAX_HOUR and others[1] + len(ids) <= MAX_DAY
