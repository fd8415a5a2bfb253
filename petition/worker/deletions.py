"""What the worker deleted, counted by day and task: the proof that periods are kept (``petition legal``)."""

from petition.core.database import Database

COUNT = """
INSERT INTO deletion AS d (day, task, number) VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2)
ON CONFLICT (day, task) DO UPDATE SET number = d.number + excluded.number
"""

# Chores whose numbers are rows, keys or names that are gone.
COUNTED = (
    "drop_",
    "delete_",
    "forget_",
    "destroy_digest_keys",
    "end_names",
    "erase_removed",
    "clear_taken_down",
    "sweep_contacts",
)


async def count(database: Database, chore: str, number: int) -> None:
    """Add what a chore deleted to its day. Raises ``Unavailable``."""
    if number and chore.startswith(COUNTED):
        async with database.transaction() as conn:
            await conn.execute(COUNT, chore, number)
