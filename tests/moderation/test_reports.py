"""Reports by readers: from the public list into the queue, and no further."""

import re

import pytest

from petition.moderation.model import Action
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def link_on_list(site: Installation, kind: str) -> str:
    """Return the address of the form about the entry, by the way that a reader takes from the list."""
    page = (await site.client.get(f"/en/{SLUG}/signatories?kind={kind}")).text
    assert f"/report/{kind}/" not in page  # no link in a row invites to denounce
    assert page.count(f"/en/{SLUG}/report?kind={kind}") == 1
    q = {"person": "vera", "organization": "pier"}[kind]
    page = (await site.client.get(f"/en/{SLUG}/report?kind={kind}&q={q}")).text
    link = re.search(rf'href="(/en/{SLUG}/report/{kind}/\d+)"', page)
    assert link, page
    return link[1]


async def test_a_report_arrives_in_the_queue_and_is_settled(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    place = await link_on_list(site, "person")
    assert "Vera Novak" in (await site.client.get(place)).text
    form = {"reason": "me", "note": "I am Vera <b>", "altcha": await site.challenge()}
    assert (await site.client.post(place, data=form, headers=site.new_network())).status_code == 303
    assert (await site.client.get(f"{place}?sent=1")).status_code == 200
    (report,) = await bench.rows("SELECT reason, note, settled_by FROM report WHERE letter = $1")
    assert report["reason"] == "me"
    assert b"Vera" not in report["note"]
    assert (await bench.check())["people"] == 1
    async with people.at_desk(site, "moderator", name="Mo") as client:
        assert "Vera Novak" in (await client.get(f"/organizer/{SLUG}/queue?flag=reported")).text
        assert "I am Vera &lt;b&gt;" in (await client.get(f"/organizer/{SLUG}/signatures/{vera}")).text
    approved = await bench.decide(Action.APPROVE, vera)
    assert (await bench.rows("SELECT settled_by FROM report WHERE letter = $1"))[0]["settled_by"] == approved.log_id
    await bench.undo(approved.log_id)
    assert (await bench.rows("SELECT settled_by FROM report WHERE letter = $1"))[0]["settled_by"] is None


async def test_an_organization(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, held)
    place = await link_on_list(site, "organization")
    form = {"reason": "not_authorized", "altcha": await site.challenge()}
    assert (await site.client.post(place, data=form, headers=site.new_network())).status_code == 303
    (row,) = await bench.rows("SELECT flags FROM signature WHERE letter = $1")
    assert row["flags"] == ["reported"]


async def test_only_what_is_in_the_list_can_be_reported(site: Installation, bench: Bench) -> None:
    (hidden,) = await bench.sign("Hidden", visibility="organizers")
    (vera,) = await bench.sign("Vera")
    await bench.remove(vera)
    for path in (f"person/{hidden}", f"person/{vera}", "person/1", "organization/1", "robot/1", "person/x"):
        assert (await site.client.get(f"/en/{SLUG}/report/{path}")).status_code == 404


async def test_what_is_needed(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera")
    place = await link_on_list(site, "person")
    here = site.new_network()
    unsaid = await site.client.post(place, data={"altcha": await site.challenge()}, headers=here)
    assert unsaid.status_code == 422
    long = await site.client.post(place, data={"reason": "me", "note": "x" * 501}, headers=here)
    assert long.status_code == 422
    unsolved = await site.client.post(place, data={"reason": "fake", "note": "kept"}, headers=here)
    assert unsolved.status_code == 422
    assert 'name="note" value="kept"' in unsolved.text
    assert f'action="{place}"' in unsolved.text
    solved = await site.challenge()
    answers = [
        (await site.client.post(place, data={"reason": "fake", "altcha": altcha}, headers=here)).status_code
        for altcha in (solved, solved)
    ]
    assert answers == [303, 422]
    assert len(await bench.rows("SELECT id FROM report WHERE letter = $1")) == 1


@pytest.mark.usefixtures("one_hour")
async def test_one_network_cannot_report_everybody(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera")
    place, here = await link_on_list(site, "person"), site.new_network()
    answers = [
        (
            await site.client.post(place, data={"reason": "fake", "altcha": await site.challenge()}, headers=here)
        ).status_code
        for _ in range(site.settings.limits.reports * 3 // 2 + 1)
    ]
    assert answers == [303] * answers.count(303) + [429] * answers.count(429)
    limit = site.settings.limits.reports
    assert limit / 2 <= answers.count(303) <= limit * 3 / 2
    assert len(await bench.rows("SELECT id FROM report WHERE letter = $1")) == answers.count(303)


async def test_the_entry_is_found_by_its_name(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera Novak")
    await bench.sign("Hidden Person", visibility="organizers")
    address = f"/ru/{SLUG}/report"
    asked = await site.client.get(address)
    assert asked.status_code == 200
    assert "noindex" in asked.text
    assert f"/ru/{SLUG}/report/person/" not in asked.text
    assert f"/ru/{SLUG}/report/person/" in (await site.client.get(f"{address}?q=novak")).text
    for q in ("Hidden", "nobody", "%3Cb%3E"):
        page = await site.client.get(f"{address}?q={q}")
        assert page.status_code == 200
        assert f"/ru/{SLUG}/report/person/" not in page.text
    assert (await site.client.get(f"{address}?kind=robot&q=x")).status_code == 404
