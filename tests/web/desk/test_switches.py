"""Kill switches at the desk: on record, undone, seen on every page; forged forms, colleagues, roles."""

import asyncio

import httpx2
import pytest

from petition.letters import switch_actions
from petition.letters.switch_actions import SwitchChanged
from petition.letters.switches import OFF, ON, Switch
from tests import rows
from tests.letters.switches import ESCAPED, GENERAL, HERE, LOG, PAGE, WHY, put, revision_of
from tests.organizers import people
from tests.pages import assert_redirect
from tests.rows import rows_of
from tests.running import SLUG, Installation


async def test_every_act_is_on_record_and_can_be_undone(site: Installation, editor: httpx2.AsyncClient) -> None:
    await put(editor, "banner", text_en="First.")
    await put(editor, "banner", text_en="Second.")
    assert "Second." in (await site.client.get(PAGE)).text
    undo = {"name": "banner", "act": "undo", "revision": await revision_of(editor, "banner")}
    assert_redirect(await editor.post(HERE, data=undo), f"{HERE}?done=banner")
    assert "First." in (await site.client.get(PAGE)).text
    assert (await editor.post(HERE, data=undo)).status_code == 409  # the second time is harmless
    await put(editor, "banner", OFF)
    undo["revision"] = await revision_of(editor, "banner")
    await editor.post(HERE, data=undo)
    assert "First." in (await site.client.get(PAGE)).text
    found = [(row["before"], row["after"]) for row in await rows_of(site.database, LOG)]
    assert found == [("off", "on"), ("on", "on"), ("on", "on"), ("on", "off"), ("off", "on")]
    log = (await editor.get(f"/organizer/{SLUG}/log")).text
    assert "switch: banner" in log
    assert "First." not in log.partition("<main")[2]


async def test_the_slower_of_two_is_told(site: Installation, editor: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "owner", name="Anna") as anna:
        seen = await revision_of(anna, "stop")
        await put(editor, "stop", **WHY)
        answer = await anna.post(HERE, data={"name": "stop", "value": "on", "revision": seen, "text_en": "Mine."})
        assert answer.status_code == 409
        assert "Someone else changed this switch first" in answer.text
        assert "Boris" in answer.text
        assert ESCAPED in answer.text
    (row,) = await rows_of(site.database, "SELECT texts FROM switch")
    assert row["texts"]["en"] == WHY["text_en"]


async def test_one_of_many_at_once_puts_it(site: Installation) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)

    async def one(revision: int, number: int) -> bool:
        try:
            async with site.database.transaction() as conn:
                await switch_actions.set_switch(conn, None, letter.id, Switch.BANNER, revision, ON, {"en": f"{number}"})
        except SwitchChanged:
            return False
        return True

    for revision in (0, 1, 2):
        assert sum(await asyncio.gather(*(one(revision, number) for number in range(4)))) == 1
    assert len(await rows_of(site.database, LOG)) == 3


@pytest.mark.parametrize("role", ["owner", "moderator", "viewer"])
async def test_what_is_on_is_seen_on_every_page_of_the_desk(
    site: Installation, editor: httpx2.AsyncClient, keeper: httpx2.AsyncClient, role: str
) -> None:
    await put(editor, "stop", **WHY)
    await put(keeper, "banner", where=GENERAL, text_en="Everywhere.")
    async with people.at_desk(site, role) as client:
        pages = ["", "members", "queue", "campaigns", "log", "state", "switches", "updates"]
        for page in pages if role == "owner" else pages[2:5] if role == "moderator" else pages[:1]:
            text = (await client.get(f"/organizer/{SLUG}/{page}")).text
            assert "Stop signing" in text.partition("<main")[0], page
            assert "(everywhere)" in text.partition("<main")[0], page


async def test_roles(site: Installation, editor: httpx2.AsyncClient) -> None:
    form = {"name": "hold", "value": "on", "revision": "0"}
    async with people.at_desk(site, "moderator") as moderator, people.stranger(site) as stranger:
        assert (await moderator.post(HERE, data=form)).status_code == 403
        assert (await stranger.post(HERE, data=form)).status_code == 401
        assert (await moderator.get(HERE)).status_code == 403
    for path in (GENERAL, "/organizer/other/switches"):
        assert (await editor.post(path, data=form)).status_code in {403, 404}
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await editor.request(method, HERE)).status_code == 405
    assert await rows_of(site.database, "SELECT 1 FROM switch") == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "nothing"}, 400),
        ({"name": "letter; DROP TABLE log"}, 400),
        ({"value": "stronger"}, 400),
        ({"value": ""}, 400),
        ({"revision": "x"}, 400),
        ({"revision": "-1"}, 400),
        ({"revision": "9" * 30}, 400),
        ({"revision": str(2**63 - 1)}, 409),
        ({"act": "undo"}, 409),
        ({"name": "stop"}, 422),
        ({"name": "stop", "text_en": "x" * 301}, 422),
        ({"name": "banner", "text_en": " \u200b "}, 422),
    ],
)
async def test_hostile_forms(
    site: Installation, editor: httpx2.AsyncClient, changes: dict[str, str], status: int
) -> None:
    form = {"name": "hold", "value": "on", "revision": "0"} | changes
    assert (await editor.post(HERE, data=form)).status_code == status
    assert await rows_of(site.database, "SELECT 1 FROM switch") == []
    assert await rows_of(site.database, LOG) == []
