"""Updates on a letter: drafted, previewed, published, edited in the open, removed, brought back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import brotli
import httpx2
import pytest

from petition.drafts import publishing
from petition.letters import updates
from petition.letters.updates import MAX_MARKDOWN
from tests.organizers import people
from tests.pages import assert_redirect, check_page
from tests.rows import rows_of
from tests.running import SLUG, Installation

HERE = f"/organizer/{SLUG}/updates"
NEWS = {
    "title_en": "An answer <b>has</b> come",
    "text_en": "They **agree**.\n\n<script>alert(1)</script>\n\n[more](javascript:alert(1))",
    "title_ru": "Пришёл ответ",
    "text_ru": "Они **согласны**.",
}
LOG = "SELECT act, before, after FROM log WHERE act LIKE 'update.%' ORDER BY id"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


async def write(client: httpx2.AsyncClient, act: str = "publish", **changes: str) -> str:
    """Write an update; return its address at the desk."""
    answer = await client.post(HERE, data=NEWS | {"act": act} | changes)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


async def act(client: httpx2.AsyncClient, where: str, act: str, **changes: str) -> httpx2.Response:
    page = (await client.get(where)).text
    revision = page.partition('name="revision" value="')[2].partition('"')[0]
    return await client.post(where, data=NEWS | {"act": act, "revision": revision} | changes)


async def public(site: Installation, wanted: str, *, gone: bool = False, lang: str = "en") -> str:
    """Wait until the letter's page and that of updates have, or have no longer, some words; return the latter."""
    updates = ""
    async with asyncio.timeout(120):
        for path in (f"/{lang}/{SLUG}", f"/{lang}/{SLUG}/updates"):
            while (wanted in (updates := (await site.client.get(path)).text)) is gone:
                await asyncio.sleep(0.05)
    return updates


async def test_from_draft_to_the_page(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor, "save")
    page = await site.client.get(f"/en/{SLUG}")
    assert "An answer" not in page.text
    assert "No news yet" in (await site.client.get(f"/en/{SLUG}/updates")).text
    assert_redirect(await act(editor, where, "publish"), f"{where}?done=publish")
    shown = await public(site, "An answer &lt;b&gt;has&lt;/b&gt; come")
    assert "<strong>agree</strong>" in shown
    assert "<script>alert" not in shown
    assert "javascript:" not in shown.partition("</style>")[2].replace("[more](javascript:alert(1))", "")
    assert "edited" not in shown.partition("</style>")[2]
    russian = await public(site, "Пришёл ответ", lang="ru")
    assert "<strong>согласны</strong>" in russian
    found = [tuple(row.values()) for row in await rows_of(site.database, LOG)]
    assert found == [("update.add", "", "draft"), ("update.published", "draft", "published")]


async def test_an_edit_is_seen_as_one(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor)
    await public(site, "An answer")
    assert_redirect(await act(editor, where, "save"), f"{where}?done=save")  # nothing has changed
    assert_redirect(await act(editor, where, "save", text_en="They do not."), f"{where}?done=save")
    shown = await public(site, "They do not.")
    assert "edited" in shown.partition("</style>")[2]
    (row,) = await rows_of(site.database, "SELECT published_at < edited_at AS later FROM news")
    assert row["later"]
    assert [row["act"] for row in await rows_of(site.database, LOG)][-1] == "update.edit"
    assert len(await rows_of(site.database, LOG)) == 3


async def test_removed_and_brought_back(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor)
    await public(site, "An answer")
    assert_redirect(await act(editor, where, "remove"), f"{where}?done=remove")
    assert "An answer" not in await public(site, "An answer", gone=True)
    assert "Undo" in (await editor.get(f"{where}?done=remove")).text
    assert_redirect(await act(editor, where, "back"), f"{where}?done=back")
    assert "An answer" in await public(site, "An answer")
    acts = [row["act"] for row in await rows_of(site.database, LOG)]
    assert acts[-2:] == ["update.removed", "update.back"]


async def test_a_preview_stores_nothing(site: Installation, editor: httpx2.AsyncClient) -> None:
    answer = await editor.post(HERE, data=NEWS | {"act": "preview"})
    assert answer.status_code == 200
    assert "<strong>agree</strong>" in answer.text
    assert "<script>alert" not in answer.text
    assert "They **agree**." in answer.text  # still in the form
    assert await rows_of(site.database, "SELECT 1 FROM news") == []
    where = await write(editor, "save")
    answer = await act(editor, where, "preview", text_en="*Other*")
    assert "<em>Other</em>" in answer.text
    (row,) = await rows_of(site.database, "SELECT texts FROM news")
    assert row["texts"]["en"]["markdown"] == NEWS["text_en"]


async def test_nothing_is_overwritten_silently(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor, "save")
    mine = NEWS | {"act": "save", "revision": "1"}
    assert (await editor.post(where, data=mine | {"text_en": "Theirs."})).status_code == 303
    answer = await editor.post(where, data=mine | {"text_en": "Mine."})
    assert answer.status_code == 409
    assert "Mine." in answer.text
    assert "<p>Theirs.</p>" in answer.text
    (row,) = await rows_of(site.database, "SELECT texts FROM news")
    assert row["texts"]["en"]["markdown"] == "Theirs."
    again = answer.text.partition('name="revision" value="')[2].partition('"')[0]
    assert (await editor.post(where, data=mine | {"text_en": "Mine.", "revision": again})).status_code == 303


async def test_two_at_once(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor, "save")
    each = [NEWS | {"act": "save", "revision": "1", "title_en": f"Number {n}"} for n in range(4)]
    answers = await asyncio.gather(*(editor.post(where, data=form) for form in each))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]


async def test_the_newest_two_stand_on_the_page_which_stays_light(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    for number in range(22):
        await write(editor, title_en=f"News number {number:02}", text_en="Word " * 300)
    await public(site, "News number 21")
    page = (await site.client.get(f"/en/{SLUG}")).text
    assert page.index("News number 21") < page.index("News number 20")
    assert "News number 19" not in page
    assert len(brotli.compress(page.encode())) < 10 * 1024
    first = await site.client.get(f"/en/{SLUG}/updates")
    assert "News number 02" in first.text
    assert "News number 01" not in first.text
    assert first.headers["etag"]
    same = await site.client.get(f"/en/{SLUG}/updates", headers={"If-None-Match": first.headers["etag"]})
    assert same.status_code == 304
    earlier = first.text.partition('rel="next" href="')[2].partition('"')[0]
    rest = (await site.client.get(earlier)).text
    assert "News number 01" in rest
    assert "News number 00" in rest
    assert "News number 02" not in rest
    for odd in ("x", "-1", "9" * 30, "0", "999999999", "%00"):
        assert (await site.client.get(f"/en/{SLUG}/updates?before={odd}")).status_code == 200


async def test_in_one_language_it_says_which(site: Installation, editor: httpx2.AsyncClient) -> None:
    await write(editor, title_ru="", text_ru="")
    shown = await public(site, "An answer", lang="ru")
    assert '<div class="text" lang="en">' in shown


async def test_a_draft_letter_publishes_none(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('a-draft', 1)")
    async with people.at_desk(site, "owner", slug="a-draft") as client:
        answer = await client.post("/organizer/a-draft/updates", data=NEWS | {"act": "publish"})
        assert answer.status_code == 422
        assert "once the letter is published" in answer.text
        assert (await client.post("/organizer/a-draft/updates", data=NEWS | {"act": "save"})).status_code == 303


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"act": ""}, 400),
        ({"act": "delete"}, 400),
        ({"title_en": ""}, 422),
        ({"text_en": " \n "}, 422),
        (dict.fromkeys(NEWS, ""), 422),
        ({"title_en": "x" * 201}, 422),
        ({"text_en": "x" * (MAX_MARKDOWN + 1)}, 422),
        ({"text_en": "a\u202eb\u0007"}, 422),
        ({"title_en": "\ud7ff\u0001"}, 422),
        ({"text_en": "x\u0000"}, 400),
    ],
)
async def test_hostile_forms(
    site: Installation, editor: httpx2.AsyncClient, changes: dict[str, str], status: int
) -> None:
    assert (await editor.post(HERE, data=NEWS | {"act": "publish"} | changes)).status_code == status
    assert await rows_of(site.database, "SELECT 1 FROM news") == []


@pytest.mark.parametrize(
    "text", ["> " * 5000, "[" * 10_000, "* " * 8000, "`" * 19_999, "![x](/a)" * 2000, "<" * 20_000]
)
async def test_odd_markdown_is_never_a_500(site: Installation, editor: httpx2.AsyncClient, text: str) -> None:
    assert (await editor.post(HERE, data=NEWS | {"act": "preview", "text_en": text})).status_code in {200, 422}


async def test_roles_and_other_letters(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor, "save")
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('other', 1)")
    form = NEWS | {"act": "save", "revision": "1"}
    async with (
        people.at_desk(site, "moderator") as moderator,
        people.at_desk(site, "owner", slug="other", email="other@letters.example") as other,
        people.stranger(site) as stranger,
    ):
        for address in (HERE, where):
            assert (await moderator.get(address)).status_code == 403
            assert (await moderator.post(address, data=form)).status_code == 403
            assert (await other.post(address, data=form)).status_code == 404
            assert (await stranger.post(address, data=form)).status_code == 401
        theirs = where.replace(SLUG, "other")
        assert (await other.get(theirs)).status_code == 404
        assert (await other.post(theirs, data=form)).status_code == 404
    for odd in ("0", "x", "9" * 30, "-1", "1%00"):
        assert (await editor.get(f"{HERE}/{odd}")).status_code in {400, 404}
        assert (await editor.post(f"{HERE}/{odd}", data=form)).status_code in {400, 404}
    for method in ("PUT", "DELETE"):
        assert (await editor.request(method, where)).status_code == 405
        check_page(await site.client.request(method, f"/en/{SLUG}/updates"), 405)
    check_page(await site.client.get("/en/no-such-letter/updates"), 404)


async def test_the_folder_stays_the_same_to_the_byte(
    site: Installation, editor: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await publishing.export_folder(site.database, SLUG, tmp_path / "before")
    await write(editor)
    await publishing.export_folder(site.database, SLUG, tmp_path / "after")
    before, after = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in ("before", "after"))
    assert before == after


DUE = "UPDATE news SET publish_at = now() - interval '1 second'"
LATER = {"publish_at": "2099-03-01T18:00"}


async def test_an_update_is_published_at_its_time(site: Installation, editor: httpx2.AsyncClient) -> None:
    address = await write(editor, "schedule", **LATER)
    page = (await editor.get(f"{address}?done=schedule")).text
    assert "It will be published by itself: 1 March 2099" in page
    assert 'value="2099-03-01T18:00"' in page
    assert await updates.publish_due(site.database) == 0
    assert_redirect(await act(editor, address, "save", text_en="They agree after all."), f"{address}?done=save")
    async with site.database.connection() as conn:
        await conn.execute(DUE)
    counts = await asyncio.gather(updates.publish_due(site.database), updates.publish_due(site.database))
    assert sorted(counts) == [0, 1]
    await public(site, "They agree after all.")
    assert "Published" in (await editor.get(address)).text


async def test_a_schedule_can_be_taken_back(site: Installation, editor: httpx2.AsyncClient) -> None:
    address = await write(editor, "schedule", **LATER)
    assert_redirect(await act(editor, address, "unschedule"), f"{address}?done=unschedule")
    refused = await act(editor, address, "schedule", publish_at="2001-01-01T10:00", title_en="Kept")
    assert refused.status_code == 422
    assert 'value="Kept"' in refused.text
    await act(editor, address, "schedule", **LATER)
    await act(editor, address, "remove")
    async with site.database.connection() as conn:
        await conn.execute("UPDATE news SET publish_at = NULL WHERE state = 'draft'")
    assert await rows_of(site.database, "SELECT FROM news WHERE publish_at IS NOT NULL") == []


async def test_marks_of_direction_are_taken_off_a_title(site: Installation, editor: httpx2.AsyncClient) -> None:
    address = await write(editor, "save", title_en="An\u202e answer")
    assert 'value="An answer"' in (await editor.get(address)).text
