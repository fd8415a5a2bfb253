"""Publishing: what blocks it, what readers are told, and that nothing else reaches them."""

import asyncio
import html
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from petition.drafts import checklist, draft_fields, store
from petition.letters import queries
from petition.web.desk import publishing
from tests import rows
from tests.drafts import desk
from tests.organizers import people
from tests.running import SLUG, Installation

NEW = "/organizer/a-new-one"
NOTE = {"note.en": "We were wrong about <the> date.", "note.ru": "Мы ошиблись в дате."}
LOG = "SELECT act, before, after FROM log WHERE organizer IS NOT NULL AND act <> 'letter.write' ORDER BY id"
VERSIONS = "SELECT number, note FROM version v JOIN letter l ON l.id = v.letter WHERE l.slug = $1 ORDER BY number"
STATE = "SELECT state::text, version, opened_at IS NOT NULL AS opened FROM letter WHERE slug = $1"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor") as client:
        yield client


def words(page: httpx2.Response | str) -> str:
    text = page if isinstance(page, str) else page.text
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)))


async def test_a_new_letter_needs_text_and_parties(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
    page = await editor.get(f"{NEW}/publish")
    for message in (checklist.NO_ADDRESSEE, checklist.NO_INITIATOR):
        assert message in words(page)
    assert "The text is missing (English)." in words(page)
    assert "There is no translation (Русский)." in words(page)
    assert "<button>Publish" not in page.text
    refused = await desk.publish(editor, f"{NEW}/publish")
    assert refused.status_code == 409  # the page gave no draft to publish
    path = f"{NEW}/text"
    await desk.change(editor, path, title_en="")
    assert checklist.NOTHING in words(await editor.get(f"{NEW}/publish"))
    await desk.change(editor, path, title_en="New", text_en="Text", addressees_0_ru="Вы", initiators_0_en="We")
    page = await editor.get(f"{NEW}/publish")
    assert checklist.NO_ADDRESSEE not in words(page)
    assert "“Вы” has no name in this language, so readers of it see the other name. (English)" in words(page)
    assert f'href="{NEW}/text#f-addressees-0-en"' in page.text
    assert 'id="f-addressees-0-en"' in (await editor.get(f"{NEW}/text")).text
    assert (await site.client.get("/en/a-new-one")).status_code == 404
    done = await desk.publish(editor, f"{NEW}/publish")
    assert (done.status_code, done.headers["location"]) == (303, f"{NEW}/publish?done=1")
    assert "<h1>New</h1>" in await desk.public(site, slug="a-new-one")
    assert await rows.rows_of(site.database, STATE, "a-new-one") == [{"state": "open", "version": 1, "opened": True}]
    acts = [tuple(act.values()) for act in await rows.rows_of(site.database, LOG)]
    assert acts == [("letter.make", "", ""), ("letter.publish", "0", "1")]
    assert "Published." in words(await editor.get(f"{NEW}/publish?done=1"))


async def test_a_change_of_text_needs_a_reason_that_readers_see(site: Installation, editor: httpx2.AsyncClient) -> None:
    form = await desk.opened(editor)
    await desk.change(editor, text_en=form["text.en"] + "\n\nOne more thing.", goal="9000", next_goals="20000")
    page = await editor.get(desk.PUBLISH)
    assert "<ins>One more thing.</ins>" in page.text
    assert "The text was changed only in another language (Русский)." in words(page)
    assert "5,000" in words(page)
    assert "9,000" in words(page)
    for note in ({}, {"note.en": "Only one"}, NOTE | {"note.ru": " "}, NOTE | {"note.en": "x" * 1001}):
        refused = await desk.publish(editor, **note)
        assert refused.status_code == 422
    assert "x" * 1001 in refused.text
    assert publishing.LONG_NOTE in words(refused)
    assert "One more thing." not in await desk.public(site)
    assert (await desk.publish(editor, **NOTE)).status_code == 303
    public = await desk.public(site)
    assert "One more thing." in public
    assert 'max="9000"' in public
    versions = (await site.client.get(f"/en/{SLUG}/versions")).text
    assert "We were wrong about &lt;the&gt; date." in versions
    assert "Мы ошиблись в дате." in (await site.client.get(f"/ru/{SLUG}/versions")).text
    acts = [tuple(act.values()) for act in await rows.rows_of(site.database, LOG)]
    assert acts == [("letter.frame", "", "goal+next_goals"), ("letter.publish", "1", "2")]


async def test_what_surrounds_the_text_makes_no_version(site: Installation, editor: httpx2.AsyncClient) -> None:
    await desk.change(
        editor, closes_at="2099-03-01T18:30", addressees_0_en="Another Network", sharing_en="Read “this”, please"
    )
    page = await editor.get(desk.PUBLISH)
    assert "note.en" not in page.text
    assert (await desk.publish(editor)).status_code == 303
    public = await desk.public(site)
    assert "Another Network" in public
    assert '<meta property="og:description" content="Read “this”, please">' in public
    assert "text=Read%20%E2%80%9Cthis%E2%80%9D%2C%20please" in public
    assert (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["closes_at"] == "2099-03-01T18:30:00Z"
    assert len(await rows.rows_of(site.database, VERSIONS, SLUG)) == 1
    assert "There are no unpublished changes." in words(await editor.get(desk.PUBLISH))


async def test_only_what_was_shown_is_published(site: Installation, editor: httpx2.AsyncClient) -> None:
    await desk.change(editor, title_en="First")
    page = await editor.get(desk.PUBLISH)
    digest = page.text.partition('name="draft" value="')[2].partition('"')[0]
    await desk.change(editor, title_en="Second")
    refused = await editor.post(desk.PUBLISH, data={"draft": digest, **NOTE})
    assert refused.status_code == 409
    assert publishing.CHANGED in words(refused)
    assert NOTE["note.ru"] in refused.text
    assert len(await rows.rows_of(site.database, VERSIONS, SLUG)) == 1


async def test_twice_is_once(site: Installation, editor: httpx2.AsyncClient) -> None:
    await desk.change(editor, title_en="First")
    page = await editor.get(desk.PUBLISH)
    digest = page.text.partition('name="draft" value="')[2].partition('"')[0]
    form = {"draft": digest, **NOTE}
    answers = await asyncio.gather(*(editor.post(desk.PUBLISH, data=form) for _ in range(4)))
    assert {each.status_code for each in answers} <= {303, 422}
    assert [row["number"] for row in await rows.rows_of(site.database, VERSIONS, SLUG)] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"closes_at": "2001-01-01T00:00"}, checklist.OVER),
        ({"text_ru": ""}, "The text is missing (Русский)."),
        ({"title_en": ""}, "The title is missing (English)."),
        ({"text_ru": "", "title_ru": "", "text_en": "", "title_en": ""}, checklist.NOTHING),
    ],
)
async def test_some_things_block(
    site: Installation, editor: httpx2.AsyncClient, changes: dict[str, str], message: str
) -> None:
    await desk.change(editor, **changes)
    page = await editor.get(desk.PUBLISH)
    assert message in words(page)
    assert 'name="draft"' not in page.text
    async with site.database.connection() as conn:
        row = await queries.by_slug(conn, SLUG)
        assert row is not None
        draft = await store.load(conn, row, ("en", "ru"))
    refused = await editor.post(desk.PUBLISH, data={"draft": draft_fields.digest_of_all(draft.fields), **NOTE})
    assert refused.status_code == 422
    assert publishing.MISSING in words(refused)
    assert len(await rows.rows_of(site.database, VERSIONS, SLUG)) == 1


@pytest.mark.parametrize("change", ["state = 'closed', closed_at = now()", "state = 'archived'", "closes_at = now()"])
async def test_a_closed_letter_stays_as_it_is(site: Installation, editor: httpx2.AsyncClient, change: str) -> None:
    await desk.change(editor, title_en="First", goal="9000")
    page = await editor.get(desk.PUBLISH)
    digest = page.text.partition('name="draft" value="')[2].partition('"')[0]
    async with site.database.connection() as conn:
        await conn.execute(f"UPDATE letter SET {change}")
    assert publishing.CLOSED in words(await editor.get(desk.PUBLISH))
    assert "only be published once the letter is open again" in words(await editor.get(desk.TEXT))
    refused = await editor.post(desk.PUBLISH, data={"draft": digest, **NOTE})
    assert refused.status_code in {409, 422}
    assert await rows.rows_of(site.database, "SELECT goal, version FROM letter") == [{"goal": 5000, "version": 1}]


async def test_the_goal_rises_with_the_count(site: Installation, editor: httpx2.AsyncClient) -> None:
    await desk.change(editor, goal="3", next_goals="5 100")
    assert (await desk.publish(editor)).status_code == 303
    for people_there, goal in ((2, 3), (3, 5), (5, 100), (99, 100), (200, 100)):
        async with site.database.connection() as conn:
            await conn.execute("UPDATE count SET people = $1", people_there)
        page = await desk.public(site)
        assert f'max="{goal}"' in page
        assert (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["goal"] == goal


async def test_a_translation_left_alone_is_told_of(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
    await desk.change(editor, f"{NEW}/text", text_en="Text", title_ru="Новое", text_ru="Текст")
    assert "more than a day older" not in words(await editor.get(f"{NEW}/publish"))
    async with site.database.connection() as conn:
        await conn.execute("UPDATE edit SET at = now() - interval '25 hours' WHERE field = 'text.en'")
    assert "This text is more than a day older than the other one (English)." in words(
        await editor.get(f"{NEW}/publish")
    )
