"""Two at once on one link, one invitation, one first factor: nobody waits in a circle, and nothing is half done."""

import asyncio
from datetime import timedelta

import pytest

from petition.core.database import Connection
from petition.core.ids import InvitationId, OrganizerId
from petition.organizers import factor_queries, member_queries, queries, sessions
from petition.organizers.passkeys import Passkeys
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

MEMBERS = f"/organizer/{SLUG}/members"
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def somebody_waits(site: Installation, task: "asyncio.Task[object]") -> None:
    async with asyncio.timeout(120):
        while not task.done() and not await rows_of(site.database, WAITS):
            await asyncio.sleep(0.02)
    assert not task.done()


async def entry_of(
    site: Installation, *, organizer_id: OrganizerId | None = None, invitation_id: InvitationId | None = None
) -> str:
    token = sessions.new_token()
    async with site.database.connection() as conn:
        digest, length = sessions.digest_of(token), timedelta(minutes=15)
        await queries.add_entry(conn, digest, length, organizer_id=organizer_id, invitation_id=invitation_id)
    return token


async def test_an_invitation_is_taken_back_while_it_is_accepted(site: Installation) -> None:
    async with people.at_desk(site, "owner") as owner, people.stranger(site) as timur:
        whom = {"name": "Timur", "email": "timur@letters.example", "role": "editor"}
        await owner.post(f"{MEMBERS}/invite", data=whom)
        (row,) = await rows_of(site.database, "SELECT id, letter FROM invitation")
        token = await entry_of(site, invitation_id=row["id"])
        async with site.database.connection() as conn, conn.transaction():
            await conn.execute("SELECT FROM invitation WHERE id = $1 FOR UPDATE", row["id"])
            task = asyncio.create_task(timur.post(f"/organizer/enter/{token}"))
            await somebody_waits(site, task)
            assert await member_queries.cancel_invitation(conn, row["id"], row["letter"]) is not None
        assert (await task).status_code == 410
    assert await rows_of(site.database, "SELECT 1 FROM log WHERE act = 'member.join'") == []


async def test_two_links_of_one_organizer_are_pressed_at_once(site: Installation) -> None:
    """The first one has the other deleted; each deletes its own first."""
    who = await people.add(site, "vera@letters.example")
    first, second = await entry_of(site, organizer_id=who.id), await entry_of(site, organizer_id=who.id)
    async with people.stranger(site) as other, site.database.connection() as conn:
        async with conn.transaction():
            assert await queries.use_sign_in_link(conn, sessions.digest_of(first)) is not None
            task = asyncio.create_task(other.post(f"/organizer/enter/{second}"))
            await somebody_waits(site, task)
            assert await queries.use_sign_in_link(conn, sessions.digest_of(second)) is None  # gone with the first
        assert (await task).status_code == 410


async def test_a_session_that_was_ended_adds_no_passkey(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two browsers without a second factor: the first factor ends the other session, and what it was about to do."""

    async def add(self: Passkeys, conn: Connection, organizer_id: OrganizerId, *given: object) -> None:
        await factor_queries.lock(conn, organizer_id)  # as the real one, whose authenticator is not here
        assert await factor_queries.add_passkey(conn, organizer_id, b"thief", b"key", 0, "?")

    monkeypatch.setattr(Passkeys, "add", add)
    who = await people.add(site, "vera@letters.example")
    async with people.stranger(site) as thief, site.database.connection() as conn:
        cookie = await people.cookie(site, who.id, proved=False)
        thief.cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
        async with conn.transaction():
            await factor_queries.lock(conn, who.id)
            task = asyncio.create_task(thief.post("/organizer/second/passkey/new", data={"credential": "{}"}))
            await somebody_waits(site, task)
            assert await factor_queries.add_passkey(conn, who.id, b"vera", b"key", 0, "?")
            await queries.end_others(conn, who.id, 0)
        assert (await task).status_code == 401
    assert [row["id"] for row in await rows_of(site.database, "SELECT id FROM passkey")] == [b"vera"]


@pytest.mark.parametrize("from_all", [False, True])
async def test_who_is_removed_does_not_come_back_by_an_older_invitation(site: Installation, from_all: bool) -> None:
    async with people.at_desk(site, "owner", admin=True) as owner, people.stranger(site) as browser:
        timur = await people.add(site, "timur@letters.example")
        whom = {"name": "Timur", "email": "Timur@letters.example", "role": "editor"}
        await owner.post(f"{MEMBERS}/invite", data=whom)
        await owner.post(f"{MEMBERS}/invite", data=whom | {"email": "somebody@letters.example"})
        await people.give_role(site, timur.id, "viewer")  # members are not invited
        (row, _) = await rows_of(site.database, "SELECT id FROM invitation ORDER BY created_at")
        token = await entry_of(site, invitation_id=row["id"])
        if from_all:
            gone = await owner.post("/organizer/installation/remove", data={"organizer": str(timur.id)})
        else:
            gone = await owner.post(MEMBERS, data={"organizer": str(timur.id), "before": "viewer", "act": "remove"})
        assert gone.status_code == 303
        assert (await browser.post(f"/organizer/enter/{token}")).status_code == 410
    assert len(await rows_of(site.database, "SELECT 1 FROM invitation")) == 1  # somebody else's
    (told,) = await rows_of(site.database, "SELECT ids FROM log WHERE act = 'member.uninvite'")
    assert told["ids"] == [row["id"]]
