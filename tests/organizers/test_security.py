"""One's own page: the name, the factors, the recovery codes."""

import asyncio
import re

import pytest

from petition.core.errors import Refused
from petition.organizers import second_factor
from tests.organizers import people
from tests.rows import rows_of
from tests.running import Installation

ADD_PASSKEY = "INSERT INTO passkey (id, organizer, public_key, uses, browser) VALUES ($1, $2, '', 0, 'Firefox')"


async def test_the_name_is_changed(site: Installation) -> None:
    async with people.at_desk(site, name="") as client:
        assert "Tell your colleagues your name" in (await client.get("/organizer/")).text
        for _ in range(2):
            answer = await client.post("/organizer/security/name", data={"name": "  Ольга  <b>  "})
            assert answer.headers["location"] == "/organizer/security?done=name"
        assert "Ольга &lt;b&gt;" in (await client.get("/organizer/")).text
    rows = await rows_of(site.database, "SELECT act, ids, before, after FROM log WHERE act LIKE 'organizer.name'")
    assert [(row["before"], row["after"]) for row in rows] == [("", "")] * 2


async def test_marks_of_direction_are_taken_off_a_name(site: Installation) -> None:
    async with people.at_desk(site) as client:
        assert (await client.post("/organizer/security/name", data={"name": "a\u202eb"})).status_code == 303
    assert await rows_of(site.database, "SELECT name FROM organizer") == [{"name": "ab"}]


@pytest.mark.parametrize("name", ["", "   ", "a" * 81, "\u202e", "a\x07b"])
async def test_a_name_that_cannot_be_shown_is_refused(site: Installation, name: str) -> None:
    async with people.at_desk(site) as client:
        answer = await client.post("/organizer/security/name", data={"name": name})
    assert answer.status_code == 422
    assert "Enter a name of up to 80 characters" in answer.text
    assert await rows_of(site.database, "SELECT name FROM organizer") == [{"name": "Vera Novak"}]


async def test_the_last_factor_stays(site: Installation) -> None:
    async with people.at_desk(site) as client:
        answer = await client.post("/organizer/security/remove", data={"totp": "yes"})
        assert answer.status_code == 422
        assert "only second factor" in answer.text
        (row,) = await rows_of(site.database, "SELECT id FROM organizer")
        async with site.database.connection() as conn:
            await conn.execute(ADD_PASSKEY, b"key", row["id"])
        for _ in range(2):
            answer = await client.post("/organizer/security/remove", data={"totp": "yes"})
            assert answer.headers["location"] == "/organizer/security?done=removed"
        answer = await client.post("/organizer/security/remove", data={"passkey": b"key".hex()})
        assert answer.status_code == 422
    assert len(await rows_of(site.database, "SELECT * FROM passkey")) == 1
    assert len(await rows_of(site.database, "SELECT * FROM log WHERE act = 'factor.remove'")) == 1


async def test_two_browsers_cannot_remove_one_factor_each(site: Installation) -> None:
    who = await people.add(site, "vera@letters.example")
    await people.give_totp(site, who.id)
    async with site.database.connection() as conn:
        await conn.execute(ADD_PASSKEY, b"key", who.id)

    async def remove(passkey: bytes | None) -> bool:
        try:
            async with site.database.transaction() as conn:
                await second_factor.remove(conn, who.id, passkey)
        except Refused:
            return False
        return True

    assert sorted(await asyncio.gather(remove(None), remove(b"key"))) == [False, True]
    left = "SELECT (SELECT count(*) FROM totp) + (SELECT count(*) FROM passkey) AS left"
    assert await rows_of(site.database, left) == [{"left": 1}]


@pytest.mark.parametrize("passkey", ["", "zz", "00" * 40])
async def test_nobody_removes_anothers_passkey(site: Installation, passkey: str) -> None:
    who = await people.add(site, "other@letters.example")
    async with site.database.connection() as conn:
        await conn.execute(ADD_PASSKEY, b"theirs", who.id)
    async with people.at_desk(site) as client:
        for given in (b"theirs".hex(), passkey):
            answer = await client.post("/organizer/security/remove", data={"passkey": given})
            assert answer.status_code == 303
    assert len(await rows_of(site.database, "SELECT * FROM passkey")) == 1


async def test_new_recovery_codes_take_the_old_ones_place(site: Installation) -> None:
    async with people.at_desk(site) as client:
        pages = [(await client.post("/organizer/security/codes")).text for _ in range(2)]
        assert "10 left" in (await client.get("/organizer/security")).text
    first, second = (set(re.findall(r"[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}", page)) for page in pages)
    assert len(first) == len(second) == 10
    assert not first & second


async def test_the_language_is_ones_own_and_the_way_back_is_ours(site: Installation) -> None:
    async with people.at_desk(site, lang="en") as client:
        answer = await client.post("/organizer/language", data={"lang": "ru", "back": "/organizer/security"})
        assert answer.headers["location"] == "/organizer/security"
        page = await client.get("/organizer/", headers={"Accept-Language": "en"})
        assert '<html lang="ru">' in page.text
        for back in ("https://elsewhere.example/organizer/", "//elsewhere.example", "/organizer/\\elsewhere", ""):
            answer = await client.post("/organizer/language", data={"lang": "tlh", "back": back})
            assert answer.headers["location"] == "/organizer/"
        assert '<html lang="ru">' in (await client.get("/organizer/")).text


async def test_strangers_are_spoken_to_in_their_browsers_language(site: Installation) -> None:
    async with people.stranger(site) as client:
        page = await client.get("/organizer/enter", headers={"Accept-Language": "ru,en;q=0.5"})
        assert '<html lang="ru">' in page.text
        page = await client.get("/organizer/enter?lang=en", headers={"Accept-Language": "ru,en;q=0.5"})
        assert '<html lang="en">' in page.text


async def test_pages_are_kept_by_nobody_and_have_a_policy_of_their_own(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        for path in ("", "security", "enter/x", "keep-the-channels-open/", "nothing/at/all"):
            answer = await client.get(f"/organizer/{path}")
            assert answer.headers["cache-control"] == "no-store"
            policy = answer.headers["content-security-policy"]
            assert "style-src 'self';script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "<style" not in answer.text
