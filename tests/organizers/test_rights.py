"""A new session id at every change of rights, whoever changes them: at the next answer, once; the old one is dead."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest

from petition.core.errors import Unavailable
from petition.organizers import accounts, queries, sessions
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

MEMBERS = f"/organizer/{SLUG}/members"
HOME = "/organizer/"


@pytest.fixture
async def owner(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "owner", name="Olga") as client:
        yield client


async def id_of(site: Installation, email: str) -> str:
    return str((await people.add(site, email)).id)


def old(cookie: str) -> dict[str, str]:
    return {"Cookie": f"desk={cookie}"}


async def follows(site: Installation, client: httpx2.AsyncClient, path: str = HOME) -> None:
    """The next answer brings a new id, and only that; what it was before opens nothing any more."""
    before = client.cookies["desk"]
    answer = await client.get(path)
    assert answer.headers["set-cookie"].startswith("desk=")
    for attribute in ("HttpOnly", "Path=/organizer/", "SameSite=lax", "Max-Age=604800"):
        assert attribute in answer.headers["set-cookie"]
    assert client.cookies["desk"] != before
    again = await client.get(HOME)
    assert (again.status_code, again.headers.get("set-cookie")) == (200, None)
    async with people.stranger(site) as thief:
        assert (await thief.get(HOME, headers=old(before))).headers["location"] == "/organizer/enter"
        name = await thief.post("/organizer/security/name", data={"name": "Thief"}, headers=old(before))
        assert name.status_code == 401


async def test_when_a_colleague_changes_a_role(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "viewer") as viewer, people.at_desk(site, "viewer") as elsewhere:
        who = await id_of(site, "viewer@letters.example")
        for before, after in (("viewer", "editor"), ("editor", "moderator")):
            form = {"organizer": who, "before": before, "role": after}
            assert (await owner.post(MEMBERS, data=form)).headers.get("set-cookie") is None
            await follows(site, viewer)
            await follows(site, elsewhere)
        await owner.post(MEMBERS, data={"organizer": who, "before": "moderator", "act": "remove"})
        await follows(site, viewer)
        await owner.post(f"{MEMBERS}/restore", data={"organizer": who})
        await follows(site, viewer, f"/organizer/{SLUG}/queue")


async def test_a_script_brings_none_as_its_answer_may_be_lost(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "viewer") as viewer:
        form = {"organizer": await id_of(site, "viewer@letters.example"), "before": "viewer", "role": "editor"}
        await owner.post(MEMBERS, data=form)
        asked = await viewer.get(HOME, headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
        assert (asked.status_code, asked.headers.get("set-cookie")) == (200, None)
        await follows(site, viewer)


async def test_an_act_that_is_done_is_not_called_failed(
    site: Installation, owner: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(sessions, "follow_rights", away)
    named = await owner.post("/organizer/security/name", data={"name": "Olga B."})
    assert named.status_code == 303
    assert "Olga B." in (await owner.get(HOME)).text


async def test_when_an_admin_makes_one_or_takes_it_back(site: Installation) -> None:
    async with people.at_desk(site, admin=True, email="admin@letters.example") as admin, people.at_desk(site) as other:
        who = await id_of(site, "organizer@letters.example")
        for given in ("yes", "no"):
            await admin.post("/organizer/installation/admin", data={"organizer": who, "admin": given})
            await follows(site, other)
        await accounts.add(site.database, site.settings, "organizer@letters.example", admin=True)
        await follows(site, other)
        await accounts.add(site.database, site.settings, "organizer@letters.example", admin=True)
        assert (await other.get(HOME)).headers.get("set-cookie") is None  # nothing has changed


async def test_when_one_joins_in_another_browser(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, email="timur@letters.example") as timur, people.stranger(site) as browser:
        whom = {"name": "Timur", "email": "timur@letters.example", "role": "editor"}
        await owner.post(f"{MEMBERS}/invite", data=whom)
        (row,) = await rows_of(site.database, "SELECT id FROM invitation")
        token = sessions.new_token()
        async with site.database.connection() as conn:
            await queries.add_entry(conn, sessions.digest_of(token), timedelta(days=1), invitation_id=row["id"])
        assert (await browser.post(f"/organizer/enter/{token}")).status_code == 303
        await follows(site, timur, f"/organizer/{SLUG}/text")


async def test_when_one_changes_them_oneself(site: Installation, owner: httpx2.AsyncClient) -> None:
    """With the very answer."""
    async with people.at_desk(site, "owner", email="anna@letters.example") as anna:
        who, before = await id_of(site, "anna@letters.example"), anna.cookies["desk"]
        answer = await anna.post(MEMBERS, data={"organizer": who, "before": "owner", "role": "viewer"})
        assert answer.headers["set-cookie"].startswith("desk=")
        async with people.stranger(site) as thief:
            assert (await thief.get(HOME, headers=old(before))).status_code == 303
        assert (await anna.get(f"/organizer/{SLUG}/")).headers.get("set-cookie") is None
        assert (await anna.get(f"/organizer/{SLUG}/members")).status_code == 403
    async with people.at_desk(site, admin=True, email="admin@letters.example") as admin:
        before = admin.cookies["desk"]
        await admin.post("/organizer/installation/own", data={"letter": SLUG})
        assert admin.cookies["desk"] != before


async def test_of_many_requests_at_once_one_brings_it(site: Installation, owner: httpx2.AsyncClient) -> None:
    """Whoever was let in by the old id while it lived is answered; afterwards it is dead."""
    async with people.at_desk(site, "viewer") as viewer, people.stranger(site) as browser:
        who, cookie = await id_of(site, "viewer@letters.example"), viewer.cookies["desk"]
        await owner.post(MEMBERS, data={"organizer": who, "before": "viewer", "role": "editor"})
        forms = [{"name": f"Vera {n}"} for n in range(4)]
        answers = await asyncio.gather(
            *(browser.get(HOME, headers=old(cookie)) for _ in range(6)),
            *(browser.post("/organizer/security/name", data=form, headers=old(cookie)) for form in forms),
        )
        given = [each.headers["set-cookie"] for each in answers if "set-cookie" in each.headers]
        assert len(given) == 1
        assert {each.status_code for each in answers} <= {200, 303, 401}
        new = given[0].partition("=")[2].partition(";")[0]
        browser.cookies.clear()
        assert (await browser.get(HOME, headers=old(cookie))).status_code == 303
        assert (await browser.get(HOME, headers=old(new))).status_code == 200


async def test_a_request_that_fails_takes_nobodys_session(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "viewer") as viewer:
        who, cookie = await id_of(site, "viewer@letters.example"), viewer.cookies["desk"]
        await owner.post(MEMBERS, data={"organizer": who, "before": "viewer", "role": "editor"})
        for path in ("/organizer/no-such-letter/", f"/organizer/{SLUG}/updates/77"):
            answer = await viewer.get(path)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (404, None)
        refused = await viewer.post(HOME, headers={"Origin": "https://elsewhere.example"})
        assert refused.headers.get("set-cookie") is None
        assert viewer.cookies["desk"] == cookie
        await follows(site, viewer)


async def test_showing_the_second_factor_is_change_enough(site: Installation, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(site, "viewer") as viewer:
        who = await id_of(site, "viewer@letters.example")
        await owner.post(MEMBERS, data={"organizer": who, "before": "viewer", "role": "editor"})
        async with site.database.connection() as conn:
            (row,) = await rows_of(site.database, "SELECT id FROM session WHERE organizer = $1", int(who))
            token = sessions.new_token()
            await queries.renew_session(conn, row["id"], sessions.digest_of(token))
        viewer.cookies.set("desk", token, domain="localhost.local", path="/organizer/")
        assert (await viewer.get(HOME)).headers.get("set-cookie") is None
