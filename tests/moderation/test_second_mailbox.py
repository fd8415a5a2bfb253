"""The question to a second address of an organization: yes, no, and a change of mind."""

import re
from collections.abc import Sequence

import pytest

from petition.core.ids import SignatureId
from petition.core.tokens import Tokens
from petition.moderation import second_mailbox
from petition.moderation.model import Action
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.pages import check_page
from tests.running import KEY, SLUG, Installation

TOKENS = Tokens([KEY])


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


def link(bench: Bench, signature_id: SignatureId, lang: str = "en") -> str:
    return f"/{lang}/second/{TOKENS.for_second(bench.letter.id, signature_id)}"


async def evidence(bench: Bench, signature_id: SignatureId) -> tuple[Sequence[str], Sequence[str]]:
    """Return the answers among the signals, and the flags."""
    (row,) = await bench.rows("SELECT signals, flags FROM signature WHERE letter = $1 AND id = $2", signature_id)
    return [key for key in row["signals"] or {} if key.startswith("second")], row["flags"]


async def test_a_second_address_on_the_domain_confirms(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    place = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        for wrong in ("someone@elsewhere.example", "no address"):
            assert (await client.post(place, data={"act": "second", "second": wrong})).status_code == 422
        asked = await client.post(place, data={"act": "second", "second": "board@northpier.example"})
        assert asked.status_code == 303
        body = (await site.mail_to("board@northpier.example")).body("plain") or ""
        for fact in ("North Pier", "Anna Berg", bench.letter.text("en").title, bench.letter.initiators[0].name("en")):
            assert fact in body
        found = re.search(r"(/en/second/\S+)", body)
        assert found
        await site.client.get(found[1])
        assert "Second mailbox: “Yes, that is us”" not in (await client.get(place)).text  # opening it does nothing
        for _ in range(2):
            assert (await site.client.post(found[1])).status_code == 303
        page = await client.get(place)
        assert "Second mailbox: “Yes, that is us”" in page.text
    acts = await bench.rows("SELECT act FROM log WHERE letter = $1 AND act LIKE 'message.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["message.second", "message.confirmed"]
    assert (await site.client.get("/en/second/forged")).status_code == 404


async def test_no_one_is_mailed_without_end(site: Installation, bench: Bench) -> None:
    """The address is typed at the desk: what a stolen or bribed account may have mailed to it is bounded."""
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        for number in range(second_mailbox.MAX_QUESTIONS + 3):
            form = {"act": "second", "second": f"board{number}@northpier.example"}
            answer = await client.post(f"/organizer/{SLUG}/signatures/{held}", data=form)
            assert answer.status_code == (303 if number < second_mailbox.MAX_QUESTIONS else 422)
        assert "Try again later." in answer.text
        assert "mail.second" not in (await client.get(f"/organizer/{SLUG}/log")).text
    mails = await rows.rows_of(site.database, "SELECT FROM outbox WHERE purpose = 'second'")
    assert len(mails) == second_mailbox.MAX_QUESTIONS


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_page_says_who_asks_about_what_and_whom(site: Installation, bench: Bench, lang: str) -> None:
    held = await bench.sign_for(
        "North Pier", organization_ru="Северный пирс", name="Anna <Berg>", website="https://northpier.example"
    )
    page = await site.client.get(link(bench, held, lang))
    check_page(page, 200, lang)
    letter = bench.letter
    names = ("North Pier // Северный пирс", "Anna &lt;Berg&gt;", letter.initiators[0].name(lang))
    for text in (*names, letter.text(lang).title, 'value="yes"', 'value="no"'):
        assert text in page.text


async def test_no_flags_the_entry_for_the_moderators(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    for _ in range(2):
        assert (await site.client.post(link(bench, held), data={"answer": "no"})).status_code == 303
    assert "you said no" in (await site.client.get(link(bench, held))).text
    signals, flags = await evidence(bench, held)
    assert (signals, flags.count("denied")) == (["second_no"], 1)
    assert await bench.states(held) == ["held"]
    async with people.at_desk(site, "moderator", email="mo@desk.example") as client:
        for path in (f"signatures/{held}", "queue?flag=denied"):
            assert "second address says no" in (await client.get(f"/organizer/{SLUG}/{path}")).text
    acts = await bench.rows("SELECT act FROM log WHERE letter = $1 AND act LIKE 'message.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["message.denied"]


async def test_the_last_answer_counts(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    address = link(bench, held)
    await site.client.post(address, data={"answer": "no"})
    await site.client.post(address, data={"answer": "yes"})
    assert await evidence(bench, held) == (["second"], [])
    outcome = await bench.decide(Action.APPROVE, held)
    await site.client.post(address, data={"answer": "no"})
    assert await evidence(bench, held) == (["second_no"], ["denied"])
    await site.client.post(address, data={"answer": "yes"})
    await bench.undo(outcome.log_id)
    assert (await evidence(bench, held))[1] == []


async def test_after_a_removal_the_page_says_so_and_takes_no_answer(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    await bench.remove(held)
    page = await site.client.get(link(bench, held))
    check_page(page, 200)
    assert "This signature was removed" in page.text
    assert "<button name" not in page.text
    await site.client.post(link(bench, held), data={"answer": "no"})
    assert (await evidence(bench, held))[0] == []
