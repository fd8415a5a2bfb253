"""What is measured of the desk: every page that can be read, and each is there."""

from petition.core.database import connect
from petition.core.encryption import Wrapper
from petition.count_log import merkle, reading, receipts
from petition.count_log import queries as log_queries
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import EntryKind
from petition.signatures import counting, names
from petition.web.desk.routes import DESK
from tests import rows
from tests.bench import bulk, desk_fill, desk_pages, fill
from tests.bench.desk_pages import PAGES
from tests.running import KEY, SLUG, Installation

ROWS = 3000
# Columns, keys and indexes with their names and settings.
SHAPE = """
SELECT relname AS name, pg_get_indexdef(c.oid) AS definition FROM pg_class c
JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'
UNION ALL
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0
ORDER BY 1, 2
"""


def test_every_page_of_the_desk_is_measured() -> None:
    assert set(PAGES) == {at.path for at in DESK if at.method == "GET"}


async def test_the_pages_that_are_measured_are_there(site: Installation, database_url: str) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        await fill.sign(conn, letter.id, 2000, desk_fill.furnish)  # type: ignore[arg-type]
        cookie = await desk_pages.enter(conn, letter.id)
    known = {"slug": SLUG} | {k: str(v) for k, v in (await desk_fill.places(database_url, letter.id)).items()}
    assert "None" not in known.values()
    site.client.cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
    for name, path, look in desk_pages.looks(known):
        if look.entered:
            answer = await site.client.get(path)
            assert answer.status_code == look.status, name


async def test_a_bulk_of_signatures_adds_up(site: Installation, database_url: str) -> None:
    conn = await connect(database_url)
    letter, shape = await rows.letter(conn), await conn.fetch(SHAPE)
    await bulk.sign(database_url, letter.id, ROWS)
    assert await conn.fetch(SHAPE) == shape
    counted = await counting.load_counts(conn, [letter.id])
    assert counted[letter.id] == await counting.counts_from_rows(conn, letter.id)
    assert counted[letter.id].total == ROWS
    assert await conn.fetchval("SELECT sum(people) FROM count_hour") == ROWS
    assert not await conn.fetch(log_queries.UNEQUAL)
    people = await conn.fetch("SELECT name, name_key FROM signature WHERE name IS NOT NULL")
    assert all(names.fold(row["name"]) == row["name_key"] for row in people)
    words = {row["word"] for row in await conn.fetch("SELECT word FROM name_word")}
    assert words == {word for row in people for word in names.words(row["name_key"])}
    log = await reading.head(conn, letter.id)
    assert log is not None
    key = Wrapper([KEY]).unwrap(log.wrapped_receipt_key)
    signature = await conn.fetchval("SELECT id FROM signature WHERE letter = $1 ORDER BY id LIMIT 1", letter.id)
    (placed,) = await reading.find(conn, log, receipts.token_for(key, EntryKind.PERSON, signature))
    proof = await reading.prove(conn, log, placed)
    leaf, root = merkle.leaf_hash(proof.extra), Checkpoint.parse(log.checkpoint).root
    assert merkle.is_included(leaf, proof.index, ROWS, proof.path, root)
    await conn.close()
