"""The installation's page: organizers, admins, and letters that somebody must own."""

import asyncio
import re

import pytest

from petition.core.errors import Refused
from petition.core.ids import OrganizerId
from petition.organizers import members
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

HERE = "/organizer/installation"


async def admins(site: Installation) -> list[OrganizerId]:
    return [row["id"] for row in await rows_of(site.database, "SELECT id FROM organizer WHERE admin ORDER BY id")]


async def test_an_invited_organizer_has_no_letter(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, admin=True) as client, people.stranger(site_with_worker) as timur:
        form = {"name": "Timur", "email": "timur@letters.example", "lang": "en"}
        assert (await client.post(f"{HERE}/invite", data=form)).headers["location"] == f"{HERE}?done=invited"
        assert "Timur" in (await client.get(HERE)).text
        found = re.search(
            r"/organizer/enter/[\w-]+", (await site_with_worker.mail_to(form["email"])).body("plain") or ""
        )
        assert found
        assert (await timur.post(found[0])).status_code == 303
        assert "Timur" in (await client.get(HERE)).text
    assert await rows_of(site_with_worker.database, "SELECT * FROM member") == []
    assert len(await admins(site_with_worker)) == 1


async def test_an_invitation_is_taken_back(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client:
        form = {"name": "Timur", "email": "timur@letters.example"}
        await client.post(f"{HERE}/invite", data=form)
        (row,) = await rows_of(site.database, "SELECT id FROM invitation")
        for _ in range(2):
            answer = await client.post(f"{HERE}/cancel", data={"invitation": str(row["id"])})
            assert answer.status_code == 303
    assert await rows_of(site.database, "SELECT * FROM invitation") == []


async def test_an_organizers_address_is_not_invited_again(site: Installation) -> None:
    await people.add(site, "timur@letters.example")
    async with people.at_desk(site, admin=True) as client:
        answer = await client.post(f"{HERE}/invite", data={"name": "Timur", "email": "TIMUR@letters.example"})
        assert answer.status_code == 422
        assert "This address is an organizer’s already." in answer.text
    for table in ("invitation", "outbox"):
        assert await rows_of(site.database, f"SELECT FROM {table}") == []


async def test_a_wrong_form_invites_nobody(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client:
        assert (await client.post(f"{HERE}/invite", data={"name": "", "email": "x"})).status_code == 422
    assert await rows_of(site.database, "SELECT * FROM outbox") == []


async def test_admins_make_admins_and_one_stays(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client:
        (me,) = await admins(site)
        other = (await people.add(site, "timur@letters.example")).id
        answer = await client.post(f"{HERE}/admin", data={"organizer": str(me), "admin": "no"})
        assert answer.status_code == 409
        assert "needs an admin" in answer.text
        for _ in range(2):
            await client.post(f"{HERE}/admin", data={"organizer": str(other), "admin": "yes"})
        assert await admins(site) == [me, other]
        await client.post(f"{HERE}/admin", data={"organizer": str(me), "admin": "no"})
        assert await admins(site) == [other]
        assert (await client.get(HERE)).status_code == 403
    acts = await rows_of(site.database, "SELECT before, after FROM log WHERE act = 'organizer.admin' ORDER BY id")
    assert [(act["before"], act["after"]) for act in acts] == [("", "admin"), ("admin", "")]


async def test_two_admins_cannot_end_each_other_at_once(site: Installation) -> None:
    ids = [(await people.add(site, f"{name}@letters.example", admin=True)).id for name in ("anna", "boris")]

    async def end(actor_id: OrganizerId, whom: OrganizerId) -> bool:
        try:
            async with site.database.transaction() as conn:
                await members.set_admin(conn, actor_id, whom, False)
        except Refused:
            return False
        return True

    assert sorted(await asyncio.gather(end(ids[0], ids[1]), end(ids[1], ids[0]))) == [False, True]
    assert len(await admins(site)) == 1


async def test_an_organizer_is_removed_with_sessions_and_roles(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client, people.at_desk(site, "editor") as timur:
        (row,) = await rows_of(site.database, "SELECT organizer FROM member")
        for _ in range(2):
            answer = await client.post(f"{HERE}/remove", data={"organizer": str(row["organizer"])})
            assert answer.headers["location"] == f"{HERE}?done=removed"
        assert (await timur.get("/organizer/")).headers["location"] == "/organizer/enter"
    assert await rows_of(site.database, "SELECT * FROM member") == []
    assert len(await rows_of(site.database, "SELECT * FROM log WHERE act = 'organizer.remove'")) == 1


async def test_an_only_owner_and_an_only_admin_stay(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client:
        async with people.at_desk(site, "owner"):
            (row,) = await rows_of(site.database, "SELECT organizer FROM member")
            answer = await client.post(f"{HERE}/remove", data={"organizer": str(row["organizer"])})
            assert answer.status_code == 409
            assert "only owner" in answer.text
        answer = await client.post(f"{HERE}/remove", data={"organizer": str((await admins(site))[0])})
        assert answer.status_code == 409
    assert len(await rows_of(site.database, "SELECT * FROM organizer")) == 2


async def test_an_admin_sees_that_a_letter_is_there_and_takes_it_over_on_record(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as client:
        assert SLUG in (await client.get(HERE)).text
        assert (await client.get(f"/organizer/{SLUG}/")).status_code == 404
        for _ in range(2):
            answer = await client.post(f"{HERE}/own", data={"letter": SLUG})
            assert answer.headers["location"] == f"{HERE}?done=taken"
        assert (await client.get(f"/organizer/{SLUG}/members")).status_code == 200
        assert (await client.post(f"{HERE}/own", data={"letter": "no-such-letter"})).status_code == 404
    acts = await rows_of(site.database, "SELECT act, letter FROM log WHERE act = 'member.take'")
    assert acts[0]["letter"] is not None


@pytest.mark.parametrize("path", ["admin", "remove", "cancel"])
@pytest.mark.parametrize("forged", ["", "x", "-1", "9" * 40])
async def test_a_forged_id_is_refused(site: Installation, path: str, forged: str) -> None:
    async with people.at_desk(site, admin=True) as client:
        answer = await client.post(f"{HERE}/{path}", data={"organizer": forged, "invitation": forged})
    assert answer.status_code == 400
