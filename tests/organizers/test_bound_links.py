"""Mailed links belong to the browser that asked; in another one they need the code that the asking one displays."""

import asyncio
import re

import httpx2
import pytest

from petition.core import email_addresses, outbox
from petition.core.encryption import Sealer, Wrapper
from petition.organizers import short_codes, sign_in_asks
from petition.organizers.desk_key import DeskKey
from tests.organizers import door, people
from tests.rows import rows_of
from tests.running import KEY, PUBLIC_KEY, Installation

VERA = "vera@letters.example"


async def asked(site: Installation, client: httpx2.AsyncClient) -> str:
    """Ask for a link as an organizer; return the path in the newest mail."""
    await people.add(site, VERA)
    before = len(door.links_in([mail for mail in site.inbox if VERA in mail.to]))
    assert (await door.ask(site, client, VERA)).status_code == 303
    return (await door.mailed_links(site, VERA, before + 1))[-1]


async def is_in(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/organizer/second")).status_code == 200


async def test_in_the_browser_that_asked_a_button_is_enough(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera:
        path = await asked(site_with_worker, vera)
        assert 'name="code"' not in (await vera.get(path)).text
        assert (await vera.post(path)).status_code == 303
        assert await is_in(vera)
        assert "desk-asked" not in vera.cookies
        assert (await vera.post(path)).status_code == 410
    assert await rows_of(site_with_worker.database, "SELECT * FROM sign_in_ask") == []


async def test_in_another_browser_it_needs_the_code(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera, people.stranger(site_with_worker) as phone:
        path = await asked(site_with_worker, vera)
        code = await door.code_of(vera)
        assert 'name="code"' in (await phone.get(path)).text
        for data in ({}, {"code": ""}, {"code": "AAAAAA" if code != "AAA AAA" else "CCCCCC"}):
            answer = await phone.post(path, data=data)
            assert answer.status_code == 422
            assert "set-cookie" not in answer.headers
        cyrillic = code.lower().translate(str.maketrans("acehkmptx", "асенкмртх"))
        assert (await phone.post(path, data={"code": f" {cyrillic} "})).status_code == 303
        assert await is_in(phone)
        assert not await is_in(vera)


async def test_device_phishing_brings_the_attacker_nothing(site_with_worker: Installation) -> None:
    """The attacker asks at his browser for the organizer's link; she opens it in her mail."""
    site = site_with_worker
    async with people.stranger(site) as mallory, people.stranger(site) as vera:
        path = await asked(site, mallory)
        assert (await vera.post(path)).status_code == 422  # she presses the button, without a code
        assert not await is_in(vera)
        code = await door.code_of(mallory)  # which the attacker now sends her, with a pretext
        assert (await vera.post(path, data={"code": code})).status_code == 303
        assert await is_in(vera)
        assert not await is_in(mallory)  # it is her own browser that is signed in
        assert (await mallory.post(path)).status_code == 410
        assert len(await rows_of(site.database, "SELECT * FROM session")) == 1


async def test_a_link_that_leaked_is_worth_nothing_without_the_browser(site_with_worker: Installation) -> None:
    """Another browser that asked for the same mailbox has a link of its own, and its code is not this link's."""
    site = site_with_worker
    async with people.stranger(site) as vera, people.stranger(site) as mallory:
        path = await asked(site, vera)
        other = await asked(site, mallory)
        assert path != other
        assert (await mallory.post(path)).status_code == 422
        assert (await mallory.post(path, data={"code": await door.code_of(mallory)})).status_code == 422
        assert not await is_in(mallory)
        assert (await vera.post(path)).status_code == 303


async def test_five_wrong_codes_and_the_link_is_dead(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera, people.stranger(site_with_worker) as mallory:
        path = await asked(site_with_worker, vera)
        answers = [await mallory.post(path, data={"code": f"AAAA{n}{n}"}) for n in range(6)]
        assert [answer.status_code for answer in answers] == [422] * 4 + [410] * 2
        assert (await mallory.post(path, data={"code": await door.code_of(vera)})).status_code == 410
        path = await asked(site_with_worker, vera)
        assert (await vera.post(path)).status_code == 303


async def test_tries_are_counted_also_when_they_come_at_once(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera, people.stranger(site_with_worker) as mallory:
        path = await asked(site_with_worker, vera)
        answers = await asyncio.gather(*(mallory.post(path, data={"code": f"AAAA{n:02}"}) for n in range(12)))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(422) <= 4
        assert set(statuses) == {422, 410}


async def test_of_two_that_use_a_link_at_once_one_enters(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera, people.stranger(site_with_worker) as phone:
        path = await asked(site_with_worker, vera)
        code = await door.code_of(vera)
        answers = await asyncio.gather(vera.post(path), phone.post(path, data={"code": code}))
        assert sorted(answer.status_code for answer in answers) == [303, 410]


async def test_a_link_lives_ten_minutes(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera:
        path = await asked(site_with_worker, vera)
        (row,) = await rows_of(
            site_with_worker.database, "SELECT expires_at <= now() + interval '10 minutes' AS ok FROM entry"
        )
        assert row["ok"]
        await door.let_pass(site_with_worker, 9)
        assert (await vera.get(path)).status_code == 200
        await door.let_pass(site_with_worker, 1)
        for method in ("GET", "POST"):
            assert (await vera.request(method, path)).status_code == 410


async def test_asking_again_mails_the_same_link_while_it_is_young(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with people.stranger(site) as vera:
        first, code = await asked(site, vera), await door.code_of(vera)
        assert await asked(site, vera) == first
        assert await door.code_of(vera) == code
        assert len(await rows_of(site.database, "SELECT * FROM entry")) == 1
        await door.let_pass(site, 6)
        later = await asked(site, vera)
        assert later != first
        assert (await vera.post(later)).status_code == 303


async def test_neither_link_nor_code_nor_cookie_stands_in_the_database(site_with_worker: Installation) -> None:
    async with people.stranger(site_with_worker) as vera:
        path = await asked(site_with_worker, vera)
        secrets = [path.rpartition("/")[2], vera.cookies["desk-asked"], (await door.code_of(vera)).replace(" ", "")]
        stored = [
            str(dict(row)) + "".join(value.hex() for value in row.values() if isinstance(value, bytes))
            for table in ("entry", "sign_in_ask", "outbox")
            for row in await rows_of(site_with_worker.database, f"SELECT * FROM {table}")
        ]
        assert stored
        assert not [secret for secret in secrets for text in stored if secret in text]


async def test_every_browser_that_asks_gets_a_cookie_and_sees_a_code(site: Installation) -> None:
    await people.add(site, VERA)
    shapes, codes = [], []
    for email in (VERA, "nemo@letters.example"):
        async with people.stranger(site) as client:
            answer = await door.ask(site, client, email)
            shapes.append(re.sub(r"=[\w-]{43};", "=…;", answer.headers["set-cookie"]))
            codes.append(await door.code_of(client))
    assert shapes == ["desk-asked=…; HttpOnly; Max-Age=1800; Path=/organizer/enter; SameSite=lax"] * 2
    assert codes[0] != codes[1]
    async with people.stranger(site) as client:
        assert "short-code" not in (await client.get("/organizer/enter?sent=1")).text


@pytest.mark.parametrize("cookie", ["a" * 43, "x", "a" * 5000, "%00", '"><b>'])
async def test_a_forged_cookie_is_no_browser_that_asked(site_with_worker: Installation, cookie: str) -> None:
    async with people.stranger(site_with_worker) as vera, people.stranger(site_with_worker) as mallory:
        path = await asked(site_with_worker, vera)
        forged = {"Cookie": f"desk-asked={cookie}"}
        assert (await mallory.post(path, headers=forged)).status_code == 422
        assert "<b>" not in (await mallory.get("/organizer/enter?sent=1", headers=forged)).text


async def test_a_job_of_an_older_version_still_becomes_a_link(site_with_worker: Installation) -> None:
    """The web of the version before enqueued no ask; its links were not bound, and live out their time."""
    site = site_with_worker
    await people.add(site, VERA)
    mailbox = email_addresses.parse(VERA)
    async with site.database.connection() as conn:
        digest = await DeskKey(Wrapper([KEY])).of_mailbox(conn, mailbox)
        await outbox.enqueue(conn, "entry", digest, Sealer(PUBLIC_KEY).seal(mailbox.address), "en")
    async with people.stranger(site) as vera:
        (path,) = await door.mailed_links(site, VERA)
        assert (await vera.post(path)).status_code == 303


async def test_a_mail_comes_too_late_for_a_browser_that_has_signed_in(site: Installation) -> None:
    who = await people.add(site, VERA)
    async with people.stranger(site) as vera:
        await door.ask(site, vera, VERA)
        await vera.post(await door.printed_link(site, who.id))
    assert await rows_of(site.database, "SELECT * FROM sign_in_ask") == []


def test_codes_can_be_read_and_typed_on_either_keyboard() -> None:
    assert not set(short_codes.ALPHABET) & set("0OQIL1B8S5Z36GУY")
    assert len(short_codes.ALPHABET) ** short_codes.LENGTH > 2**22
    assert short_codes.plain("асе-нкм") == short_codes.plain(" ACE HKM ") == "ACEHKM"
    assert short_codes.plain("<b>" * 50) == "B" * 13
    seen = {short_codes.from_digest(n.to_bytes(16)) for n in range(1000)}
    assert len(seen) == 1000
    assert all(len(code) == short_codes.LENGTH for code in seen)


def test_slots_are_five_minutes_apart() -> None:
    slot = sign_in_asks.next_slot()
    assert slot.timestamp() % 300 == 0
