"""Taking a letter down: 410 everywhere, nothing left of it, whatever anybody does in that moment."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.cli import signatures
from petition.core.encryption import Wrapper
from petition.core.errors import Gone
from petition.core.ids import LetterId
from petition.core.tokens import Tokens
from petition.drafts import publishing
from petition.letters import lifecycle_queries, taking_down
from petition.worker.main import chores_of, do_chores
from tests import rows
from tests.leaks.columns import dump
from tests.leaks.search import found
from tests.letters.folders import other_letter
from tests.organizers import people
from tests.pages import assert_redirect, check_page
from tests.rows import rows_of
from tests.running import KEY, SAMPLE, SLUG, Installation, publish
from tests.signatures.waiting import Waiting, execute

DOWN = f"/organizer/{SLUG}/state/gone"
OTHER = "second-letter"
TYPED = {"slug": SLUG}
# The tables that say to which letter a row belongs.
TABLES = """
SELECT c.relname AS table_name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'letter'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> 'log'
"""
NAMES = ("Zenobia Quartermain", "Изольда Тихомирова", "Perpetua Sandalwood", "Brotherhood of Signalmen")


@pytest.fixture
async def owner(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "owner") as client:
        yield client


async def left(site: Installation, slug: str = SLUG) -> dict[str, int]:
    """Return how many rows each table has of a letter."""
    (letter,) = await rows_of(site.database, "SELECT id FROM letter WHERE slug = $1", slug)
    counts = {}
    for row in await rows_of(site.database, TABLES):
        table = row["table_name"]
        (counted,) = await rows_of(site.database, f"SELECT count(*) FROM {table} WHERE letter = $1", letter["id"])
        counts[table] = counted["count"]
    return {table: count for table, count in counts.items() if count}


async def test_every_table_with_rows_of_letters_is_cleared(site: Installation) -> None:
    tables = {row["table_name"] for row in await rows_of(site.database, TABLES)}
    assert tables == set(lifecycle_queries.DROP_ROWS)


async def fill(site: Installation, owner: httpx2.AsyncClient) -> list[Waiting]:
    """Have a row in nearly every table, with names that can be told."""
    people_ = [
        await Waiting.of(site, "zenobia.quartermain@letters.example", name=NAMES[0], city="Kirkcudbright"),
        await Waiting.of(site, "izolda@letters.example", name=NAMES[1], visibility="organizers", updates="yes"),
        await Waiting.of(site, "office@letters.example", name=NAMES[2], organization_en=NAMES[3]),
    ]
    for each in people_:
        assert (await site.client.post(each.link)).status_code == 303
    queue = f"/organizer/{SLUG}/signatures"
    seen = {"act": "approve", "seen": "0"}
    assert (await owner.post(f"{queue}/{people_[2].id}", data=seen)).status_code == 303
    note = {"act": "note", "text": "Knows Wilhelmina Underhill"}
    assert (await owner.post(f"{queue}/{people_[0].id}", data=note)).status_code == 303
    report = {"reason": "fake", "note": "Never met Wilhelmina", "altcha": await site.challenge()}
    address = f"/en/{SLUG}/report/person/{people_[0].id}"
    assert (await site.client.post(address, data=report, headers=site.new_network())).status_code == 303
    waiting = await Waiting.of(site, "waits@letters.example", name="Ottoline Waitingford")
    assert (await site.sign(email="mailed@letters.example", name="Ferdinanda Postbox")).status_code == 303
    banner = {"name": "banner", "value": "on", "revision": "0", "text_en": "Mind the Skrimshander"}
    assert (await owner.post(f"/organizer/{SLUG}/switches", data=banner)).status_code == 303
    news = {"act": "publish", "title_en": "Skrimshander speaks", "text_en": "He does."}
    assert (await owner.post(f"/organizer/{SLUG}/updates", data=news)).status_code == 303
    invited = {"name": "Ermintrude", "email": "ermintrude@letters.example", "role": "viewer", "lang": "en"}
    assert (await owner.post(f"/organizer/{SLUG}/members/invite", data=invited)).status_code == 303
    return [*people_, waiting]


async def test_nothing_is_left_and_everything_answers_410(site: Installation, owner: httpx2.AsyncClient) -> None:
    everybody = await fill(site, owner)
    one = everybody[0]
    assert (await owner.post(f"/organizer/{SLUG}/preview/link", data={"act": "make", "stay": "yes"})).status_code == 303
    (link,) = await rows_of(site.database, "SELECT id, letter FROM preview_link")
    preview = f"/en/preview/{Tokens([KEY]).for_preview(link['letter'], link['id'])}"
    check_page(await site.client.get(preview), 200)
    second = Tokens([KEY]).for_second(one.letter.id, everybody[2].id)
    of_letter = "SELECT digest FROM signature WHERE letter = $1"
    digests = [row["digest"].hex() for row in await rows_of(site.database, of_letter, one.letter.id)]
    words = {
        word for name in (*NAMES, "Ottoline Waitingford", "Skrimshander") for word in name.split() if len(word) > 4
    }
    before = await dump(site.database)
    public = {"Zenobia", "Quartermain", "Skrimshander"}
    assert found(public, [before]) == public  # else the search would prove nothing
    (text,) = await rows_of(site.database, "SELECT title FROM translation WHERE lang = 'en'")
    assert len(await left(site)) > 12
    assert_redirect(await owner.post(DOWN, data=TYPED), "/organizer/?done=down")
    assert "has been taken down" in (await owner.get("/organizer/?done=down")).text

    assert await left(site) == {}
    stored = await dump(site.database)
    secrets = {*words, *digests, text["title"], "Wilhelmina", "ermintrude", "Ermintrude", "Postbox", "Kirkcudbright"}
    assert found(secrets, [stored]) == set()
    (letter,) = await rows_of(site.database, "SELECT * FROM letter WHERE slug = $1", SLUG)
    kept = {
        "id",
        "slug",
        "state",
        "next_goals",
        "goal_reached",
        "kept",
        "names_in_search",
        "rules_version",
        "revision",
        "purges",
        "created_at",
        "sensitive",
        "moved",
    }
    assert letter["next_goals"] == []
    assert {key for key, value in letter.items() if value is not None} == kept
    assert (letter["slug"], letter["state"]) == (SLUG, "gone")
    acts = [row["act"] for row in await rows_of(site.database, "SELECT act FROM log WHERE letter = $1", letter["id"])]
    assert acts[-1] == "letter.take_down"
    assert len(acts) > 4  # the log does not break

    paths = [
        "",
        "/text",
        "/versions",
        "/updates",
        "/signatories",
        "/find",
        "/check-your-inbox",
        "/signed",
        "?as=organization",
    ]
    addresses = [f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in paths]
    addresses += [each.link for each in everybody] + [one.own, f"{one.own}/data.json", f"/en/second/{second}"]
    addresses += [preview, preview.replace("/en/", "/ru/"), f"/en/{SLUG}/picture/7"]
    addresses += [f"/en/{SLUG}/report/person/{one.id}", f"/captcha/challenge?letter={SLUG}"]
    for address in addresses:
        answer = await site.client.get(address)
        check_page(answer, 410, "ru" if address.startswith("/ru/") else "en")
        assert "снято" in answer.text or "has been taken down" in answer.text
    for path in ("", "/count", "/signatories"):
        answer = await site.client.get(f"/api/v1/letters/{SLUG}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
    form = {"email": "zenobia.quartermain@letters.example", "code": one.code, "name": "Zenobia", "action": "withdraw"}
    for address in (
        f"/en/{SLUG}/sign",
        f"/en/{SLUG}/find",
        f"/en/{SLUG}/confirm",
        one.link,
        one.own,
        everybody[3].link,
    ):
        check_page(await site.client.post(address, data=form, headers=site.new_network()), 410)
    assert SLUG not in (await site.client.get("/en/")).text
    for path in ("", "state", "queue", "log"):
        assert (await owner.get(f"/organizer/{SLUG}/{path}")).status_code == 410
    assert SLUG not in (await owner.get("/organizer/")).text
    assert await left(site) == {}


async def test_its_name_stays_taken(site: Installation, owner: httpx2.AsyncClient, tmp_path: Path) -> None:
    await owner.post(DOWN, data=TYPED)
    with pytest.raises(Gone):
        await publishing.import_folder(site.database, Wrapper([KEY]), SAMPLE, ("en", "ru"))
    with pytest.raises(Gone):
        await publishing.publish(site.database, SLUG)
    with pytest.raises(Gone):
        await publishing.export_folder(site.database, SLUG, tmp_path / "out")
    with pytest.raises(Gone):
        await signatures.held(site.database, Wrapper([KEY]), SLUG)
    async with people.at_desk(site, admin=True, email="admin@letters.example") as admin:
        page = await admin.get("/organizer/installation")
        assert SLUG not in page.text
        taken = await admin.post("/organizer/installation/own", data={"letter": SLUG})
        assert taken.status_code == 404
    assert await left(site) == {}


async def test_other_letters_stay_whole(site: Installation, owner: httpx2.AsyncClient, tmp_path: Path) -> None:
    await publish(site.settings, site.database, other_letter(tmp_path, OTHER))
    await site.sign(slug=OTHER, email="stays@letters.example")
    before = await left(site, OTHER)
    await owner.post(DOWN, data=TYPED)
    assert await left(site, OTHER) == before
    assert (await site.client.get(f"/en/{OTHER}")).status_code == 200


@pytest.mark.parametrize("slug", ["", "other", SLUG.upper(), f"{SLUG}/", "\u0000", "<b>", f"{SLUG}x"])
async def test_without_the_name_nothing_happens(site: Installation, owner: httpx2.AsyncClient, slug: str) -> None:
    before = await left(site)
    answer = await owner.post(DOWN, data={"slug": slug})
    assert answer.status_code == (400 if "\0" in slug else 422)
    assert await left(site) == before
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200


@pytest.mark.parametrize("role", ["editor", "moderator", "viewer"])
async def test_only_an_owner(site: Installation, role: str) -> None:
    async with people.at_desk(site, role) as client:
        assert (await client.post(DOWN, data=TYPED)).status_code == 403
        if role == "editor":
            assert DOWN not in (await client.get(f"/organizer/{SLUG}/state")).text
    async with people.at_desk(site, "owner", email="o@letters.example") as client:
        assert (await client.get(DOWN)).status_code == 405
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200


async def test_another_letters_owner_and_strangers(site: Installation, tmp_path: Path) -> None:
    await publish(site.settings, site.database, other_letter(tmp_path, OTHER))
    async with people.at_desk(site, "owner", slug=OTHER) as client, people.stranger(site) as stranger:
        assert (await client.post(DOWN, data=TYPED)).status_code == 404
        assert (await stranger.post(DOWN, data=TYPED)).status_code == 401
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200


async def test_the_slower_of_two_is_told(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "owner", email="anna@letters.example") as anna:
        answers = await asyncio.gather(*(each.post(DOWN, data=TYPED) for each in (owner, anna)))
    assert sorted(each.status_code for each in answers) == [303, 410]
    acts = await rows_of(site.database, "SELECT 1 FROM log WHERE act = 'letter.take_down'")
    assert len(acts) == 1
    assert await left(site) == {}


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.1])
async def test_everybody_acts_in_that_moment(site: Installation, owner: httpx2.AsyncClient, pause: float) -> None:
    """Confirming, signing, changing one's mind, reporting, moderating: no 500, and not a row is left."""
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        addresses = [f"voice{n}@letters.example" for n in range(60)]
        ids = await rows.add_pending(conn, letter, addresses, name="Zenobia Quartermain")
    links = [f"/en/confirm/{rows.token(letter, each)}" for each in ids]
    for link in links[:20]:
        await site.client.post(link)
    forms = [await site.form(email=f"new{n}@letters.example", altcha=await site.challenge()) for n in range(10)]
    report = {"reason": "fake", "altcha": await site.challenge()}

    async def down() -> httpx2.Response:
        await asyncio.sleep(pause)
        return await owner.post(DOWN, data=TYPED)

    def own(link: str) -> str:
        return link.replace("/confirm/", "/signature/")

    hide = {"action": "visibility", "visibility": "organizers"}
    remove = {"act": "remove", "reason": "fake", "seen": "0"}
    acts = [
        *(site.client.post(link) for link in links[20:]),
        *(site.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network()) for form in forms),
        *(site.client.post(own(link), data={"action": "withdraw"}) for link in links[:5]),
        *(site.client.post(own(link), data=hide) for link in links[5:10]),
        *(owner.post(f"/organizer/{SLUG}/signatures/{each}", data=remove) for each in ids[10:15]),
        site.client.post(f"/en/{SLUG}/report/person/{ids[16]}", data=report, headers=site.new_network()),
    ]
    taken, *answers = await asyncio.gather(down(), *acts)
    assert_redirect(taken, "/organizer/?done=down")
    assert {each.status_code for each in answers} <= {200, 303, 404, 410}
    assert await left(site) == {}
    for link in links:
        check_page(await site.client.get(link), 410)


async def test_whoever_adds_something_is_waited_for(site: Installation) -> None:
    """Deterministic: a confirmation under way is finished first, then all of it goes; later ones see it gone."""
    waiting = await Waiting.of(site)
    letter = waiting.letter.id
    async with site.database.connection() as conn, conn.transaction():
        await conn.execute("SELECT 1 FROM letter WHERE id = $1 FOR KEY SHARE", letter)
        task = asyncio.create_task(take(site, letter))
        later = asyncio.create_task(site.client.post(waiting.link))
        await rows.somebody_waits(conn)
        assert not task.done()
        await conn.execute("INSERT INTO bar (letter, digest) VALUES ($1, 'x')", letter)
    await task
    assert (await later).status_code in {303, 410}
    await taking_down.delete_rows(site.database, letter)
    assert await left(site) == {}


async def take(site: Installation, letter_id: LetterId) -> None:
    async with site.database.transaction() as conn:
        await taking_down.take_down(conn, None, letter_id, SLUG)


async def test_rows_that_somebody_holds_are_waited_for(site: Installation) -> None:
    waiting = await Waiting.of(site)
    await site.client.post(waiting.link)
    await take(site, waiting.letter.id)
    async with site.database.connection() as conn, conn.transaction():
        await conn.execute("SELECT 1 FROM signature FOR UPDATE")
        clearing = asyncio.create_task(taking_down.delete_rows(site.database, waiting.letter.id, patience=60))
        async with asyncio.timeout(120):
            while set(await left(site)) != {"signature"}:
                await asyncio.sleep(0.02)
        assert await taking_down.delete_rows(site.database, waiting.letter.id, patience=0.1) == 0  # not for ever
        assert not clearing.done()
    assert await clearing > 0
    assert await left(site) == {}


async def test_the_worker_clears_what_a_crash_has_left(site: Installation) -> None:
    waiting = await Waiting.of(site)
    await take(site, waiting.letter.id)
    assert "pending" in await left(site)
    await do_chores(site.database, chores_of(site.settings))
    assert await left(site) == {}
    assert await taking_down.delete_all_rows(site.database) == 0  # a second time is harmless


async def test_no_mail_goes_out_any_more(site: Installation, owner: httpx2.AsyncClient) -> None:
    from tests.running import working

    assert (await site.sign()).status_code == 303
    await owner.post(DOWN, data=TYPED)
    async with working(site.environ, site.inbox), asyncio.timeout(120):
        while await left(site):
            await asyncio.sleep(0.05)
        while await rows_of(site.database, "SELECT FROM outbox"):  # the owners' mail about the take-down itself
            await asyncio.sleep(0.05)
    assert {mail.subject for mail in site.inbox} == {"An act at the organizers’ desk"}


async def test_kept_pages_are_forgotten_while_the_database_is_away(
    site: Installation, owner: httpx2.AsyncClient
) -> None:
    from petition.web.page_cache import PageCache, build_response

    pages = PageCache()

    async def make() -> object:
        return build_response(b"names", b"text/html", [])

    await pages.get("/en/a", "a", make)  # type: ignore[arg-type]
    await pages.get("/en/b", "b", make)  # type: ignore[arg-type]
    pages.purge("a")
    assert "/en/a" not in pages.fresh
    assert "/en/b" in pages.fresh
    assert not re.search("names", repr([each for key, each in pages._stale.items() if key == "/en/a"]))


async def test_a_draft_can_be_taken_down_too(site: Installation) -> None:
    await execute(site, "INSERT INTO letter (slug, rules_version) VALUES ('a-draft', 1)")
    async with people.at_desk(site, "owner", slug="a-draft") as client:
        assert_redirect(
            await client.post("/organizer/a-draft/state/gone", data={"slug": "a-draft"}), "/organizer/?done=down"
        )
    check_page(await site.client.get("/en/a-draft"), 410)
