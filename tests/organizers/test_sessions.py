"""Sessions: how long they last, how they are ended, and the cookie."""

from pathlib import Path

import pytest
from starlette.responses import Response

from petition.core.settings import Process, load
from petition.organizers.sessions import browser_of
from petition.web.desk import session_cookie
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation, environment


async def passed(site: Installation, column: str, interval: str) -> None:
    """Let time pass for every session."""
    async with site.database.connection() as conn:
        await conn.execute(f"UPDATE session SET {column} = now() - interval '{interval}'")


@pytest.mark.parametrize(
    ("column", "lives", "dead"),
    [
        ("seen_at", "11 hours 59 minutes", "12 hours"),
        ("created_at", "6 days 23 hours 59 minutes", "7 days"),
    ],
)
async def test_a_session_ends_by_itself(site: Installation, column: str, lives: str, dead: str) -> None:
    async with people.at_desk(site) as client:
        await passed(site, column, lives)
        assert (await client.get("/organizer/")).status_code == 200
        await passed(site, column, dead)
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/enter"
        assert (await client.post("/organizer/security/name", data={"name": "X"})).status_code == 401


async def test_without_the_second_factor_it_lasts_an_hour(site: Installation) -> None:
    who = await people.add(site, "vera@letters.example")
    cookie = {"Cookie": f"desk={await people.cookie(site, who.id, proved=False)}"}
    async with people.stranger(site) as client:
        await passed(site, "created_at", "59 minutes")
        assert (await client.get("/organizer/second", headers=cookie)).status_code == 200
        await passed(site, "created_at", "1 hour")
        assert (await client.get("/organizer/second", headers=cookie)).status_code == 303


async def test_a_visit_keeps_it_alive(site: Installation) -> None:
    async with people.at_desk(site) as client:
        await passed(site, "seen_at", "11 hours")
        await client.get("/organizer/")
    (row,) = await rows_of(site.database, "SELECT now() - seen_at < interval '1 minute' AS fresh FROM session")
    assert row["fresh"]
    (row,) = await rows_of(site.database, "SELECT now() - seen_at < interval '1 minute' AS fresh FROM organizer")
    assert row["fresh"]


async def test_one_is_ended_and_a_second_time_is_harmless(site: Installation) -> None:
    async with people.at_desk(site) as here, people.at_desk(site) as there:
        sessions = await rows_of(site.database, "SELECT id, organizer FROM session ORDER BY created_at")
        assert (await here.get("/organizer/security")).text.count("Firefox, Linux") == 2
        for _ in range(2):
            answer = await here.post("/organizer/security/end", data={"session": str(sessions[1]["id"])})
            assert answer.headers["location"] == "/organizer/security?done=ended"
        assert (await there.get("/organizer/")).headers["location"] == "/organizer/enter"
        assert (await here.get("/organizer/")).status_code == 200
        answer = await here.post("/organizer/security/end", data={"session": str(sessions[0]["id"])})
        assert answer.headers["location"] == "/organizer/enter?lang=en"
        assert (await here.get("/organizer/")).status_code == 303
    acts = await rows_of(site.database, "SELECT act, ids FROM log WHERE act = 'session.end' ORDER BY id")
    assert [act["ids"] for act in acts] == [[sessions[1]["id"]], [sessions[0]["id"]]]


async def test_all_others_are_ended(site: Installation) -> None:
    async with people.at_desk(site) as here, people.at_desk(site) as there, people.at_desk(site) as elsewhere:
        await here.post("/organizer/security/end", data={"session": "others"})
        assert (await here.get("/organizer/")).status_code == 200
        for client in (there, elsewhere):
            assert (await client.get("/organizer/")).status_code == 303


@pytest.mark.parametrize("forged", ["", "x", "-1", "9" * 30, "1"])
async def test_nobody_ends_anothers(site: Installation, forged: str) -> None:
    async with people.at_desk(site, email="a@letters.example") as anna, people.at_desk(site) as boris:
        (_, theirs) = await rows_of(site.database, "SELECT id FROM session ORDER BY created_at")
        for given in (str(theirs["id"]), forged):
            await anna.post("/organizer/security/end", data={"session": given})
        assert (await boris.get("/organizer/")).status_code == 200


def settings(folder: Path, **more: str):  # type: ignore[no-untyped-def]
    return load(environment(folder, "postgresql://nowhere", 8000, **more), role=Process.WEB)


def test_the_cookie_over_https_is_for_this_host_alone(tmp_path: Path) -> None:
    response = Response()
    its = settings(tmp_path, BASE_URL="https://letters.example", CONTROLLER="us")
    session_cookie.set_cookie(response, its, "token")
    assert set(response.headers["set-cookie"].split("; ")) == {
        "__Host-desk=token",
        "HttpOnly",
        "Max-Age=604800",
        "Path=/",
        "SameSite=lax",
        "Secure",
    }


def test_the_cookie_on_loopback_is_for_the_desk_alone(tmp_path: Path) -> None:
    response = Response()
    session_cookie.set_cookie(response, settings(tmp_path), "token")
    parts = set(response.headers["set-cookie"].split("; "))
    assert parts == {"desk=token", "HttpOnly", "Max-Age=604800", "Path=/organizer/", "SameSite=lax"}


async def test_public_pages_neither_set_nor_heed_a_cookie(site: Installation) -> None:
    async with people.at_desk(site) as client:
        for path in (f"/en/{SLUG}", f"/en/{SLUG}/signatories", "/en/", "/en/privacy"):
            known = await client.get(path, headers={"Cookie": f"desk={client.cookies['desk']}"})
            unknown = await site.client.get(path)
            assert "set-cookie" not in known.headers
            assert "cookie" not in known.headers.get("vary", "").lower()
            assert known.text == unknown.text


async def test_the_browsers_header_is_not_stored(site: Installation) -> None:
    async with people.at_desk(site):
        (row,) = await rows_of(site.database, "SELECT to_jsonb(s)::text AS all FROM session s")
    assert "Firefox/140" not in row["all"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox, Windows"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
            "Edge, Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36", "Chromium, Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604.1",
            "Safari, iOS",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18 Safari/605", "Safari, macOS"),
        ("", "?"),
        ("<script>alert(1)</script>" * 1000, "?"),
    ],
)
def test_browsers_have_short_names(header: str, name: str) -> None:
    assert browser_of(header) == name
