"""The desk's door under attack: strangers slow nobody but themselves (recipe V6, and its kind)."""

import asyncio
import json
import re
from html import unescape

import httpx2
import pytest

from petition.organizers import factor_resets, sign_in_asks
from petition.organizers.remembered_devices import MAX_NUMBER
from tests.captcha.installation import solve
from tests.organizers import door, people
from tests.rows import rows_of
from tests.running import Installation

VERA, ANNA = "vera@letters.example", "anna@letters.example"
LATER = "SELECT count(*) AS n FROM outbox WHERE due_at > now() AND lease IS NULL"
DUE = "UPDATE outbox SET due_at = now() WHERE due_at > now()"


async def sign_in(site: Installation, client: httpx2.AsyncClient, email: str = VERA) -> None:
    """Sign in by a printed link and the codes of an app, as often as needed."""
    who = await people.add(site, email)
    await people.give_totp(site, who.id)
    async with site.database.connection() as conn:
        await conn.execute("UPDATE totp SET last_step = 0 WHERE organizer = $1", who.id)
    await client.post(await door.printed_link(site, who.id))
    answer = await client.post("/organizer/second", data={"code": people.code()})
    assert answer.status_code == 303


async def over_limit(site: Installation, client: httpx2.AsyncClient, email: str = VERA) -> dict[str, str]:
    """Use up a network's limit; return its header."""
    network = site.new_network()
    for _ in range(9):
        client.cookies.clear()
        answer = await door.ask(site, client, email, network)
    assert answer.status_code == 422
    return network


async def test_five_requests_of_strangers_keep_no_organizer_out(site_with_worker: Installation) -> None:
    """V6: five requests from five addresses, then the organizer asks."""
    site = site_with_worker
    await people.add(site, VERA)
    for _ in range(5):
        async with people.stranger(site) as mallory:
            assert (await door.ask(site, mallory, VERA)).status_code == 303
    async with people.stranger(site) as vera:
        await door.ask(site, vera, VERA)
        for path in reversed(await door.mailed_links(site, VERA, 6)):
            if (await vera.post(path)).status_code == 303:
                break
        assert (await vera.get("/organizer/second")).status_code == 200


async def test_a_flood_from_many_networks_makes_the_link_late_and_no_more(site_with_worker: Installation) -> None:
    """The kind of V6: as many requests as a botnet likes. One mail goes out in five minutes, with a link for all."""
    site = site_with_worker
    who = await people.add(site, VERA)
    async with people.stranger(site) as mallory:
        for _ in range(30):
            mallory.cookies.clear()
            assert (await door.ask(site, mallory, VERA)).status_code == 303
    async with people.stranger(site) as vera:
        answer = await door.ask(site, vera, VERA)
        assert (answer.status_code, answer.headers["location"]) == (303, "/organizer/enter?sent=1&lang=en")
        await door.mailed_links(site, VERA, 10)
        slots = await rows_of(site.database, "SELECT DISTINCT due_at FROM outbox WHERE lease IS NULL")
        assert (await rows_of(site.database, LATER))[0]["n"] == len(slots)  # one mail for each, whoever asked
        assert len(slots) in {1, 2}  # two where the clock has passed a slot meanwhile
        async with site.database.connection() as conn:
            await conn.execute("UPDATE sign_in_ask SET slot = $1 WHERE slot IS NOT NULL", slots[0]["due_at"])
            await conn.execute("DELETE FROM outbox WHERE due_at <> $1", slots[0]["due_at"])
            await conn.execute(DUE)
        links = await door.mailed_links(site, VERA, 11)
        assert len(set(links)) == 11
        assert (await vera.post(links[-1])).status_code == 303
        assert (await vera.get("/organizer/second")).status_code == 200
    rows = await rows_of(site.database, "SELECT organizer FROM session")
    assert [row["organizer"] for row in rows] == [who.id]


async def test_no_more_than_22_mails_an_hour_go_to_one_mailbox(site: Installation) -> None:
    """Ten at once, then one in each slot, of which an hour has twelve."""
    await people.add(site, VERA)
    async with people.stranger(site) as mallory:
        for _ in range(40):
            mallory.cookies.clear()
            await door.ask(site, mallory, VERA)
    jobs = await rows_of(site.database, "SELECT DISTINCT details, due_at FROM outbox")
    at_once = [job for job in jobs if "ask" in job["details"]]
    assert len(at_once) == site.settings.limits.entry_mailbox == 10
    assert len(jobs) - len(at_once) <= 2
    assert sign_in_asks.SLOT.total_seconds() * 12 == 3600


async def test_over_its_limit_a_network_is_asked_for_a_proof_of_work_and_never_refused(site: Installation) -> None:
    async with people.stranger(site) as client:
        network = await over_limit(site, client)
        before = await rows_of(site.database, "SELECT * FROM outbox")
        page = (await door.ask(site, client, VERA, network)).text
        assert await rows_of(site.database, "SELECT * FROM outbox") == before
        match = re.search(r'data-work="([^"]+)"', page)
        assert match
        altcha = await asyncio.to_thread(solve, json.loads(unescape(match[1])))
        data = {"email": VERA, "altcha": altcha}
        answer = await client.post("/organizer/enter", data=data, headers=network)
        assert answer.headers["location"] == "/organizer/enter?sent=1&lang=en"
        replayed = await client.post("/organizer/enter", data=data, headers=network)
        assert replayed.status_code == 422
    assert len(await rows_of(site.database, "SELECT * FROM outbox")) == len(before) + 1


async def test_the_challenge_of_a_letter_opens_no_door(site: Installation) -> None:
    async with people.stranger(site) as client:
        network = await over_limit(site, client)
        data = {"email": VERA, "altcha": await site.challenge()}
        assert (await client.post("/organizer/enter", data=data, headers=network)).status_code == 422


async def test_a_challenge_of_the_door_signs_no_letter(site: Installation) -> None:
    async with people.stranger(site) as client:
        await over_limit(site, client)
        page = (await door.ask(site, client, VERA, {"X-Forwarded-For": "198.18.0.1"})).text
        match = re.search(r'data-work="([^"]+)"', page)
        assert match
        altcha = await asyncio.to_thread(solve, json.loads(unescape(match[1])))
        assert (await site.sign(altcha=altcha)).status_code == 422


async def test_without_scripts_a_drawn_code_is_asked_for(site: Installation) -> None:
    async with people.stranger(site) as client:
        network = await over_limit(site, client)
        page = (await door.ask(site, client, VERA, network)).text
        assert '<img class="drawn" src="data:image/png' in page
        match = re.search(r'name="drawn" value="([^"]+)"', page)
        assert match
        data = {"email": VERA, "drawn": match[1], "code": "nonsense"}
        for _ in range(4):
            answer = await client.post("/organizer/enter", data=data, headers=network)
            assert answer.status_code == 422
            assert f'value="{VERA}"' in answer.text


async def test_other_networks_pay_nothing_for_a_flood(site: Installation) -> None:
    async with people.stranger(site) as client:
        await over_limit(site, client)
        assert (await door.ask(site, client, VERA)).status_code == 303
        assert (await door.ask(site, client, ANNA)).status_code == 303


async def test_a_remembered_device_passes_without_a_challenge_and_its_mail_goes_at_once(site: Installation) -> None:
    async with people.stranger(site) as vera, people.stranger(site) as mallory:
        await sign_in(site, vera)
        network = await over_limit(site, mallory)
        for _ in range(20):
            mallory.cookies.clear()
            await door.ask(site, mallory, VERA)
        await vera.post("/organizer/leave")
        assert "desk-device" in vera.cookies
        assert "desk" not in vera.cookies
        before = await rows_of(site.database, "SELECT id FROM outbox WHERE due_at <= now()")
        answer = await door.ask(site, vera, VERA, network)
        assert answer.headers["location"] == "/organizer/enter?sent=1&lang=en"
        assert len(await rows_of(site.database, "SELECT id FROM outbox WHERE due_at <= now()")) == len(before) + 1


async def test_a_device_counts_for_its_own_organizer_only(site: Installation) -> None:
    await people.add(site, ANNA)
    async with people.stranger(site) as vera, people.stranger(site) as mallory:
        await sign_in(site, vera)
        device = vera.cookies["desk-device"]
        for email in (ANNA, "nemo@letters.example"):
            network = await over_limit(site, mallory, email)
            answer = await mallory.post(
                "/organizer/enter", data={"email": email}, headers=network | {"Cookie": f"desk-device={device}"}
            )
            assert answer.status_code == 422
        for forged in ("a" * 43, device[:-1], "", "%00"):
            network = await over_limit(site, mallory)
            headers = network | {"Cookie": f"desk-device={forged}"}
            answer = await mallory.post("/organizer/enter", data={"email": VERA}, headers=headers)
            assert answer.status_code == 422


async def test_a_device_passes_a_few_times_an_hour(site: Installation) -> None:
    async with people.stranger(site) as vera:
        await sign_in(site, vera)
        device = {"Cookie": f"desk-device={vera.cookies['desk-device']}"}
    async with people.stranger(site) as client:
        network = await over_limit(site, client)
        answers = [
            await client.post("/organizer/enter", data={"email": VERA}, headers=network | device) for _ in range(6)
        ]
        assert [answer.status_code for answer in answers] == [303] * 5 + [422]


@pytest.mark.parametrize("way", ["end", "others", "reset", "remove"])
async def test_a_device_is_forgotten_with_its_session(site: Installation, way: str) -> None:
    async with people.stranger(site) as thief, people.stranger(site) as vera:
        await sign_in(site, thief)
        await sign_in(site, vera)
        (session,) = await rows_of(site.database, "SELECT id, organizer FROM session ORDER BY created_at LIMIT 1")
        if way in {"end", "others"}:
            form = {"session": "others" if way == "others" else str(session["id"])}
            assert (await vera.post("/organizer/security/end", data=form)).status_code == 303
        else:
            async with site.database.transaction() as conn:
                if way == "reset":
                    await factor_resets.remove_all(conn, session["organizer"])
                else:
                    await conn.execute("DELETE FROM organizer WHERE id = $1", session["organizer"])
        left = await rows_of(site.database, "SELECT session FROM remembered_device")
        assert session["id"] not in {row["session"] for row in left}
        assert len(left) == (1 if way in {"end", "others"} else 0)


async def test_a_device_keeps_its_cookie_and_an_organizer_has_ten(site: Installation) -> None:
    async with people.stranger(site) as vera:
        await sign_in(site, vera)
        first = vera.cookies["desk-device"]
        await sign_in(site, vera)
        assert vera.cookies["desk-device"] == first
        assert len(await rows_of(site.database, "SELECT * FROM remembered_device")) == 1
    for _ in range(MAX_NUMBER + 1):
        async with people.stranger(site) as client:
            await sign_in(site, client)
    assert len(await rows_of(site.database, "SELECT * FROM remembered_device")) == MAX_NUMBER


async def test_the_devices_cookie_goes_to_the_door_only_and_scripts_cannot_read_it(site: Installation) -> None:
    async with people.stranger(site) as vera:
        who = await people.add(site, VERA)
        await people.give_totp(site, who.id)
        await vera.post(await door.printed_link(site, who.id))
        answer = await vera.post("/organizer/second", data={"code": people.code()})
        (cookie,) = [value for value in answer.headers.get_list("set-cookie") if value.startswith("desk-device=")]
        assert {"HttpOnly", "Path=/organizer/enter", "SameSite=strict", "Max-Age=15552000"} <= set(cookie.split("; "))
        (row,) = await rows_of(site.database, "SELECT digest FROM remembered_device")
        assert vera.cookies["desk-device"].encode() not in row["digest"]


async def test_attempts_in_one_session_lock_no_other_session_out(site: Installation) -> None:
    """Someone who reads the mail tries codes; the organizer's own session goes on."""
    who = await people.add(site, VERA)
    await people.give_totp(site, who.id)
    async with people.stranger(site) as mallory, people.stranger(site) as vera:
        await mallory.post(await door.printed_link(site, who.id))
        for status in [422] * 10 + [429] * 30:
            answer = await mallory.post("/organizer/second", data={"code": "000000"})
            assert answer.status_code == status
        await vera.post(await door.printed_link(site, who.id))
        assert (await vera.post("/organizer/second", data={"code": people.code()})).status_code == 303


async def test_attempts_in_many_sessions_are_limited_and_a_remembered_device_is_not(site: Installation) -> None:
    async with people.stranger(site) as vera:
        await sign_in(site, vera)
        async with site.database.connection() as conn:
            await conn.execute("DELETE FROM limit_use")  # her own attempt, which counted
        who = await people.add(site, VERA)
        for number in range(4):
            async with people.stranger(site) as mallory:
                await mallory.post(await door.printed_link(site, who.id))
                answers = [await mallory.post("/organizer/second", data={"code": "000000"}) for _ in range(10)]
                assert {answer.status_code for answer in answers} == ({422} if number < 3 else {429})
        await sign_in(site, vera)
