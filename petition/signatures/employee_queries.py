"""The SQL of employees who sign without their names."""

from petition.core.database import Connection
from petition.core.ids import EmployerId, LetterId
from petition.letters import count_step_queries

MIN_NUMBER = 5  # a smaller number is not shown: it would come close to a name

# The smaller numbers stay in the database.
COUNT = f"""
SELECT s.employer, CASE WHEN count(*) >= {MIN_NUMBER} THEN count(*) END AS number
FROM signature s
WHERE s.letter = $1 AND s.employer IS NOT NULL AND s.state = 'confirmed' AND {count_step_queries.is_listed("s.id")}
GROUP BY s.employer
"""


async def count(conn: Connection, letter_id: LetterId) -> dict[EmployerId, int | None]:
    """Return how many signed of each employer that anyone of did; None if they are fewer than ``MIN_NUMBER``."""
    return {row["employer"]: row["number"] for row in await conn.fetch(COUNT, letter_id)}
