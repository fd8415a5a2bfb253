"""The letters in memory: one asked for right after its publication is there; wild addresses cost next to nothing."""

import asyncio
from pathlib import Path

import pytest

from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import Gone, ImportRefused, NotFound, PetitionError, Unavailable
from petition.core.ids import LetterId
from petition.drafts import publishing
from petition.letters import lifecycle_queries, published, status_queries
from petition.letters.model import Letter
from petition.letters.published import SPACING, PublishedLetters
from tests.letters.folders import other_letter
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation, publish


class Looks:
    """Counts looks at the database."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.number = 0
        real = status_queries.look

        async def counting(conn: Connection, before: status_queries.Look) -> status_queries.Look:
            self.number += 1
            return await real(conn, before)

        patch.setattr(status_queries, "look", counting)


async def test_a_letter_is_there_right_after_its_publication(site: Installation, tmp_path: Path) -> None:
    for number in range(5):
        slug = f"fresh-letter-{number}"
        answer = await site.client.get(f"/en/{slug}")  # asked for a moment before: not there, and looked for
        assert answer.status_code == 404
        await publish(site.settings, site.database, other_letter(tmp_path, slug))
        assert (await site.client.get(f"/en/{slug}")).status_code == 200


async def test_a_flood_of_wild_addresses_is_a_few_looks(
    site: Installation, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, own = Looks(monkeypatch), PublishedLetters(database, Wrapper([KEY]))
    started = asyncio.get_running_loop().time()
    for _ in range(5):
        found = await asyncio.gather(*(own.get(f"wild-{n}") for n in range(400)), return_exceptions=True)
        assert {type(each) for each in found} == {NotFound}
    took = asyncio.get_running_loop().time() - started
    assert looks.number <= 2 + took / SPACING + 10 * took  # the web's own board looks twice a second, too
    before = looks.number
    with pytest.raises(NotFound):
        await own.get("x" * 65)  # no letter can be called that
    assert looks.number - before <= 1


async def test_each_waits_for_a_look_that_began_later(site: Installation, database: Database, tmp_path: Path) -> None:
    """Publish in the middle of a flood: whoever asks after the commit gets it, whatever look was under way."""
    own = PublishedLetters(database, Wrapper([KEY]))
    stop = asyncio.Event()

    async def wild(number: int) -> None:
        while not stop.is_set():
            with pytest.raises(NotFound):
                await own.get(f"wild-{number}")

    flood = [asyncio.create_task(wild(number)) for number in range(20)]
    try:
        for number in range(8):
            slug = f"fresh-letter-{number}"
            await publish(site.settings, database, other_letter(tmp_path, slug))
            assert (await own.get(slug)).letter.slug == slug
    finally:
        stop.set()
        await asyncio.gather(*flood)


async def test_a_crowd_reads_a_letter_once(
    site: Installation, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, read, reads = PublishedLetters(database, Wrapper([KEY])), published.read, []

    async def counting(conn: Connection, wrapper: Wrapper, letter_id: LetterId) -> Letter:
        reads.append(letter_id)
        if len(reads) == 1:
            raise Unavailable("the database went away")
        return await read(conn, wrapper, letter_id)

    monkeypatch.setattr(published, "read", counting)
    first = await asyncio.gather(*(own.get(SLUG) for _ in range(200)), return_exceptions=True)
    assert {type(result) for result in first} == {Unavailable}  # all of them, and the next one asks again
    letters = await asyncio.gather(*(own.get(SLUG) for _ in range(200)))
    assert len({id(letter.letter.version) for letter in letters}) == 1
    assert len(reads) == 2


async def test_an_unknown_id_too(site: Installation, database: Database) -> None:
    own = PublishedLetters(database, Wrapper([KEY]))
    (row,) = await rows_of(database, "SELECT id FROM letter")
    assert (await own.by_id(row["id"])).letter.slug == SLUG
    with pytest.raises(NotFound):
        await own.by_id(row["id"] + 1)
    async with database.connection() as conn:
        await conn.execute(lifecycle_queries.TAKE_DOWN, row["id"])
    await own.refresh()
    for asked in (own.by_id(row["id"]), own.get(SLUG)):
        with pytest.raises(Gone):
            await asked


async def test_an_import_that_cannot_be_published_takes_nothing_in(site: Installation, tmp_path: Path) -> None:
    folder = other_letter(tmp_path, SLUG)
    (folder / "en.md").write_text("# Another title\n\nAnother text.\n")
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now()")
    before = await rows_of(site.database, "SELECT * FROM translation ORDER BY lang")
    with pytest.raises(PetitionError, match="is closed"):
        await publishing.import_folder(site.database, Wrapper([KEY]), folder, ("en", "ru"), publish=True)
    assert await rows_of(site.database, "SELECT * FROM translation ORDER BY lang") == before
    fresh = other_letter(tmp_path, "never-there")
    for path in fresh.glob("*.md"):
        path.unlink()
    with pytest.raises((ImportRefused, PetitionError)):
        await publishing.import_folder(site.database, Wrapper([KEY]), fresh, ("en", "ru"), publish=True)
    assert await rows_of(site.database, "SELECT 1 FROM letter WHERE slug = 'never-there'") == []


@pytest.fixture
def database(site: Installation) -> Database:
    return site.database
