"""A representative answers the organizers by a form; the thread stands at the signature and goes with it."""

import re

import pytest

from petition.core.errors import NotFound, Refused
from petition.core.ids import MessageId, SignatureId
from petition.core.tokens import Tokens
from petition.letters import taking_down
from petition.moderation import message_threads
from petition.moderation.model import Action
from petition.signatures import self_service
from tests import rows
from tests.leaks.columns import dump
from tests.mail.waiting import until
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.pages import check_page
from tests.running import KEY, SLUG, Installation

TOKENS = Tokens([KEY])


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def ask(bench: Bench, signature_id: SignatureId, text: str = "Who are you?") -> MessageId:
    async with bench.database.transaction() as conn:
        return await message_threads.add_sent(conn, bench.actor, bench.letter.keys, signature_id, text)


async def flags(bench: Bench, signature_id: SignatureId) -> list[str]:
    found = await bench.rows("SELECT flags FROM signature WHERE letter = $1 AND id = $2", signature_id)
    return list(found[0]["flags"])


async def test_an_answer_waits_at_the_desk_until_it_is_read(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    held = await bench.sign_for("North Pier")
    place = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        await client.post(place, data={"act": "message", "message": "Who are you?\nPlease answer."})
        body = (await site.mail_to("office1@letters.example")).body("plain") or ""
        link = re.search(r"(/en/reply/\S+)", body)
        assert link
        page = await site.client.get(link[1])
        check_page(page, 200)
        assert "Who are you?\nPlease answer." in page.text
        for _ in range(2):  # pressed twice
            sent = await site.client.post(link[1], data={"text": "The chair.\r\n<b>Anna</b>"})
            assert sent.status_code == 303
        page = await site.client.get(sent.headers["location"])
        check_page(page, 200)
        assert "Your answer was sent" in page.text
        assert "The chair.\n&lt;b&gt;Anna&lt;/b&gt;" in page.text
        desk = (await client.get(place)).text
        assert desk.count("The chair.\n&lt;b&gt;Anna&lt;/b&gt;") == 1
        assert "new answer" in desk
        async with site.database.connection() as conn:
            assert await message_threads.count_waiting(conn, bench.letter.id) == 1
        for _ in range(2):
            assert (await client.post(place, data={"act": "read_messages"})).status_code == 303
        assert "new answer" not in (await client.get(place)).text
    acts = [row["act"] for row in await bench.rows("SELECT act FROM log WHERE letter = $1 AND act LIKE 'message.%'")]
    assert sorted(acts) == ["message.answer", "message.read", "message.send"]


async def test_writing_back_and_deciding_settle_an_answer(site: Installation, bench: Bench) -> None:
    first, second = await bench.sign_for("North Pier"), await bench.sign_for("South Pier")
    for signature_id in (first, second):
        message = await ask(bench, signature_id)
        await site.client.post(f"/en/reply/{TOKENS.for_reply(bench.letter.id, message)}", data={"text": "Anna"})
        assert "answered" in await flags(bench, signature_id)
    await ask(bench, first, "And your position?")
    await bench.decide(Action.APPROVE, second)
    assert "answered" not in await flags(bench, first) + await flags(bench, second)


async def test_what_cannot_be_sent_is_shown_again(site: Installation, bench: Bench) -> None:
    message = await ask(bench, await bench.sign_for("North Pier"))
    address = f"/en/reply/{TOKENS.for_reply(bench.letter.id, message)}"
    for typed in ("", " \n ", "x" * 5001):
        refused = await site.client.post(address, data={"text": typed})
        assert refused.status_code == 422
        check_page(refused, 422)
        assert typed.strip() in refused.text
    assert (await site.client.post(address, data={"text": "x" * 5000})).status_code == 303
    assert (await site.client.get("/en/reply/forged")).status_code == 404


async def test_answers_of_one_day_are_limited(bench: Bench) -> None:
    message = await ask(bench, await bench.sign_for("North Pier"))

    async def answer(text: str) -> None:
        async with bench.database.transaction() as conn:
            await message_threads.answer(conn, bench.letter.id, bench.letter.keys, message, text)

    for number in range(message_threads.MAX_ANSWERS_A_DAY):
        await answer(f"Answer {number}")
    with pytest.raises(Refused):
        await answer("One more")
    await bench.rows("UPDATE message SET at = at - interval '1 day' WHERE letter = $1 RETURNING id")
    await answer("One more")


async def test_the_link_works_for_sixty_days(site: Installation, bench: Bench) -> None:
    message = await ask(bench, await bench.sign_for("North Pier"))
    address = f"/en/reply/{TOKENS.for_reply(bench.letter.id, message)}"
    age = "UPDATE message SET at = now() - $2::text::interval WHERE letter = $1 RETURNING id"
    await bench.rows(age, "59 days")
    assert (await site.client.get(address)).status_code == 200
    await bench.rows(age, "60 days")
    assert (await site.client.get(address)).status_code == 404
    assert (await site.client.post(address, data={"text": "Late"})).status_code == 404


async def test_messages_are_encrypted_and_go_with_the_signature(site: Installation, bench: Bench) -> None:
    first, second = await bench.sign_for("North Pier"), await bench.sign_for("South Pier")
    for signature_id in (first, second):
        message = await ask(bench, signature_id, "Zenobia asks")
        async with site.database.transaction() as conn:
            await message_threads.answer(conn, bench.letter.id, bench.letter.keys, message, "Zenobia answers")
    assert b"Zenobia" not in await dump(site.database)
    await self_service.withdraw(site.database, bench.letter, first)
    await self_service.delete(site.database, bench.letter, second)
    assert await bench.rows("SELECT id FROM message WHERE letter = $1") == []


async def test_a_deleted_message_is_neither_mailed_nor_answered(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    place = f"/organizer/{SLUG}/signatures/{held}"
    message = await ask(bench, held)
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        for _ in range(2):
            assert (await client.post(place, data={"act": "drop_message", "message": message})).status_code == 303
    async with site.database.connection() as conn:
        assert await message_threads.sent(conn, bench.letter.id, message) is None
        with pytest.raises(NotFound):
            await message_threads.open_message(conn, bench.letter.id, bench.letter.keys, message)


async def test_the_representative_can_take_the_messages_out(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    message = await ask(bench, held)
    async with site.database.transaction() as conn:
        await message_threads.answer(conn, bench.letter.id, bench.letter.keys, message, "The chair")
    token = TOKENS.for_signature(bench.letter.id, held)
    data = (await site.client.get(f"/en/signature/{token}/data.json")).json()
    assert [(line["from"], line["text"]) for line in data["messages"]] == [
        ("organizers", "Who are you?"),
        ("representative", "The chair"),
    ]


async def test_an_answer_to_a_letter_taken_down_finds_nothing(site: Installation, bench: Bench) -> None:
    message = await ask(bench, await bench.sign_for("North Pier"))
    async with site.database.transaction() as conn:
        await taking_down.take_down(conn, None, bench.letter.id, SLUG)
    address = f"/en/reply/{TOKENS.for_reply(bench.letter.id, message)}"

    async def is_gone() -> bool:
        return (await site.client.post(address, data={"text": "Late"})).status_code == 410

    await until(is_gone)
