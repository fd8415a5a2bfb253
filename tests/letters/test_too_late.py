"""Whoever had passed the door before a letter was taken down: nothing of theirs is written, and they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from petition.core import audit_log, encryption
from petition.core.audit_log import Actor
from petition.core.encryption import LetterKeys
from petition.core.errors import Gone
from petition.core.ids import LetterId, OrganizerId
from petition.imports import steering
from petition.letters import lifecycle_queries, taking_down
from petition.moderation import bulk_acts
from petition.moderation.model import Action, Filter
from petition.organizers import queries, sessions
from tests import rows
from tests.drafts import desk as writing
from tests.organizers import people
from tests.pages import check_page
from tests.running import SLUG, Installation
from tests.signatures.waiting import Waiting

HERE = f"/organizer/{SLUG}"
SOURCE = {"people": "40", "counted_on": "2026-01-02", "source_en": "Counted by the harbour office"}

# Address below the letter's, and a form that is taken while the letter stands; each adds or changes rows of it.
ACTS: Mapping[str, tuple[str, dict[str, str]]] = {
    "tally": ("tally", {"step": "add", **SOURCE}),
    "campaign": ("campaigns", {"act": "remove", "back": "kind=person"}),
    "bulk act started": ("campaigns/<campaign>", {"step": "start", "reason": "fake"}),
    "invitation": ("members/invite", {"name": "Timur", "email": "timur@letters.example", "role": "viewer"}),
    "role": ("members", {"organizer": "<viewer>", "before": "viewer", "role": "editor"}),
    "note": ("signatures/<signature>", {"act": "note", "text": "Ask again"}),
    "removal": ("queue", {"s<signature>": "0", "act": "remove", "reason": "fake"}),
    "switch": ("switches", {"name": "stop", "value": "on", "revision": "0", "text_en": "We are looking into it"}),
    "update": ("updates", {"act": "publish", "title_en": "News", "text_en": "There is some."}),
    "partner": ("partners", {"act": "add", "name": "north-pier", "title": "North Pier"}),
    "employer": ("employers", {"act": "add", "name_en": "North Pier", "domains": "pier.example"}),
    "preview": ("preview/link", {"act": "make"}),
    "key": (
        "addresses",
        {"step": "register", "recipient": "age1h8equ4vs5pyp8ykw0z8m9n8m3psy6swme52ztth0v66frgu65ussm8gq0t"},
    ),
    "state": ("state", {"move": "close"}),
}
RESTORE = """
UPDATE letter l SET state = s.state, goal = s.goal, opened_at = s.opened_at, closes_at = s.closes_at,
       wrapped_digest_key = s.wrapped_digest_key, wrapped_name_key = s.wrapped_name_key, version = s.version
FROM saved s WHERE s.id = l.id
"""


@pytest.fixture
async def owner(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "owner") as client:
        yield client


async def known(site: Installation) -> dict[str, str]:
    """Furnish the letter; return the ids that forms name."""
    waiting = await Waiting.of(site)
    await site.client.post(waiting.link)
    viewer = await people.add(site, "viewer@letters.example")
    await people.give_role(site, viewer.id, "viewer")
    async with site.database.transaction() as conn:
        by = Actor(viewer.id, waiting.letter.id)
        campaign = await bulk_acts.create(conn, by, Action.REMOVE, Filter())
    return {
        "letter": str(waiting.letter.id),
        "signature": str(waiting.id),
        "viewer": str(viewer.id),
        "campaign": str(campaign),
    }


def filled(text: str, ids: Mapping[str, str]) -> str:
    for name, number in ids.items():
        text = text.replace(f"<{name}>", number)
    return text


async def too_late(
    site: Installation, client: httpx2.AsyncClient, letter_id: LetterId, request: httpx2.Request
) -> None:
    """Take the letter down while ``request`` is behind the door already: it is told so, and no row has moved."""
    before = await pictured(site, letter_id)
    async with site.database.connection() as conn, conn.transaction():
        await taking_down.take_down(conn, None, letter_id, SLUG)
        task = asyncio.create_task(client.send(request))
        await waits(site, task)
        assert not task.done(), (task.result().status_code, task.result().text[:2000])
    answer = await task
    check_page(answer, 410)
    assert await pictured(site, letter_id) == before


async def pictured(site: Installation, letter_id: LetterId) -> dict[str, str]:
    """Return every row of the letter, by table; that of the letter itself and the log aside."""
    tables = lifecycle_queries.DROP_ROWS
    async with site.database.connection() as conn:
        return {
            table: json.dumps(
                await conn.fetchval(
                    f"SELECT coalesce(jsonb_agg(t ORDER BY t::text), '[]') FROM {table} t WHERE letter = $1", letter_id
                )
            )
            for table in tables
        }


async def waits(site: Installation, task: "asyncio.Task[httpx2.Response]") -> None:
    """Wait until the request waits for the lock, or is answered."""
    locked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(120):
        while not task.done() and not await rows.rows_of(site.database, locked):
            await asyncio.sleep(0.02)


async def test_nothing_is_written(site: Installation, owner: httpx2.AsyncClient) -> None:
    """And the same form is taken once the letter stands again: else that would prove nothing."""
    ids = await known(site)
    letter_id = LetterId(int(ids["letter"]))
    async with site.database.connection() as conn:
        await conn.execute("CREATE TABLE saved AS SELECT * FROM letter")
    for act, (path, form) in ACTS.items():
        given = {filled(name, ids): filled(value, ids) for name, value in form.items()}
        address = f"{HERE}/{filled(path, ids)}"
        await too_late(site, owner, letter_id, owner.build_request("POST", address, data=given))
        async with site.database.connection() as conn:
            await conn.execute(RESTORE)
        before = await pictured(site, letter_id), await rows.rows_of(site.database, "SELECT * FROM letter")
        answer = await owner.post(address, data=given)
        assert answer.status_code == 303, (act, answer.text)
        assert before != (await pictured(site, letter_id), await rows.rows_of(site.database, "SELECT * FROM letter")), (
            act
        )


async def test_nor_of_a_text_that_is_being_typed(site: Installation, owner: httpx2.AsyncClient) -> None:
    """The second save of a sitting has no row in the log."""
    ids = await known(site)
    form = await writing.opened(owner)
    form["text.en"] += "\n\nOne more line."
    assert (await owner.post(writing.TEXT, data=form)).status_code == 303
    form = await writing.opened(owner)
    form["text.en"] += "\n\nAnd another."
    await too_late(site, owner, LetterId(int(ids["letter"])), owner.build_request("POST", writing.TEXT, data=form))


async def test_nor_of_somebody_who_joins(site: Installation, owner: httpx2.AsyncClient) -> None:
    ids = await known(site)
    whom = {"name": "Timur", "email": "timur@letters.example", "role": "editor"}
    assert (await owner.post(f"{HERE}/members/invite", data=whom)).status_code == 303
    token = sessions.new_token()
    async with site.database.transaction() as conn:
        (row,) = await rows.rows_of(site.database, "SELECT id, expires_at - now() AS length FROM invitation")
        await queries.add_entry(conn, sessions.digest_of(token), row["length"], invitation_id=row["id"])
    async with people.stranger(site) as timur:
        await too_late(
            site, timur, LetterId(int(ids["letter"])), timur.build_request("POST", f"/organizer/enter/{token}")
        )
        assert dict(timur.cookies) == {}
    assert await rows.rows_of(site.database, "SELECT 1 FROM log WHERE act = 'member.join'") == []


async def test_nor_of_a_reader_who_reports(site: Installation) -> None:
    ids = await known(site)
    form = {"reason": "fake", "altcha": await site.challenge()}
    path = f"/en/{SLUG}/report/person/{ids['signature']}"
    request = site.client.build_request("POST", path, data=form, headers=site.new_network())
    await too_late(site, site.client, LetterId(int(ids["letter"])), request)


async def test_a_file_that_is_still_coming(site: Installation, owner: httpx2.AsyncClient) -> None:
    """The parts after that moment are not kept, whether the rows they belong to are deleted yet or not."""
    ids = await known(site)
    letter_id, keys = LetterId(int(ids["letter"])), LetterKeys(encryption.new_key(), encryption.new_key())
    actor = Actor(OrganizerId(int(ids["viewer"])), letter_id)
    async with site.database.transaction() as conn:
        number = await steering.begin(conn, actor)

    async def pieces(*, cleared: bool) -> AsyncIterator[bytes]:
        yield b"a" * steering.PART
        async with site.database.transaction() as conn:
            await taking_down.take_down(conn, None, letter_id, SLUG)
        if cleared:
            await taking_down.delete_rows(site.database, letter_id)
        yield b"b" * steering.PART

    with pytest.raises(Gone):
        await steering.store(site.database, actor, keys, number, pieces(cleared=True))
    async with site.database.transaction() as conn:
        with pytest.raises(Gone):
            await steering.begin(conn, actor)
    assert await rows.rows_of(site.database, "SELECT 1 FROM intake UNION ALL SELECT 1 FROM intake_part") == []


async def test_an_act_under_way_is_waited_for(site: Installation) -> None:
    ids = await known(site)
    letter_id = LetterId(int(ids["letter"]))

    async def take() -> None:
        async with site.database.transaction() as conn:
            await taking_down.take_down(conn, None, letter_id, SLUG)

    async with site.database.connection() as conn, conn.transaction():
        await audit_log.record(conn, None, letter_id, "member.invite")
        task = asyncio.create_task(take())
        async with asyncio.timeout(120):
            while not await rows.rows_of(
                site.database, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ):
                assert not task.done()
                await asyncio.sleep(0.02)
    await task
    async with site.database.transaction() as conn:
        with pytest.raises(Gone):
            await audit_log.record(conn, None, letter_id, "member.invite")
