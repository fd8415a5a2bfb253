"""A letter's log recounted as the public would: from its files alone, and compared with the published count."""

from petition.core import signing_key
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import reading, sequencing, verifying
from petition.count_log.entries import Recount
from petition.count_log.reading import LogHead
from tests.running import KEY

WRAPPER = Wrapper([KEY])
BASE_URL = "https://letters.example.org"
SLUG = "SELECT slug FROM letter WHERE id = $1"
COUNT = "SELECT people, organizations, imported FROM count WHERE letter = $1"


async def take_all(database: Database, letter_id: LetterId) -> None:
    """Take everything that waits into the log, as the worker does when its time has come."""
    async with database.connection() as conn:
        slug = await conn.fetchval(SLUG, letter_id)
    while await sequencing.sequence(database, WRAPPER, BASE_URL, letter_id, slug):
        pass


async def log_of(database: Database, letter_id: LetterId) -> tuple[LogHead, dict[str, bytes]]:
    """Return the head of a log and all its files."""
    async with database.connection() as conn:
        log = await reading.head(conn, letter_id)
        assert log is not None
        return log, {path: content async for path, content in reading.files(conn, log)}


async def recount(database: Database, letter_id: LetterId) -> Recount:
    """Return what the log's public files say, its checkpoint verified and its tiles compared with its entries."""
    log, files = await log_of(database, letter_id)
    async with database.connection() as conn:
        origin = sequencing.origin_of(BASE_URL, await conn.fetchval(SLUG, letter_id))
        key = (await signing_key.signer(conn, WRAPPER, origin)).key
    checkpoint, _ = verifying.read_checkpoint(files.__getitem__, key)
    counted = verifying.recount(files.__getitem__, checkpoint)
    assert (log.people, log.organizations, log.imported) == (counted.people, counted.organizations, counted.imported)
    return counted


async def check_log(database: Database, letter_id: LetterId) -> Recount:
    """Fail unless the log's entries less its exits are the published count."""
    await take_all(database, letter_id)
    counted = await recount(database, letter_id)
    async with database.connection() as conn:
        row = await conn.fetchrow(COUNT, letter_id)
    assert row is not None
    verifying.check_count(counted, row["people"], row["organizations"], row["imported"])
    return counted
