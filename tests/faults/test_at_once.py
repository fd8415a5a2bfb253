"""Many at the same moment, in two web processes: each counts exactly once."""

import asyncio
import itertools
import re
from collections import Counter

import httpx2

from petition.core.ids import SignatureId
from tests import rows
from tests.faults.conftest import Pair
from tests.running import SLUG, link_in, working

ZOE = "zoe@letters.example"
SIGNED = f"/en/{SLUG}/signed"


async def test_500_confirmations_sent_twice_count_once_each(pair: Pair) -> None:
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
        shared_site = [f"voice{n}@letters.example" for n in range(500)]
        ids = await rows.add_pending(conn, letter, shared_site[:200])
        ids += await rows.add_pending(conn, letter, shared_site[200:400], visibility="organizers", name="Пётр Иванов")
        ids += await rows.add_pending(conn, letter, shared_site[400:], visibility="counted")
    # Each goes to both processes at the same time, in another order.
    sent = [
        web.client.post(f"/en/confirm/{rows.token(letter, each)}")
        for each, other in zip(ids, reversed(ids), strict=True)
        for web, each in zip(pair.webs, (each, other), strict=True)
    ]
    answers = await asyncio.gather(*sent)
    assert {(each.status_code, each.headers["location"].partition("?")[0]) for each in answers} == {(303, SIGNED)}
    async with pair.site.database.connection() as conn:
        counted = await rows.check_count(conn, letter)
        left = await conn.fetchval("SELECT count(*) FROM pending")
    assert counted == {"people": 500, "organizations": 0, "hidden": 300, "imported": 0}
    assert left == 0


async def test_the_thank_you_page_counts_the_signature_in_either_process(pair: Pair) -> None:
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
        ids = await rows.add_pending(conn, letter, [f"reader{n}@letters.example" for n in range(40)])
    confirming, reading = pair.webs

    async def confirm(signature_id: SignatureId) -> int:
        answer = await confirming.client.post(f"/en/confirm/{rows.token(letter, signature_id)}")
        page = (await reading.client.get(answer.headers["location"])).text
        (number,) = map(int, re.findall(r"You are the (\d+)(?:st|nd|rd|th) to sign", page))
        (people,) = map(int, re.findall(r"So far: (\d+) (?:person|people)", page))
        assert people >= number
        # Without the ticket, in the process that has confirmed nothing.
        (later,) = map(int, re.findall(r"So far: (\d+) ", (await reading.client.get(SIGNED)).text))
        assert later >= people
        return number

    first = await confirm(ids[0])
    others = await asyncio.gather(*map(confirm, ids[1:]))
    assert sorted([first, *others]) == list(range(1, 41))


async def test_200_pending_rows_of_one_mailbox_make_one_signature(pair: Pair) -> None:
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
        ids = await rows.add_pending(conn, letter, [ZOE] * 200)
    paths = [f"/en/confirm/{rows.token(letter, each)}" for each in ids]
    answers = await asyncio.gather(
        *(web.client.post(path) for path, web in zip(paths, itertools.cycle(pair.webs), strict=False))
    )
    assert {(each.status_code, each.headers["location"].partition("?")[0]) for each in answers} == {(303, SIGNED)}
    async with pair.site.database.connection() as conn:
        counted = await rows.check_count(conn, letter)
    assert counted == {"people": 1, "organizations": 0, "hidden": 0, "imported": 0}
    # Each link stays calm, however often it is used, and leads to the one signature.
    again = [(await pair.webs[0].client.post(path)).headers["location"] for path in paths[:5]]
    assert all(location.startswith(("/en/signature/", f"{SIGNED}?")) for location in again), again
    async with pair.site.database.connection() as conn:
        assert await rows.check_count(conn, letter) == counted


async def test_200_sign_ups_of_one_address_send_twenty_mails_and_make_one_signature(pair: Pair) -> None:
    site = pair.site
    forms = [await site.form(email=ZOE, name=f"Zoe {'abcdefghij'[n % 10]}") for n in range(200)]
    answers = await asyncio.gather(
        *(
            web.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())
            for form, web in zip(forms, itertools.cycle(pair.webs), strict=False)
        )
    )
    assert {(each.status_code, each.headers["location"]) for each in answers} == {(303, f"/en/{SLUG}/check-your-inbox")}
    async with working(site.environ, site.inbox):
        await until_all_is_mailed(pair)
    mails = list(site.inbox)
    assert [mail.to for mail in mails] == [(ZOE,)] * 20  # the most of all networks together
    links = {link_in(mail) for mail in mails}
    assert len(links) == 20
    clicked = await asyncio.gather(
        *(web.client.post(link) for link, web in zip(sorted(links), itertools.cycle(pair.webs), strict=False))
    )
    assert {(each.status_code, each.headers["location"].partition("?")[0]) for each in clicked} == {(303, SIGNED)}
    async with site.database.connection() as conn:
        counted = await rows.check_count(conn, await rows.letter(conn))
    assert counted["people"] == 1


async def test_one_challenge_used_many_times_at_once_passes_once(pair: Pair) -> None:
    site = pair.site
    first = await site.form(email="first@letters.example")
    forms = [first | {"email": f"voice{n}@letters.example"} for n in range(20)]
    answers = await asyncio.gather(
        *(
            web.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())
            for form, web in zip(forms, itertools.cycle(pair.webs), strict=False)
        )
    )
    assert Counter(each.status_code for each in answers) == {303: 1, 422: 19}
    # Nobody has lost what was typed: the page that asks for another answer holds it.
    assert all(form["email"] in each.text for form, each in zip(forms, answers, strict=True) if each.status_code == 422)
    stored = await rows.rows_of(site.database, "SELECT id FROM pending")
    assert len(stored) == 1
    again: httpx2.Response = await pair.webs[1].client.post(f"/en/{SLUG}/sign", data=first, headers=site.new_network())
    assert again.status_code == 422


async def until_all_is_mailed(pair: Pair) -> None:
    """Wait until the outbox is empty."""
    async with asyncio.timeout(120), pair.site.database.connection() as conn:
        while await conn.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            await asyncio.sleep(0.1)
