"""Getting in by a one-time link: asking for one, its page, its button."""

import re

import pytest

from petition.core.encryption import Wrapper
from petition.mail.suppression import Suppression
from petition.organizers import sessions, sign_in_links
from tests.organizers import people
from tests.rows import rows_of
from tests.running import KEY, Installation

VERA = "vera@letters.example"


async def link_for(site: Installation, email: str = VERA) -> str:
    """Return the path of a fresh link for an organizer, made if need be."""
    who = await people.add(site, email)
    async with site.database.connection() as conn:
        return f"/organizer/enter/{await sign_in_links.link(conn, who.id)}"


async def later(site: Installation, minutes: int) -> None:
    """Let time pass for one-time links."""
    async with site.database.connection() as conn:
        await conn.execute("UPDATE entry SET expires_at = expires_at - make_interval(mins => $1)", minutes)


async def test_every_address_is_answered_and_written_down_alike(site: Installation) -> None:
    await people.add(site, VERA)
    answers = []
    async with people.stranger(site) as client:
        for email in (VERA, "nemo@letters.example"):
            answers.append(await client.post("/organizer/enter", data={"email": email}, headers=site.new_network()))
    assert [each.status_code for each in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"] == "/organizer/enter?sent=1&lang=en"
    rows = await rows_of(site.database, "SELECT purpose, letter, kind, pending, lang FROM outbox ORDER BY id")
    assert rows[0] == rows[1]
    assert rows[0]["purpose"] == "entry"
    assert await rows_of(site.database, "SELECT * FROM entry") == []


async def test_only_an_organizer_gets_a_mail_with_a_link_that_enters(site_with_worker: Installation) -> None:
    vera = await people.add(site_with_worker, VERA, lang="ru")
    await people.cookie(site_with_worker, vera.id)  # has been here, and chosen Russian
    async with people.stranger(site_with_worker) as client:
        for email in ("nemo@letters.example", " Vera@LETTERS.example"):
            await client.post("/organizer/enter", data={"email": email}, headers=site_with_worker.new_network())
        mail = await site_with_worker.mail_to("Vera@letters.example")
        body = mail.body("plain") or ""
        assert "10\u00a0минут" in body
        found = re.search(r"http://localhost:\d+(/organizer/enter/[\w-]{43})", body)
        assert found
        assert found[1] in (mail.body("html") or "")
        answer = await client.post(found[1])
        assert answer.headers["location"] == "/organizer/second"
    assert [mail for mail in site_with_worker.inbox if "nemo@letters.example" in mail.to] == []
    assert await rows_of(site_with_worker.database, "SELECT * FROM outbox") == []


async def test_who_has_never_been_here_gets_the_mail_in_the_language_of_the_form(
    site_with_worker: Installation,
) -> None:
    await people.add(site_with_worker, VERA, lang="en")  # as a command does, which knows no language
    async with people.stranger(site_with_worker) as client:
        await client.post("/organizer/enter?lang=ru", data={"email": VERA})
    assert "10\u00a0минут" in ((await site_with_worker.mail_to(VERA)).body("plain") or "")


async def test_what_is_no_address_is_said_to_be_none(site: Installation) -> None:
    async with people.stranger(site) as client:
        answer = await client.post("/organizer/enter?lang=ru", data={"email": 'no"body'})
    assert answer.status_code == 422
    assert 'value="no&#34;body"' in answer.text
    assert 'lang="ru"' in answer.text
    assert await rows_of(site.database, "SELECT * FROM outbox") == []


async def test_looking_at_a_link_does_not_use_it_up_and_pressing_does(site: Installation) -> None:
    path = await link_for(site)
    async with people.stranger(site) as client:
        for method in ("GET", "HEAD", "GET"):
            shown = await client.request(method, path)
            assert shown.status_code == 200
            assert "set-cookie" not in shown.headers
            assert 'name="code"' not in shown.text
        assert (await client.post(path)).status_code == 303
        assert (await client.get("/organizer/second")).status_code == 200
        for method in ("GET", "POST"):
            assert (await client.request(method, path)).status_code == 410


async def test_using_one_link_ends_the_others(site: Installation) -> None:
    first, second = await link_for(site), await link_for(site)
    async with people.stranger(site) as client:
        assert (await client.post(second)).status_code == 303
        assert (await client.post(first)).status_code == 410


async def test_a_printed_link_lasts_fifteen_minutes(site: Installation) -> None:
    path = await link_for(site)
    async with people.stranger(site) as client:
        await later(site, 14)
        assert (await client.get(path)).status_code == 200
        await later(site, 1)
        for method in ("GET", "POST"):
            assert (await client.request(method, path)).status_code == 410


@pytest.mark.parametrize("token", ["x", "a" * 43, "a" * 101, "%00", "ю", "a%2fb"])
async def test_a_forged_link_enters_nowhere(site: Installation, token: str) -> None:
    await link_for(site)
    async with people.stranger(site) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, f"/organizer/enter/{token}")
            assert answer.status_code in {404, 410}
            assert "set-cookie" not in answer.headers
    assert await rows_of(site.database, "SELECT * FROM session") == []


async def test_the_token_itself_is_not_stored(site: Installation) -> None:
    token = (await link_for(site)).rpartition("/")[2]
    (row,) = await rows_of(site.database, "SELECT digest FROM entry")
    assert row["digest"] == sessions.digest_of(token)


async def test_nobodys_cookie_becomes_somebodys(site: Installation) -> None:
    """Session fixation: a cookie that somebody else set, or knew, opens nothing after one has entered."""
    mallory = await people.add(site, "mallory@letters.example")
    planted = await people.cookie(site, mallory.id)
    path = await link_for(site)
    async with people.stranger(site) as client:
        answer = await client.post(path, headers={"Cookie": f"desk={planted}"})
        cookie = re.search(r"\bdesk=([^;]+)", answer.headers["set-cookie"])
        assert cookie
        assert cookie[1] != planted
        answer = await client.get("/organizer/", headers={"Cookie": f"desk={planted}"})
        assert answer.headers["location"] == "/organizer/enter"
    rows = await rows_of(site.database, "SELECT organizer FROM session")
    assert [row["organizer"] for row in rows] == [mallory.id + 1]


async def test_a_newcomer_is_spoken_to_in_their_browsers_language_and_keeps_it(site: Installation) -> None:
    russian, english = {"Accept-Language": "ru"}, {"Accept-Language": "en"}
    async with people.stranger(site) as client:
        path = await link_for(site)
        assert '<html lang="ru">' in (await client.get(path, headers=russian)).text
        assert '<html lang="en">' in (await client.get(f"{path}?lang=en", headers=russian)).text
        await client.post(path, headers=russian)
        assert '<html lang="ru">' in (await client.get("/organizer/second", headers=english)).text
        path = await link_for(site)
        assert '<html lang="ru">' in (await client.get(path, headers=english)).text
        await client.post(path, headers=english)
        assert '<html lang="ru">' in (await client.get("/organizer/second", headers=english)).text


async def test_who_has_entered_is_led_on(site: Installation) -> None:
    async with people.at_desk(site) as client:
        assert (await client.get("/organizer/enter")).headers["location"] == "/organizer/"


@pytest.mark.parametrize("path", ["/organizer/enter", "/organizer/enter/x", "/organizer/leave", "/organizer/"])
async def test_other_methods_are_refused(site: Installation, path: str) -> None:
    async with people.at_desk(site) as client:
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await client.request(method, path)).status_code == 405


async def test_leaving_ends_the_session_and_a_second_time_is_harmless(site: Installation) -> None:
    async with people.at_desk(site) as client:
        cookie = client.cookies["desk"]
        answer = await client.post("/organizer/leave")
        assert answer.headers["location"] == "/organizer/enter?lang=en"
        assert "Max-Age=0" in answer.headers["set-cookie"]
        answer = await client.post("/organizer/leave", headers={"Cookie": f"desk={cookie}"})
        assert answer.status_code == 401
    assert await rows_of(site.database, "SELECT * FROM session") == []


async def test_an_organizer_who_wants_no_mail_of_letters_can_still_come_in(site_with_worker: Installation) -> None:
    await people.add(site_with_worker, VERA)
    async with site_with_worker.database.connection() as conn:
        digest = await Suppression(Wrapper([KEY])).digest(conn, VERA)
        await conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)
    async with people.stranger(site_with_worker) as client:
        await client.post("/organizer/enter", data={"email": VERA})
    assert "/never/" not in ((await site_with_worker.mail_to(VERA)).body("plain") or "")
