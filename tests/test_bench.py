"""What is measured of the desk: every page that can be read, and each is there."""

from petition.web.desk.routes import DESK
from tests import rows
from tests.bench import desk_fill, desk_pages, fill
from tests.bench.desk_pages import PAGES
from tests.running import SLUG, Installation


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
