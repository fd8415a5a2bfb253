"""A letter's first page at the desk: what waits, told to those whose role covers it; and the tabs above every page."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

HERE = f"/organizer/{SLUG}/"
NEW = {"title.en": "A letter of mine", "slug": "mine"}
INTAKE = "INSERT INTO intake (letter, number, organizer, state) SELECT id, $2, $3, $4 FROM letter WHERE slug = $1"


def waits(page: str) -> dict[str, str]:
    """Return what waits: words → where they lead."""
    found = re.search(r'<table class="waits">(.*?)</table>', page, re.DOTALL)
    return {words: href for href, words in re.findall(r'<a href="([^"]+)">([^<]+)</a>', found[1] if found else "")}


async def seen(client: httpx2.AsyncClient, path: str = HERE) -> dict[str, str]:
    answer = await client.get(path)
    assert answer.status_code == 200
    return waits(answer.text)


async def test_a_beginner_is_told_what_to_do_first(site: Installation) -> None:
    async with people.at_desk(site) as client:
        home = (await client.get("/organizer/")).text
        assert '<ol class="steps">' in home
        assert 'href="/organizer/letters/new"' in home
        assert (await client.post("/organizer/letters/new", data=NEW)).status_code == 303
        assert "steps" not in (await client.get("/organizer/")).text
        assert await seen(client, "/organizer/mine/") == {
            "Write the text": "/organizer/mine/text",
            "Invite a colleague: you are working on this letter alone": "/organizer/mine/members#invite",
        }
        async with site.database.connection() as conn:
            await conn.execute("UPDATE translation SET markdown = 'Please.' WHERE lang = 'en' AND title LIKE '%mine'")
        assert list(await seen(client, "/organizer/mine/"))[:2] == [
            "Publish the letter: so far no one can read or sign it",
            "Add the translation (Русский)",
        ]


async def test_each_role_is_told_what_it_can_do_something_about(site: Installation) -> None:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
        held = await bench.sign_for("North Pier")
        (flagged, reported) = await bench.sign("Vera Novak", "Timur Novak")
        await conn.execute("UPDATE signature SET flags = '{obscene}' WHERE id = $1", flagged)
        await conn.execute("UPDATE signature SET flags = '{reported}' WHERE id = $1", reported)
        await conn.execute("UPDATE translation SET title = 'Another' WHERE lang = 'en'")
        await conn.execute(INTAKE, SLUG, 1, None, "importing")
        await conn.execute(INTAKE, SLUG, 2, None, "mapping")  # a step of whoever has begun it
        await conn.execute(INTAKE, SLUG, 3, None, "done")
    edit = {
        "Publish your changes: readers do not see them yet": f"{HERE}publish",
        "Import 1": f"{HERE}import/1",
    }
    async with people.at_desk(site, "viewer") as viewer, people.at_desk(site, "moderator") as moderator:
        assert await seen(viewer) == {}
        assert 'name="one"' not in (await viewer.get(HERE)).text
        assert (await viewer.post(HERE, data={"one": f"approve:s{flagged}:0"})).status_code == 403
        page = (await moderator.get(HERE)).text
        assert waits(page) == {}
        for signature_id in (held, reported, flagged):
            assert page.count(f'value="approve:s{signature_id}:') == 1  # each waits for one reason
    async with people.at_desk(site, "owner") as owner:
        assert await seen(owner) == edit  # others are there to step in


async def test_an_act_comes_back_to_today_with_undo(site: Installation) -> None:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    held = await bench.sign_for("North Pier")
    async with people.at_desk(site, "moderator", name="Vera") as client:
        button = re.search(rf'value="(approve:s{held}:\d+)"', (await client.get(HERE)).text)
        assert button
        answer = await client.post(HERE, data={"one": button[1]})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{HERE}?done=")
        assert await bench.states(held) == ["confirmed"]
        page = (await client.get(answer.headers["location"])).text
        assert "Nothing waits." in page
        assert "The last decision: Vera," in page
        undo = re.search(r'name="log"\s+value="(\d+)"', page)
        assert undo
        assert (await client.post(HERE, data={"log": undo[1]})).status_code == 303
        assert await bench.states(held) == ["held"]
        assert (await client.post(HERE, data={"log": undo[1]})).status_code == 422  # twice
        late = await client.post(HERE, data={"one": button[1]})  # seen before the two acts
        assert "missed=1" in late.headers["location"]
        assert "1 signature was left as it is." in (await client.get(late.headers["location"])).text
        for one in ("", "x", f"remove:s{held}:0", f"remove:s{held}:0:x", "approve"):
            assert (await client.post(HERE, data={"one": one})).status_code == 422


async def test_today_has_the_figures_of_a_morning(site: Installation) -> None:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
        await bench.sign("Vera Novak", "Timur Novak")
        closes_at = datetime.now(UTC) + timedelta(days=9, hours=3)
        await conn.execute("UPDATE letter SET closes_at = $1, opened_at = now() - interval '3 days'", closes_at)
        await conn.execute("INSERT INTO refused_mail SELECT id, now(), 550 FROM letter")
    async with people.at_desk(site, "viewer") as viewer, people.at_desk(site, "moderator") as moderator:
        page = (await moderator.get(HERE)).text
        assert "+2 since yesterday" in page
        assert "Signed here" in page
        assert "in 9 days" in page
        assert "1 refused within a day" in page
        assert re.search(r"<dd>\d+ (seconds?|minutes?) ago</dd>", page)
        assert 'class="line"' in page
        page = (await viewer.get(HERE)).text
        assert "+2 since yesterday" in page
        assert "refused within" not in page


async def test_nothing_waits_on_a_quiet_letter(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        assert await seen(client) == {}
        assert "Nothing waits." in (await client.get(HERE)).text


# The job, its page in the row below it, and the same page in the fold that a phone shows instead.
@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("", ["page"]),
        ("text", ["page", "page", "page"]),
        ("publish", ["true", "true", "true"]),
        ("queue?state=held", ["page", "page", "page"]),
        ("updates", ["true", "page", "page"]),
    ],
)
async def test_the_current_job_and_page_are_marked(site: Installation, path: str, current: list[str]) -> None:
    async with people.at_desk(site, "owner") as client:
        page = (await client.get(HERE + path)).text
    assert re.findall(r'<a href="[^"]+" aria-current="(\w+)"', page) == current
    jobs = re.search(r'<nav class="jobs".*?</nav>', page, re.DOTALL)
    assert jobs
    assert jobs[0].count("<li>") == 5


async def test_roles_see_the_jobs_they_may_do(site: Installation) -> None:
    expected = {
        "viewer": ["", "statistics"],
        "moderator": ["", "queue", "statistics", "log"],
        "editor": ["", "text", "queue", "statistics", "state"],
        "owner": ["", "text", "queue", "statistics", "state"],
    }
    for role, paths in expected.items():
        async with people.at_desk(site, role) as client:
            page = (await client.get(HERE)).text
            jobs = re.search(r'<nav class="jobs".*?</nav>', page, re.DOTALL)
            assert jobs
            assert re.findall(r'<a href="([^"]+)"', jobs[0]) == [HERE + path for path in paths]
            for path in paths:
                assert (await client.get(HERE + path)).status_code == 200


async def test_the_menu_leads_to_other_letters_and_says_what_waits(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        assert (await client.post("/organizer/letters/new", data=NEW)).status_code == 303
        async with site.database.connection() as conn:
            bench = Bench(site.database, await rows.letter(conn))
        await bench.sign_for("North Pier")
        page = (await client.get("/organizer/mine/")).text
        menu = re.search(r'<details class="menu letter">.*?</details>', page, re.DOTALL)
        assert menu
        assert f'href="{HERE}"' in menu[0]
        assert "1 waits" in menu[0]
        assert "1 waits" not in (await client.get(HERE)).text.partition('class="jobs"')[0]
        assert "(1 waits)" in (await client.get(HERE)).text


async def test_a_signature_stands_under_the_tab_of_signatures(site: Installation) -> None:
    async with site.database.connection() as conn:
        (one,) = await Bench(site.database, await rows.letter(conn)).sign("Vera Novak")
    async with people.at_desk(site, "moderator") as client:
        page = (await client.get(f"{HERE}signatures/{one}")).text
        assert set(re.findall(r'<a href="([^"]+)" aria-current="true"', page)) == {f"{HERE}queue"}
