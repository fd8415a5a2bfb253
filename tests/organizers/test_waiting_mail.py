"""The mail that says that something waits: once a morning or at once, never twice, without names; and its choices."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from petition.core import outbox
from petition.core.database import Database
from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob
from petition.organizers import waiting_mail
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

MORNING = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)  # 9:30 in Berlin
SET = "UPDATE organizer SET zone = $2, waiting_mail = $3, waiting_mail_on = $4, seen_at = now() WHERE id = $1"
JOBS = "SELECT count(*) FROM outbox WHERE purpose = 'waiting'"
RESTED = "UPDATE organizer SET waiting_mailed_at = waiting_mailed_at - interval '16 minutes'"


async def moderator(
    site: Installation, frequency: str, *, zone: str = "Europe/Berlin", email: str = "vera@letters.example"
) -> OrganizerId:
    organizer = await people.add(site, email)
    await people.give_role(site, organizer.id, "moderator")
    async with site.database.connection() as conn:
        await conn.execute(SET, organizer.id, zone, frequency, (MORNING - timedelta(days=1)).date())
    return organizer.id


async def hold(site: Installation, name: str) -> Bench:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    await bench.sign_for(name, "Anna Berg")
    return bench


async def jobs(database: Database) -> int:
    async with database.connection() as conn:
        return int(await conn.fetchval(JOBS))


async def test_once_each_morning_where_the_organizer_is(site: Installation) -> None:
    await moderator(site, "daily")
    await hold(site, "North Pier")
    assert await waiting_mail.enqueue_due(site.database, MORNING - timedelta(hours=1)) == 0  # 8:30 in Berlin
    assert await waiting_mail.enqueue_due(site.database, MORNING) == 1
    assert await waiting_mail.enqueue_due(site.database, MORNING + timedelta(hours=3)) == 0
    assert await waiting_mail.enqueue_due(site.database, MORNING + timedelta(hours=15)) == 0  # the night after
    assert await waiting_mail.enqueue_due(site.database, MORNING + timedelta(days=1)) == 1
    assert await jobs(site.database) == 2


async def test_nothing_waits_so_nothing_is_sent(site: Installation) -> None:
    await moderator(site, "daily")
    assert await waiting_mail.enqueue_due(site.database, MORNING) == 0
    await hold(site, "North Pier")
    assert await waiting_mail.enqueue_due(site.database, MORNING) == 0  # tomorrow's
    assert await waiting_mail.enqueue_due(site.database, MORNING + timedelta(days=1)) == 1


@pytest.mark.parametrize("frequency", ["daily", "soon"])
async def test_two_workers_send_one(site: Installation, frequency: str) -> None:
    await moderator(site, frequency)
    await hold(site, "North Pier")
    await asyncio.gather(*(waiting_mail.enqueue_due(site.database, MORNING) for _ in range(4)))
    assert await jobs(site.database) == 1


async def test_a_worker_that_is_killed_loses_nothing(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    await moderator(site, "daily")
    await hold(site, "North Pier")

    async def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "enqueue", killed)
        with pytest.raises(KeyboardInterrupt):
            await waiting_mail.enqueue_due(site.database, MORNING)
    assert await waiting_mail.enqueue_due(site.database, MORNING) == 1


async def test_at_once_says_what_is_new_and_rests_between(site: Installation) -> None:
    await moderator(site, "soon")
    bench = await hold(site, "North Pier")
    assert await waiting_mail.enqueue_due(site.database) == 1
    assert await waiting_mail.enqueue_due(site.database) == 0  # nothing new
    second = await bench.sign_for("Third Line", "Anna Berg")
    assert await waiting_mail.enqueue_due(site.database) == 0  # new, but too early
    async with site.database.connection() as conn:
        await conn.execute(RESTED)
    assert await waiting_mail.enqueue_due(site.database) == 1
    await bench.remove(second)
    await waiting_mail.enqueue_due(site.database)
    await bench.sign_for("Orsa", "Anna Berg")
    async with site.database.connection() as conn:
        await conn.execute(RESTED)
    assert await waiting_mail.enqueue_due(site.database) == 1  # as many as before, but another one
    assert await jobs(site.database) == 3


@pytest.mark.parametrize("change", ["off", "removed", "viewer"])
async def test_it_stops(site: Installation, change: str) -> None:
    organizer_id = await moderator(site, "daily")
    await hold(site, "North Pier")
    assert await waiting_mail.enqueue_due(site.database, MORNING) == 1
    async with site.database.connection() as conn:
        if change == "off":
            await conn.execute("UPDATE organizer SET waiting_mail = 'off' WHERE id = $1", organizer_id)
        elif change == "removed":
            await conn.execute("DELETE FROM member WHERE organizer = $1", organizer_id)
        else:
            await conn.execute("UPDATE member SET role = 'viewer' WHERE organizer = $1", organizer_id)
        job = DirectMailJob(None, b"", "en", {"organizer": organizer_id})
        assert await waiting_mail.write_mail(conn, job) is None  # also the one that is on its way
    assert await waiting_mail.enqueue_due(site.database, MORNING + timedelta(days=1)) == 0


async def test_it_holds_numbers_and_links_but_no_names(site_with_worker: Installation) -> None:
    site = site_with_worker
    await moderator(site, "soon")
    bench = await hold(site, "North Pier")
    (reported,) = await bench.sign("Timur Novak")
    async with site.database.connection() as conn:
        await conn.execute("UPDATE signature SET flags = '{reported}' WHERE id = $1", reported)
    await waiting_mail.enqueue_due(site.database)
    mail = await site.mail_to("vera@letters.example")
    assert mail.subject == "Something waits at your desk"
    for kind in ("plain", "html"):
        body = mail.body(kind) or ""
        assert "1 is waiting for approval" in body
        assert f"{site.base}/organizer/{SLUG}/queue?wait=held" in body
        assert "1 signature has been reported by readers" in body
        assert f"{site.base}/organizer/security" in body
        for name in ("North Pier", "Anna Berg", "Timur Novak"):
            assert name not in body


async def test_each_organizer_chooses(site: Installation) -> None:
    async with people.at_desk(site, "moderator") as client:
        page = (await client.get("/organizer/security")).text
        assert '<option value="Europe/Berlin">Berlin</option>' in page
        choice = {"zone": "Asia/Yekaterinburg", "waiting_mail": "soon"}
        response = await client.post("/organizer/security/preferences", data=choice)
        assert response.status_code == 303
        page = (await client.get("/organizer/security?done=preferences")).text
        assert '<option value="Asia/Yekaterinburg" selected>Yekaterinburg</option>' in page
        assert 'value="soon" checked' in page
        assert " UTC · Yekaterinburg" in page  # beside every time: of the sessions too
        for wrong in ({"zone": "Moon/Base"}, {"zone": "../etc/passwd"}, {"waiting_mail": "hourly"}):
            response = await client.post("/organizer/security/preferences", data={**choice, **wrong})
            assert response.status_code == 422
            assert 'aria-invalid="true"' in response.text or 'id="e-waiting"' in response.text


ANSWER = """
INSERT INTO addressee_answer (letter, addressee, private, digest, lang)
SELECT l.id, a.id, '', $2, 'en' FROM letter l, addressee a WHERE l.slug = $1 AND a.letter = l.id ORDER BY a.id LIMIT 1
"""
COUNTED = "UPDATE count SET people = $1 WHERE letter = (SELECT id FROM letter WHERE slug = $2)"
GOALS = "UPDATE letter SET goal = 100, next_goals = '{500, 1000}' WHERE slug = $1"
IN_TROUBLE = """
INSERT INTO relay (name, position, trouble, trouble_at, accepted_at)
VALUES ('relay.example:587', 1, 'takes_nothing', now(), now() - make_interval(mins => $1))
ON CONFLICT (name) DO UPDATE SET accepted_at = excluded.accepted_at
"""


async def run(site: Installation, statement: str, *values: object) -> None:
    async with site.database.connection() as conn:
        await conn.execute(statement, *values)


@pytest.mark.parametrize(("role", "mails"), [("moderator", 0), ("editor", 1), ("owner", 1)])
async def test_an_addressees_answer_waits_for_those_who_publish_it(site: Installation, role: str, mails: int) -> None:
    await moderator(site, "soon")
    await run(site, "UPDATE member SET role = $1::text::desk_role", role)
    await run(site, ANSWER, SLUG, b"1")
    assert await waiting_mail.enqueue_due(site.database) == mails
    await run(site, "UPDATE addressee_answer SET state = 'declined'")
    await run(site, ANSWER, SLUG, b"2")
    await run(site, RESTED)
    assert await waiting_mail.enqueue_due(site.database) == mails  # as many as before, but another one


@pytest.mark.parametrize("frequency", ["daily", "soon"])
async def test_a_reached_goal_is_mailed_once(site: Installation, frequency: str) -> None:
    """Each goal once, the highest where two were passed at a time; what was reached before is no news."""
    await moderator(site, frequency)
    await run(site, GOALS, SLUG)
    day = MORNING

    async def mails(people: int) -> int:
        nonlocal day
        day += timedelta(days=1)
        await run(site, COUNTED, people, SLUG)
        await run(site, RESTED)
        await asyncio.gather(*(waiting_mail.note_goals(site.database) for _ in range(3)))
        return await waiting_mail.enqueue_due(site.database, day)

    assert [await mails(people) for people in (99, 100, 120, 99, 100, 1000, 5000)] == [0, 1, 0, 0, 0, 1, 0]
    async with site.database.connection() as conn:
        details = await conn.fetch(
            "SELECT details -> 'goals' AS goals FROM outbox WHERE purpose = 'waiting' ORDER BY id"
        )
    assert [[goal for _, goal in row["goals"]] for row in details] == [[100], [1000]]


async def test_a_goal_waits_for_the_pause_and_is_not_kept_for_who_wants_no_mail(site: Installation) -> None:
    organizer_id = await moderator(site, "soon")
    await hold(site, "North Pier")
    assert await waiting_mail.enqueue_due(site.database) == 1
    await run(site, GOALS, SLUG)
    await run(site, COUNTED, 100, SLUG)
    assert await waiting_mail.note_goals(site.database) == 1
    assert await waiting_mail.enqueue_due(site.database) == 0
    await run(site, RESTED)
    assert await waiting_mail.enqueue_due(site.database) == 1
    await run(site, COUNTED, 500, SLUG)
    await waiting_mail.note_goals(site.database)
    async with site.database.transaction() as conn:
        for choice in ("off", "daily"):
            await waiting_mail.set_preferences(conn, organizer_id, "", choice)
        assert await conn.fetchval("SELECT waiting_goals FROM organizer WHERE id = $1", organizer_id) == []


async def test_a_relay_in_lasting_trouble_is_mailed_to_admins(site: Installation) -> None:
    await moderator(site, "soon")
    admin = await people.add(site, "olga@letters.example", admin=True)
    await run(site, SET, admin.id, "", "soon", MORNING.date())
    await run(site, IN_TROUBLE, 1)  # it took a mail a minute ago
    assert await waiting_mail.enqueue_due(site.database) == 0
    await run(site, IN_TROUBLE, 30)
    assert await waiting_mail.enqueue_due(site.database) == 1
    await run(site, RESTED)
    assert await waiting_mail.enqueue_due(site.database) == 0  # the same one
    async with site.database.connection() as conn:
        content = await waiting_mail.write_mail(conn, DirectMailJob(None, b"", "en", {"organizer": admin.id}))
    assert content is not None
    assert content.context == {"letters": [], "relays": 1, "has_work": False}


async def test_goals_answers_and_relays_in_words(site_with_worker: Installation) -> None:
    site = site_with_worker
    organizer = await people.add(site, "olga@letters.example", admin=True)
    await people.give_role(site, organizer.id, "owner")
    await run(site, GOALS, SLUG)
    await run(site, COUNTED, 100, SLUG)
    await run(site, IN_TROUBLE, 30)
    await run(site, SET, organizer.id, "", "soon", MORNING.date())
    await waiting_mail.note_goals(site.database)
    await waiting_mail.enqueue_due(site.database)
    mail = await site.mail_to("olga@letters.example")
    assert mail.subject == "A letter has reached its goal"
    for kind in ("plain", "html"):
        body = mail.body(kind) or ""
        assert "The goal of 100 has been reached" in body
        assert f"{site.base}/organizer/{SLUG}/updates" in body
        assert "1 relay has taken no mail for minutes" in body
        assert f"{site.base}/organizer/installation/relays" in body
