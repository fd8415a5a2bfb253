"""The second factor: setting it up, showing it, and what nobody can do without it."""

import re
import time

import httpx2
import pyotp
import pytest

from petition.core.ids import OrganizerId
from petition.organizers import second_factor, sign_in_links
from tests.organizers import people
from tests.organizers.people import SECRET
from tests.rows import rows_of
from tests.running import Installation

VERA = "vera@letters.example"


async def enter(site: Installation, client: httpx2.AsyncClient, email: str = VERA) -> OrganizerId:
    """Enter by a link; return the organizer's id."""
    who = await people.add(site, email)
    async with site.database.connection() as conn:
        token = await sign_in_links.link(conn, who.id)
    assert (await client.post(f"/organizer/enter/{token}")).status_code == 303
    return who.id


async def begun(client: httpx2.AsyncClient) -> pyotp.TOTP:
    """Begin to set codes up; return the app."""
    assert (await client.post("/organizer/second/totp/begin")).headers["location"] == "/organizer/second/totp"
    page = await client.get("/organizer/second/totp")
    found = re.search(r'<p class="mono">([A-Z2-7 ]+)</p>', page.text)
    assert found
    assert "<svg" in page.text
    return pyotp.TOTP(found[1].replace(" ", ""))


def codes_in(page: str) -> list[str]:
    return re.findall(r"<li>([a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4})</li>", page)


async def test_setting_codes_up_shows_recovery_codes_once_and_changes_the_cookie(site: Installation) -> None:
    async with people.stranger(site) as client:
        organizer = await enter(site, client)
        before = client.cookies["desk"]
        app = await begun(client)
        answer = await client.post("/organizer/second/totp", data={"code": app.now()})
        assert len(set(codes_in(answer.text))) == 10
        assert client.cookies["desk"] != before
        assert (await client.get("/organizer/")).status_code == 200
        client.cookies.clear()
        old = await client.get("/organizer/", headers={"Cookie": f"desk={before}"})
        assert old.headers["location"] == "/organizer/enter"
    rows = await rows_of(site.database, "SELECT digest FROM recovery_code WHERE organizer = $1", organizer)
    assert len(rows) == 10
    assert not any(code.encode() in row["digest"] for row in rows for code in codes_in(answer.text))
    (row,) = await rows_of(site.database, "SELECT wrapped_secret FROM totp")
    assert app.secret.encode() not in row["wrapped_secret"]


@pytest.mark.parametrize("code", ["", "000000", "12345", "1234567", "abcdef", "١٢٣٤٥٦"])
async def test_a_wrong_first_code_sets_nothing_up(site: Installation, code: str) -> None:
    async with people.stranger(site) as client:
        await enter(site, client)
        await begun(client)
        assert (await client.post("/organizer/second/totp", data={"code": code})).status_code == 422
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/second"
    assert await rows_of(site.database, "SELECT * FROM totp") == []


async def test_codes_cannot_be_finished_that_were_never_begun(site: Installation) -> None:
    async with people.stranger(site) as client:
        await enter(site, client)
        answer = await client.post("/organizer/second/totp", data={"code": "123456"})
        assert answer.headers["location"] == "/organizer/second"
        assert (await client.get("/organizer/second/totp")).headers["location"] == "/organizer/second"


async def test_the_first_factor_ends_every_other_session(site: Installation) -> None:
    async with people.stranger(site) as client, people.stranger(site) as thief:
        await enter(site, thief)
        await enter(site, client)
        app = await begun(client)
        await client.post("/organizer/second/totp", data={"code": app.now()})
        assert (await thief.get("/organizer/second")).headers["location"] == "/organizer/enter"


@pytest.fixture
async def guarded(site: Installation) -> Installation:
    """Give an installation whose organizer has codes from ``SECRET``."""
    await people.give_totp(site, (await people.add(site, VERA)).id)
    return site


async def test_a_code_passes_once_and_no_older_one_after_it(guarded: Installation) -> None:
    app, now = pyotp.TOTP(SECRET), int(time.time())
    async with people.stranger(guarded) as client, people.stranger(guarded) as thief:
        await enter(guarded, client)
        await enter(guarded, thief)
        before = client.cookies["desk"]
        answer = await client.post("/organizer/second", data={"code": f" {app.at(now)[:3]} {app.at(now)[3:]} "})
        assert answer.headers["location"] == "/organizer/"
        assert client.cookies["desk"] != before
        for code in (app.at(now), app.at(now - 30)):
            assert (await thief.post("/organizer/second", data={"code": code})).status_code == 422
        assert (await thief.get("/organizer/")).headers["location"] == "/organizer/second"


async def test_codes_of_other_minutes_do_not_pass(guarded: Installation) -> None:
    app, now = pyotp.TOTP(SECRET), int(time.time())
    async with people.stranger(guarded) as client:
        await enter(guarded, client)
        for code in (app.at(now - 90), app.at(now - 60), app.at(now + 60), app.at(now + 90)):
            assert (await client.post("/organizer/second", data={"code": code})).status_code == 422


@pytest.mark.parametrize(("seconds", "passes"), [(-60, False), (-30, True), (0, True), (30, False)])
def test_a_code_passes_in_its_half_minute_and_the_next(
    monkeypatch: pytest.MonkeyPatch, seconds: int, passes: bool
) -> None:
    now = 1_900_000_000
    monkeypatch.setattr(time, "time", lambda: now)
    step = second_factor.step_of(SECRET, pyotp.TOTP(SECRET).at(now + seconds))
    assert step == ((now + seconds) // 30 if passes else None)


async def test_tries_are_limited_and_the_right_code_is_refused_then_too(guarded: Installation) -> None:
    async with people.stranger(guarded) as client:
        await enter(guarded, client)
        for _ in range(10):
            assert (await client.post("/organizer/second", data={"code": "000000"})).status_code == 422
        answer = await client.post("/organizer/second", data={"code": pyotp.TOTP(SECRET).now()})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "3600"


async def test_a_recovery_code_passes_once_and_is_nobody_elses(site: Installation) -> None:
    async with people.stranger(site) as client, people.stranger(site) as other:
        await enter(site, client)
        app = await begun(client)
        codes = codes_in((await client.post("/organizer/second/totp", data={"code": app.now()})).text)
        await people.give_totp(site, await enter(site, other, "other@letters.example"))
        assert (await other.post("/organizer/second", data={"code": codes[0]})).status_code == 422
        for status in (303, 422):
            await enter(site, client)
            assert (await client.post("/organizer/second", data={"code": codes[0].upper()})).status_code == status
    assert len(await rows_of(site.database, "SELECT * FROM recovery_code")) == 9


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/organizer/second/totp/begin", {}),
        ("/organizer/second/totp", {"code": "123456"}),
    ],
)
async def test_who_has_not_shown_it_cannot_set_another_one_up(
    guarded: Installation, path: str, data: dict[str, str]
) -> None:
    async with people.stranger(guarded) as client:
        await enter(guarded, client)
        answer = await client.post(path, data=data)
        assert (answer.status_code, 'name="factor-code"' in answer.text) == (401, True)
        assert (await client.post("/organizer/second/challenge", data={"for": "new"})).status_code == 401
        assert "user" not in (await client.post("/organizer/second/challenge")).json()
        answer = await client.post("/organizer/second/passkey/new", data={"credential": "{}"})
        assert answer.status_code == 401
    assert len(await rows_of(guarded.database, "SELECT * FROM totp")) == 1


async def test_a_factor_shown_long_ago_must_be_shown_again_before_it_is_changed(site: Installation) -> None:
    async with people.at_desk(site) as client:
        async with site.database.connection() as conn:
            await conn.execute("UPDATE session SET proved_at = now() - interval '16 minutes'")
        for path in ("second/totp/begin", "security/remove", "security/codes"):
            answer = await client.post(f"/organizer/{path}", data={"totp": "yes"})
            assert (answer.status_code, 'name="factor-code"' in answer.text) == (401, True)
        assert "Set up codes" not in (await client.get("/organizer/security")).text
        answer = await client.post("/organizer/second", data={"code": pyotp.TOTP(SECRET).now()})
        assert answer.status_code == 303
        assert "Set up codes" in (await client.get("/organizer/security")).text


@pytest.mark.parametrize(
    "credential",
    ["", "{}", "[]", "null", "x", '{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{}}', '{"id":1}', "ю"],
)
async def test_a_forged_passkey_is_refused(site: Installation, credential: str) -> None:
    async with people.stranger(site) as client:
        await enter(site, client)
        await client.post("/organizer/second/challenge", data={"for": "new"})
        answer = await client.post("/organizer/second/passkey/new", data={"credential": credential})
        assert answer.status_code == 422
        answer = await client.post("/organizer/second/passkey", data={"credential": credential})
        assert answer.status_code == 422
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/second"
    assert await rows_of(site.database, "SELECT * FROM passkey") == []


async def test_who_has_shown_it_is_led_on(site: Installation) -> None:
    async with people.at_desk(site) as client:
        assert (await client.get("/organizer/second")).headers["location"] == "/organizer/security"
