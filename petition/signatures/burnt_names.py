"""Names that wait to be shown, of a letter whose keys were burnt: they are sealed to the worker's key, and go as well.

Who was to be shown is only counted from then on. ``petition burn`` erases them, and the worker what a crash has left.
"""

from petition.core.database import Connection, Database, Record
from petition.core.ids import LetterId
from petition.signatures import counting, sealed_name_queries
from petition.signatures.counting import CountChange
from petition.signatures.model import Kind, SignatureState, Visibility

BATCH = 500


async def erase(database: Database, letter_id: LetterId) -> int:
    """Erase the sealed names of a burnt letter; return how many. Raises ``Unavailable``."""
    total = 0
    while True:
        async with database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            rows = await sealed_name_queries.lock_burnt(conn, letter_id, BATCH)
            if not rows:
                return total
            await erase_rows(conn, letter_id, rows)
        total += len(rows)


async def erase_rows(conn: Connection, letter_id: LetterId, rows: list[Record]) -> None:
    """Erase the sealed names of signatures, which are locked."""
    await sealed_name_queries.erase_sealed(conn, letter_id, [row["id"] for row in rows])
    change = CountChange()
    for row in rows:
        if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED:
            change += CountChange.of_visibility(row["visibility"], Visibility.COUNTED)
    await counting.apply(conn, letter_id, change, revision=True)
