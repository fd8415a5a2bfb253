"""A letter's state at the desk: closed, opened again, archived; readers see it, the slower colleague is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.core.errors import Refused
from petition.letters import lifecycle
from petition.letters.lifecycle import StateChange
from petition.worker.main import chores_of, do_chores
from tests import rows
from tests.commands import run
from tests.organizers import people
from tests.pages import assert_redirect, check_page
from tests.rows import rows_of
from tests.running import SLUG, Installation
from tests.signatures.waiting import Waiting, execute

HERE = f"/organizer/{SLUG}/state"
PAGE = f"/en/{SLUG}"
# What the letter came with is no move.
LOG = """
SELECT act, before, after FROM log WHERE act LIKE 'letter.%' AND act NOT IN ('letter.import', 'letter.publish')
ORDER BY id
"""
STATE = "SELECT state, effective_state(l) AS now, closed_at IS NULL AS never, closes_at FROM letter l"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


async def move(client: httpx2.AsyncClient, what: str) -> httpx2.Response:
    return await client.post(HERE, data={"move": what})


async def test_there_and_back(site: Installation, editor: httpx2.AsyncClient) -> None:
    for what, shown in (
        ("close", "Signing is closed"),
        ("archive", "Signing is closed"),
        ("unarchive", "Signing is closed"),
        ("reopen", 'id="sign-form"'),
    ):
        assert_redirect(await move(editor, what), f"{HERE}?done={what}")
        told = (await editor.get(f"{HERE}?done={what}")).text
        assert "Undo" in told
        page = await site.client.get(PAGE)
        assert page.status_code == 200
        assert shown in page.text
        assert (await site.client.get(f"{PAGE}/signatories")).status_code == 200
    assert (await site.sign()).status_code == 303
    found = [tuple(row.values()) for row in await rows_of(site.database, LOG)]
    assert found == [
        ("letter.close", "open", "closed"),
        ("letter.archive", "closed", "archived"),
        ("letter.unarchive", "archived", "closed"),
        ("letter.reopen", "closed", "open"),
    ]
    assert "letter archived" in (await editor.get(f"/organizer/{SLUG}/log")).text


async def test_whoever_signed_in_time_confirms_until_it_is_archived(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    one, two = await Waiting.of(site), await Waiting.of(site, "two@letters.example")
    await move(editor, "close")
    assert_redirect(await site.client.post(one.link), f"{PAGE}/signed")
    await move(editor, "archive")
    check_page(await site.client.post(two.link), 410)
    check_page(await site.client.get(one.own), 200)
    assert (await site.client.post(one.own, data={"action": "withdraw"})).status_code == 303
    assert (await site.count())["people"] == 0


async def test_a_closing_date_that_has_passed_does_not_close_it_again(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    await execute(site, "UPDATE letter SET closes_at = now() - interval '1 minute', revision = revision + 1")
    assert "Open again" in (await editor.get(HERE)).text
    assert (
        await move(editor, "close")
    ).status_code == 409  # it is closed already, whether or not that was written down
    assert_redirect(await move(editor, "reopen"), f"{HERE}?done=reopen")
    await do_chores(site.database, chores_of(site.settings))
    (row,) = await rows_of(site.database, STATE)
    assert row == {"state": "open", "now": "open", "never": True, "closes_at": None}
    assert (await site.sign()).status_code == 303


async def test_not_after_its_key_is_destroyed(site: Installation, editor: httpx2.AsyncClient) -> None:
    await move(editor, "close")
    await execute(site, "UPDATE letter SET closed_at = now() - interval '31 days'")
    await do_chores(site.database, chores_of(site.settings))
    assert "This is no longer possible" in (await editor.get(HERE)).text
    refused = await move(editor, "reopen")
    assert refused.status_code == 409
    assert "cannot be opened again" in refused.text
    assert [row["now"] for row in await rows_of(site.database, STATE)] == ["closed"]
    assert_redirect(await move(editor, "archive"), f"{HERE}?done=archive")


async def test_archiving_does_not_stop_the_clock_of_its_keys(site: Installation, editor: httpx2.AsyncClient) -> None:
    await move(editor, "close")
    await execute(site, "UPDATE letter SET closed_at = now() - interval '29 days'")
    await move(editor, "archive")
    await execute(site, "UPDATE letter SET closed_at = closed_at - interval '2 days'")
    await do_chores(site.database, chores_of(site.settings))
    (row,) = await rows_of(site.database, "SELECT wrapped_digest_key, wrapped_name_key IS NULL AS gone FROM letter")
    assert row == {"wrapped_digest_key": None, "gone": False}


async def test_the_slower_of_two_is_told_who_was_first(site: Installation, editor: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "owner", name="Anna") as anna:
        await move(editor, "close")
        told = await move(anna, "close")
        assert told.status_code == 409
        assert "Someone else changed this first" in told.text
        assert "Boris" in told.text
        assert "Open again" in told.text  # as it is now
    assert len(await rows_of(site.database, LOG)) == 1


async def test_one_of_many_at_once_moves_it(site: Installation) -> None:
    async with site.database.connection() as conn:
        letter = (await rows.letter(conn)).id

    async def one(what: StateChange) -> bool:
        try:
            async with site.database.transaction() as conn:
                await lifecycle.move(conn, None, letter, what)
        except Refused:
            return False
        return True

    for what in (StateChange.CLOSE, StateChange.REOPEN, StateChange.CLOSE, StateChange.ARCHIVE, StateChange.UNARCHIVE):
        assert sum(await asyncio.gather(*(one(what) for _ in range(4)))) == 1
    assert len(await rows_of(site.database, LOG)) == 5


@pytest.mark.parametrize("what", ["", "open", "gone", "take_down", "close;", "\u0000", "CLOSE"])
async def test_hostile_moves(site: Installation, editor: httpx2.AsyncClient, what: str) -> None:
    assert (await move(editor, what)).status_code == 400
    assert await rows_of(site.database, LOG) == []


@pytest.mark.parametrize("what", ["reopen", "archive", "unarchive"])
async def test_moves_that_do_not_begin_here(site: Installation, editor: httpx2.AsyncClient, what: str) -> None:
    assert (await move(editor, what)).status_code == 409
    assert [row["now"] for row in await rows_of(site.database, STATE)] == ["open"]


async def test_roles(site: Installation, editor: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "moderator") as moderator, people.stranger(site) as stranger:
        assert (await move(moderator, "close")).status_code == 403
        assert (await move(stranger, "close")).status_code == 401
        assert (await moderator.get(HERE)).status_code == 403
        assert "/state" not in (await moderator.get(f"/organizer/{SLUG}/")).text
    for method in ("PUT", "DELETE"):
        assert (await editor.request(method, HERE)).status_code == 405
    assert (await editor.post("/organizer/other/state", data={"move": "close"})).status_code == 404
    assert (await editor.get(f"{HERE}?done=<script>")).status_code == 200


async def test_a_draft_says_so(site: Installation) -> None:
    await execute(site, "INSERT INTO letter (slug, rules_version) VALUES ('a-draft', 1)")
    async with people.at_desk(site, "owner", slug="a-draft") as client:
        page = await client.get("/organizer/a-draft/state")
        assert "Draft: only its members see it" in page.text
        for what in StateChange:
            assert (await client.post("/organizer/a-draft/state", data={"move": what.value})).status_code == 409


async def test_the_same_by_command(site: Installation, tmp_path: Path) -> None:
    for words, code, wanted in (
        (f"letter reopen {SLUG}", 1, "is open"),
        (f"letter close {SLUG}", 0, "closed"),
        (f"letter archive {SLUG}", 0, "archived"),
        (f"letter unarchive {SLUG}", 0, "closed"),
        (f"letter reopen {SLUG}", 0, "open"),
        ("letter close nothing", 1, "there is no letter nothing"),
        (f"letter take-down {SLUG}", 2, "--really"),
        (f"letter take-down {SLUG} --really other", 1, "Nothing has been deleted"),
        (f"letter take-down {SLUG} --really {SLUG}", 0, "taken down"),
        (f"letter take-down {SLUG} --really {SLUG}", 1, "was taken down"),
        (f"letter close {SLUG}", 1, "was taken down"),
    ):
        ended, said = await run(words, site.environ)
        assert (ended, wanted in said) == (code, True), said
        assert "Traceback" not in said
    check_page(await after_a_look(site), 410)


async def after_a_look(site: Installation) -> httpx2.Response:
    """Wait until the web has heard of it."""
    async with asyncio.timeout(120):
        while (page := await site.client.get(PAGE)).status_code == 200:
            await asyncio.sleep(0.05)
    return page
