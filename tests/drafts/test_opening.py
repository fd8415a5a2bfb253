"""A letter that opens by itself, one whose address changes before that, and one that is copied."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from petition.core.database import Database
from petition.drafts import creating, opening
from tests import rows
from tests.drafts import desk
from tests.organizers import people
from tests.running import SLUG, Installation

NEW = "/organizer/a-new-one"
SCHEDULE = f"{NEW}/publish/schedule"
LETTER = "SELECT slug, state::text, version, publish_at FROM letter WHERE slug = $1"
ACTS = "SELECT act FROM log WHERE act LIKE 'letter.%' ORDER BY id"
DUE = "UPDATE letter SET publish_at = now() - interval '1 second' WHERE slug = 'a-new-one'"
LATER = {"publish_at": "2099-03-01T18:00"}


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client at the desk with a draft that could be published."""
    async with people.at_desk(site, "editor") as client:
        await client.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
        await desk.change(client, f"{NEW}/text", text_en="Text", addressees_0_en="You", initiators_0_en="We")
        yield client


async def run_sql(database: Database, statement: str) -> None:
    async with database.connection() as conn:
        await conn.execute(statement)


async def acts(site: Installation) -> list[str]:
    return [row["act"] for row in await rows.rows_of(site.database, ACTS)]


async def test_it_opens_at_its_time_and_not_before(site: Installation, editor: httpx2.AsyncClient) -> None:
    done = await editor.post(SCHEDULE, data=LATER)
    assert (done.status_code, done.headers["location"]) == (303, f"{NEW}/publish?done=scheduled")
    assert "The letter opens by itself: 1 March 2099" in (await editor.get(f"{NEW}/publish")).text
    assert await opening.open_due(site.database) == 0
    await desk.change(editor, f"{NEW}/text", text_en="A better text")
    await run_sql(site.database, DUE)
    counts = await asyncio.gather(opening.open_due(site.database), opening.open_due(site.database))
    assert sorted(counts) == [0, 1]
    assert "A better text" in await desk.public(site, slug="a-new-one")
    (letter,) = await rows.rows_of(site.database, LETTER, "a-new-one")
    assert (letter["state"], letter["version"], letter["publish_at"]) == ("open", 1, None)
    assert (await acts(site))[-2:] == ["letter.schedule", "letter.publish"]
    assert (await editor.post(SCHEDULE, data=LATER)).status_code == 422


async def test_what_is_incomplete_at_its_time_stays_a_draft(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post(SCHEDULE, data=LATER)
    await desk.change(editor, f"{NEW}/text", text_en="")
    await run_sql(site.database, DUE)
    assert await opening.open_due(site.database) == 0
    (letter,) = await rows.rows_of(site.database, LETTER, "a-new-one")
    assert (letter["state"], letter["publish_at"]) == ("draft", None)
    assert (await acts(site))[-1] == "letter.not_opened"
    refused = await editor.post(SCHEDULE, data=LATER)
    assert "Something is missing" in refused.text
    assert 'value="2099-03-01T18:00"' not in refused.text  # the form is not there while something is missing


async def test_it_can_be_cancelled(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post(SCHEDULE, data=LATER)
    assert (await editor.post(SCHEDULE, data={"act": "cancel"})).status_code == 303
    await run_sql(site.database, "UPDATE letter SET publish_at = NULL WHERE publish_at > now()")
    assert await opening.open_due(site.database) == 0
    assert "does not open by itself" in (await editor.get(f"{NEW}/publish?done=unscheduled")).text


@pytest.mark.parametrize("typed", ["", "soon", "2020-01-01T00:00", "2099-02-31T00:00", "9999-12-31T23:59", "9" * 300])
async def test_a_time_must_be_one_that_comes(site: Installation, editor: httpx2.AsyncClient, typed: str) -> None:
    refused = await editor.post(SCHEDULE, data={"publish_at": typed})
    assert refused.status_code == 422
    assert 'aria-invalid="true"' in refused.text
    assert await rows.rows_of(site.database, "SELECT FROM letter WHERE publish_at IS NOT NULL") == []


async def test_a_draft_gets_another_address(site: Installation, editor: httpx2.AsyncClient) -> None:
    done = await editor.post(f"{NEW}/publish/address", data={"slug": " A-Better-One "})
    assert (done.status_code, done.headers["location"]) == (303, "/organizer/a-better-one/publish?done=renamed")
    assert (await editor.get("/organizer/a-better-one/text")).status_code == 200
    assert (await editor.get(f"{NEW}/text")).status_code == 404
    for slug, message in ((SLUG, creating.TAKEN_SLUG), ("privacy", creating.RESERVED_SLUG), ("x", creating.BAD_SLUG)):
        refused = await editor.post("/organizer/a-better-one/publish/address", data={"slug": slug})
        assert refused.status_code == 422
        assert message in refused.text
    published = await editor.post(f"/organizer/{SLUG}/publish/address", data={"slug": "a-third-one"})
    assert published.status_code == 422
    assert await rows.rows_of(site.database, LETTER, "a-third-one") == []


async def test_two_drafts_cannot_get_one_address(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post("/organizer/letters/new", data={"title.en": "Other", "slug": "another-one"})
    answers = await asyncio.gather(
        *(
            editor.post(f"/organizer/{slug}/publish/address", data={"slug": "one"})
            for slug in ("a-new-one", "another-one")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 422]


async def test_a_copy_says_the_same_and_has_no_dates(site: Installation, editor: httpx2.AsyncClient) -> None:
    path = f"/organizer/{SLUG}"
    png = desk.picture()
    form = await desk.opened(editor)
    await desk.save(
        editor, form | {"closes_at": "2099-01-01 10:00", "alt.en": "A pier"}, files={"file.en": ("a.png", png)}
    )
    before = await desk.opened(editor)
    done = await editor.post(f"{path}/copy")
    assert done.status_code == 303
    address = done.headers["location"].removesuffix("/publish?done=copied")
    assert address != path
    assert "This is the copy" in (await editor.get(done.headers["location"])).text
    after = await desk.opened(editor, f"{address}/text")
    same = {name for name in before if not name.startswith("seen.")} - {"closes_at"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["closes_at"] == ""
    assert [row["act"] for row in await rows.rows_of(site.database, ACTS)][-1] == "letter.copy"
    (letter,) = await rows.rows_of(site.database, LETTER, address.rpartition("/")[2])
    assert (letter["state"], letter["version"]) == ("draft", None)
