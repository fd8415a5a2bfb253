"""The desk's pages of moderation, as a moderator without scripts uses them."""

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from petition.cli import approve
from petition.moderation import bulk_acts, queue_queries
from tests import rows
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import SLUG, Installation

QUEUE = f"/organizer/{SLUG}/queue"


@asynccontextmanager
async def moderating(
    site: Installation, email: str = "mo@letters.example", **more: str
) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "moderator", email=email, **more) as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


def text_of(answer: httpx2.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def log_in(answer: httpx2.Response) -> str:
    found = re.search(r'name="log" value="(\d+)"', answer.text)
    assert found, answer.text
    return found[1]


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_every_page_is_there_when_nobody_has_signed(site: Installation, lang: str) -> None:
    async with moderating(site, lang=lang) as client:
        for path in ("queue", "queue?state=held&kind=person&q=x&flag=any&lang=en&country=FJ", "campaigns", "log"):
            answer = await client.get(f"/organizer/{SLUG}/{path}")
            assert answer.status_code == 200, answer.text
        assert (await client.get(f"/organizer/{SLUG}/signatures/7")).status_code == 404
        assert (await client.get(f"/organizer/{SLUG}/signatures/x")).status_code == 404
        assert (await client.get(f"/organizer/{SLUG}/campaigns/7")).status_code == 404
        assert (await client.post(f"/organizer/{SLUG}/undo", data={"log": "7"})).status_code == 404


async def test_names_that_organizers_may_see_and_no_address(site: Installation, bench: Bench) -> None:
    await bench.sign("Zoya Novak", city="Ufa")
    await bench.sign("Hidden Person", visibility="organizers")
    await bench.sign("Nameless Person", visibility="counted")
    await bench.sign_for("North Pier", "Anna Berg", website="https://northpier.example")
    async with moderating(site) as client:
        page = (await client.get(f"{QUEUE}?wait=all")).text
        for name in ("Zoya Novak", "Ufa", "Hidden Person", "North Pier", "Anna Berg"):
            assert name in page
        assert "Nameless Person" not in page
        assert "letters.example" not in page
        found = text_of(await client.get(QUEUE, params={"q": "nova"}))
        assert "Zoya Novak" in found
        assert "Hidden Person" not in found
        waiting = text_of(await client.get(QUEUE, params={"state": "held"}))
        assert "North Pier" in waiting
        assert "Zoya Novak" not in waiting


async def test_a_row_whose_button_lacks_a_reason_is_ticked(site: Installation, bench: Bench) -> None:
    vera, timur = await bench.sign("Vera Novak"), await bench.sign("Timur Novak")
    page = {"back": "wait=all"}
    async with moderating(site) as client:
        refused = await client.post(QUEUE, data=page | {"one": f"remove:s{vera[0]}:0", f"s{timur[0]}": "0"})
        assert refused.status_code == 422
        assert re.findall(r'name="s(\d+)"[^>]* checked', refused.text) == [str(vera[0])]
        asked = await client.post(QUEUE, data=page | {"one": f"ask:s{vera[0]}:0", f"s{timur[0]}": "0"})
        assert asked.status_code == 200
        assert re.findall(r'name="s(\d+)"[^>]* checked', asked.text) == [str(timur[0])]
        for answer in (refused, asked):
            assert f'value="remove:s{vera[0]}:0:fake"' in answer.text
        assert await bench.states(*vera, *timur) == ["confirmed"] * 2
        done = await client.post(
            QUEUE, data={"one": f"remove:s{vera[0]}:0:duplicate", "order": f"{vera[0]} {timur[0]}"}
        )
        assert done.headers["location"].endswith(f"#n{timur[0]}")
        assert await bench.states(*vera, *timur) == ["removed", "confirmed"]
        hostile = await client.post(QUEUE, data={"one": ":::"})
        assert hostile.status_code in {404, 422}


async def test_removing_asks_why_and_can_be_undone(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    async with moderating(site) as client:
        form = {f"s{vera}": "0", "act": "remove", "back": "state=confirmed"}
        refused = await client.post(QUEUE, data=form)
        assert refused.status_code == 422
        assert "Choose a reason." in refused.text
        assert await bench.states(vera) == ["confirmed"]
        done = await client.post(QUEUE, data=form | {"reason": "fake"})
        assert done.status_code == 303
        assert done.headers["location"].startswith(f"{QUEUE}?state=confirmed&done=")
        assert (await bench.check())["people"] == 0
        page = await client.get(done.headers["location"])
        assert "Removed: Vera Novak , made up" in text_of(page)
        undone = await client.post(f"/organizer/{SLUG}/undo", data={"log": log_in(page)})
        assert undone.status_code == 303
        assert (await bench.check())["people"] == 1
        again = await client.post(f"/organizer/{SLUG}/undo", data={"log": log_in(page)})
        assert again.status_code == 422
        assert (await bench.check())["people"] == 1


@pytest.mark.parametrize("back", ["state=zzz", "q=x&peson=1", "state=held&after=xx"])
async def test_a_way_back_that_is_not_understood_is_refused_before_acting(
    site: Installation, bench: Bench, back: str
) -> None:
    (vera,) = await bench.sign("Vera Novak")
    async with moderating(site) as client:
        forms = {
            "one": {"one": f"remove:s{vera}:0:fake"},
            "ticked": {f"s{vera}": "0", "act": "remove", "reason": "fake"},
        }
        for form in forms.values():
            assert (await client.post(QUEUE, data=form | {"back": back})).status_code == 400
            assert await bench.rows("SELECT state FROM signature WHERE letter = $1") == [{"state": "confirmed"}]
        done = await client.post(QUEUE, data=forms["one"])
        undo = {"log": log_in(await client.get(done.headers["location"])), "back": back}
        assert (await client.post(f"/organizer/{SLUG}/undo", data=undo)).status_code == 400
        assert await bench.rows("SELECT state FROM signature WHERE letter = $1") == [{"state": "removed"}]


async def test_keeping_a_signature_and_not_removing_it_have_two_labels_in_russian(
    site: Installation, bench: Bench
) -> None:
    (vera,) = await bench.sign("Вера Новак")
    await bench.rows("UPDATE signature SET flags = '{reported}' WHERE letter = $1 RETURNING id")
    async with people.at_desk(site, "moderator", lang="ru") as client:
        page = await client.post(QUEUE, data={"one": f"ask:s{vera}:0", "back": "wait=any"})
    labels = re.findall(r"Оставить|Не\sубирать", re.sub(r"<template.*?</template>", "", page.text, flags=re.DOTALL))
    assert [label.split()[0] for label in sorted(labels)] == ["Не", "Оставить"]


async def test_the_button_of_a_row_acts_on_that_row_only(site: Installation, bench: Bench) -> None:
    first, second = [await bench.sign_for(name) for name in ("North Pier", "Third Line")]
    async with moderating(site) as client:
        form = {f"s{second}": "0", "one": f"approve:s{first}:0"}
        assert (await client.post(QUEUE, data=form)).status_code == 303
    assert await bench.states(first, second) == ["confirmed", "held"]
    assert (await bench.check())["organizations"] == 1


async def test_the_second_moderator_is_told_what_the_first_did(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    async with (
        moderating(site, "one@desk.example", name="Ada First") as one,
        moderating(site, "two@desk.example", name="Bo Second") as two,
    ):
        form = {f"s{held}": "0"}
        assert (await one.post(QUEUE, data=form | {"act": "approve"})).status_code == 303
        late = await two.post(QUEUE, data=form | {"act": "remove", "reason": "fake"})
        text = text_of(await two.get(late.headers["location"]))
    assert "A colleague has changed it meanwhile" in text
    assert "Ada First" in text
    assert "approved: 1 signature" in text
    assert await bench.states(held) == ["confirmed"]


async def test_everything_that_matches_becomes_a_campaign(site: Installation, bench: Bench) -> None:
    await bench.crowd(120, country="FJ")
    await bench.sign("Vera Novak")
    async with moderating(site) as client:
        made = await client.post(f"/organizer/{SLUG}/campaigns", data={"back": "country=FJ", "act": "remove"})
        place = made.headers["location"]
        page = text_of(await client.get(place))
        assert "120 signatures" in page
        assert "Vera Crowd" in page
        assert (await client.post(place, data={"step": "start"})).status_code == 422
        assert (await client.post(place, data={"step": "start", "reason": "fake"})).status_code == 303
        assert "in progress" in text_of(await client.get(place))
        while await bulk_acts.step(site.database, WRAPPER, 50):
            await bench.check()
        assert (await bench.check())["people"] == 1
        assert (await client.post(place, data={"step": "cancel"})).status_code == 422
        assert (await client.post(place, data={"step": "revert"})).status_code == 303
        while await bulk_acts.step(site.database, WRAPPER, 50):
            await bench.check()
        assert (await bench.check())["people"] == 121
        assert "reverted" in text_of(await client.get(place))
        assert "FJ" not in (await client.get(f"/organizer/{SLUG}/campaigns")).text  # the country is written out


async def test_one_signature(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier", "Anna Berg", website="https://northpier.example")
    place = f"/organizer/{SLUG}/signatures/{held}"
    async with moderating(site) as client:
        assert "Mailbox on the website’s domain: no" in (await client.get(place)).text
        names = {"act": "names", "name_en": "North Pier Network // Северный причал", "name_ru": "", "website": ""}
        assert (await client.post(place, data=names)).status_code == 303
        page = await client.get(place)
        assert "Северный причал" in page.text
        assert (await client.post(place, data=names | {"name_en": ""})).status_code == 422
        assert (await client.post(place, data={"act": "approve", "seen": "0"})).status_code == 303
        (named,) = await bench.rows("SELECT name_en, name_ru FROM organization WHERE letter = $1")
        assert named == {"name_en": "North Pier Network", "name_ru": "Северный причал"}
        assert (await client.post(place, data={"act": "note", "text": "Ask again <b>"})).status_code == 303
        page = await client.get(place)
        assert "Ask again &lt;b&gt;" in page.text
        (note,) = await bench.rows("SELECT id, text FROM note WHERE letter = $1")
        assert b"Ask" not in note["text"]
        await client.post(place, data={"act": "drop_note", "note": str(note["id"])})
        assert await bench.rows("SELECT id FROM note WHERE letter = $1") == []
        assert (await client.post(place, data={"act": "note", "text": " "})).status_code == 422
        assert (await client.post(place, data={"act": "fly"})).status_code == 422


async def test_a_note_of_an_organizer_without_a_name_has_a_number(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    place = f"/organizer/{SLUG}/signatures/{vera}"
    async with people.at_desk(site, "moderator", name="") as client:
        await client.post(place, data={"act": "note", "text": "Ask again"})
        assert re.search(r'<p class="quiet"><bdi>#\d+</bdi>, ', (await client.get(place)).text)


async def test_another_letters_signature_is_not_there(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('another-letter', 1)")
    async with people.at_desk(site, "owner", slug="another-letter") as client:
        assert (await client.get(f"/organizer/another-letter/signatures/{vera}")).status_code == 404
        form = {f"s{vera}": "0", "act": "remove", "reason": "fake"}
        await client.post("/organizer/another-letter/queue", data=form)
        assert (await client.get(f"/organizer/{SLUG}/signatures/{vera}")).status_code == 404
    assert await bench.states(vera) == ["confirmed"]


@pytest.mark.parametrize(("lang", "text"), [("en", "command line"), ("ru", "командная строка")])
async def test_what_was_done_at_the_command_line_is_said_so(
    site: Installation, bench: Bench, lang: str, text: str
) -> None:
    held = await bench.sign_for("North Pier")
    async with site.database.transaction() as conn:
        assert await approve.approve(conn, WRAPPER, [held]) == [held]
    async with moderating(site, lang=lang) as client:
        assert text in text_of(await client.get(f"/organizer/{SLUG}/log"))
        assert text in text_of(await client.get(f"/organizer/{SLUG}/signatures/{held}"))
        table = list(csv.DictReader(io.StringIO((await client.get(f"/organizer/{SLUG}/log.csv")).text)))
    assert {(line["organizer"], line["name"]) for line in table} == {("", "command line")}
    assert [line["act"] for line in table] == ["signature.approve", "letter.publish", "letter.import"]


async def test_the_log_as_a_page_and_as_a_file(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    async with moderating(site, name="=Ada") as client:
        await client.post(QUEUE, data={f"s{vera}": "0", "act": "remove", "reason": "abuse"})
        page = await client.get(f"/organizer/{SLUG}/log")
        assert "abusive" in page.text
        await client.post(f"/organizer/{SLUG}/undo", data={"log": log_in(page), "from": "log"})
        answer = await client.get(f"/organizer/{SLUG}/log.csv")
        table = list(csv.DictReader(io.StringIO(answer.text)))
        acts = ["signature.undo", "signature.remove", "letter.publish", "letter.import"]
        assert [line["act"] for line in table] == acts
        assert table[1]["ids"] == str(vera)
        assert table[1]["name"] == "'=Ada"
        assert "Vera" not in answer.text


@pytest.mark.parametrize("query", ["after=xx", "done=1", "other=x", "q=%00", "state=&kind=&q=", "done=x&missed=-1"])
async def test_a_made_up_address_is_calm(site: Installation, bench: Bench, query: str) -> None:
    await bench.sign("Vera Novak")
    async with moderating(site) as client:
        assert (await client.get(f"{QUEUE}?{query}")).status_code in {200, 404}


UNKNOWN = (
    *("source=imported", "state=hold", "state=x", "kind=x", "country=XXX", "flag=x", "group=-1", "lang=1", "wait=x"),
    *(
        "contry=DE",
        "state=held&status=x",
        "state=held&state=removed",
        f"q={'x' * 101}",
        "q=one+two+three+four+five+six",
    ),
    *("group=9999999999999999999999", "partner=a", "source=import&kind=people"),
)


@pytest.mark.parametrize("query", UNKNOWN)
async def test_a_filter_that_is_not_understood_is_refused_and_stops_bulk_acts(
    site: Installation, bench: Bench, query: str
) -> None:
    await bench.sign("Zoya Lund")
    async with moderating(site) as client:
        shown = await client.get(f"{QUEUE}?{query}")
        assert shown.status_code == 400
        assert "This filter is not understood" in shown.text
        assert "Zoya Lund" not in shown.text
        assert f'action="/organizer/{SLUG}/campaigns"' not in shown.text
        for act in ("remove", "approve"):
            made = await client.post(f"/organizer/{SLUG}/campaigns", data={"back": query, "act": act})
            assert made.status_code == 400
            assert "This filter is not understood" in made.text
        assert (await client.get(f"/organizer/{SLUG}/export?{query}")).status_code == 400
        columns = {"c_name": "1", "form": "csv"}
        exported = await client.post(f"/organizer/{SLUG}/export", data={"back": query, **columns})
        assert exported.status_code == 400
    assert await bench.rows("SELECT id FROM campaign WHERE letter = $1") == []


@pytest.mark.parametrize("query", ["", "q=crowd3", "q=crowd3&state=confirmed"])
async def test_pages_of_the_queue(site: Installation, bench: Bench, query: str) -> None:
    number = 300 if query else 120  # all are called nearly so
    await bench.crowd(number)
    seen: list[str] = []
    async with moderating(site) as client:
        place: str | None = f"{QUEUE}?{query or 'wait=all'}"
        while place:
            page = (await client.get(place)).text
            seen += re.findall(r'<tr id="r(\d+)"', page)
            found = re.search(r'rel="next" href="([^"]+)"', page)
            place = found[1].replace("&amp;", "&") if found else None
    assert len(seen) == len(set(seen)) == number
    assert "More were found" not in page


async def test_a_search_that_could_not_look_at_all_says_so(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_queries, "PAGE_SCAN", 250)
    await bench.crowd(300)
    page, place = "", f"{QUEUE}?q=crowd3"
    async with moderating(site) as client:
        while place:
            page = (await client.get(place)).text
            found = re.search(r'rel="next" href="([^"]+)"', page)
            place = found[1].replace("&amp;", "&") if found else ""
    assert "More were found" in page


async def test_those_of_one_burst(site: Installation, bench: Bench) -> None:
    ids = await bench.sign("Vera Novak", "Ada Berg", "Bo Lund")
    await bench.rows(
        "WITH mine AS (UPDATE signature SET group_number = 5, flags = '{burst}'"
        " WHERE letter = $1 AND id = ANY($2::bigint[]) RETURNING id) SELECT id FROM mine",
        ids[:2],
    )
    async with moderating(site) as client:
        found = text_of(await client.get(f"{QUEUE}?flag=any&group=5"))
        assert "Vera Novak" in found
        assert "Bo Lund" not in found
        other = text_of(await client.get(f"{QUEUE}?flag=any&group=6"))
        assert "Nothing matches." in other
        assert "Ada Berg" in text_of(await client.get(f"{QUEUE}?group=5&kind=person&q=ada"))


async def test_many_campaigns_come_in_pages(site: Installation, bench: Bench) -> None:
    await bench.rows(
        "WITH made AS (INSERT INTO campaign (letter, act, conditions, matched, listed_at, signature)"
        " SELECT $1, 'approve', '{}', 0, now(), 0 FROM generate_series(1, 60) RETURNING id) SELECT id FROM made"
    )
    seen: list[str] = []
    async with moderating(site) as client:
        place: str | None = f"/organizer/{SLUG}/campaigns"
        while place:
            page = (await client.get(place)).text
            seen += re.findall(rf'href="/organizer/{SLUG}/campaigns/(\d+)"', page)
            found = re.search(r'rel="next" href="([^"]+)"', page)
            place = found[1] if found else None
        assert (await client.get(f"/organizer/{SLUG}/campaigns?before={2**63}")).status_code == 200
    assert seen == sorted(seen, key=int, reverse=True)
    assert len(set(seen)) == 60
