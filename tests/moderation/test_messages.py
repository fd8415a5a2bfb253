"""Mail from the desk: decisions, messages, a second address. Moderators never see where it goes."""

import base64
import re

import pytest

from petition.moderation.model import Action
from petition.signatures.model import Reason
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

NOW = "UPDATE outbox SET due_at = now() WHERE letter = $1"


@pytest.fixture
async def bench(site_with_worker: Installation) -> Bench:
    async with site_with_worker.database.connection() as conn:
        return Bench(site_with_worker.database, await rows.letter(conn))


def named(bench: Bench) -> tuple[str, str]:
    """Return what every mail says of the letter."""
    return bench.letter.text("en").title, bench.letter.initiators[0].name("en")


async def test_a_representative_is_told_of_the_decision(site_with_worker: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, held)
    await bench.rows(f"{NOW} RETURNING id")
    body = (await site_with_worker.mail_to("office1@letters.example")).body("plain") or ""
    for fact in ("approved", *named(bench), "North Pier", "Anna Berg"):
        assert fact in body


async def test_a_decision_undone_at_once_disturbs_nobody(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera", updates="1")
    outcome = await bench.remove(vera)
    assert len(await bench.rows("SELECT id FROM outbox WHERE letter = $1 AND purpose = 'decision'")) == 1
    await bench.undo(outcome.log_id)
    assert await bench.rows("SELECT id FROM outbox WHERE letter = $1 AND purpose = 'decision'") == []


async def test_who_asked_for_updates_is_told_why_their_signature_went(
    site_with_worker: Installation, bench: Bench
) -> None:
    (vera,) = await bench.sign("Vera", updates="1")
    await bench.remove(vera, reason=Reason.DUPLICATE)
    await bench.rows(f"{NOW} RETURNING id")
    body = (await site_with_worker.mail_to("voice1@letters.example")).body("plain") or ""
    assert "removed" in body
    assert "Reason: duplicate." in body
    page = re.search(r"(/en/signature/\S+)", body)
    assert page
    assert "have removed it" in (await site_with_worker.client.get(page[1])).text


async def test_a_message_reaches_the_representative(site_with_worker: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    place = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site_with_worker, "moderator", email="mo@desk.example") as client:
        form = {"act": "message", "message": "Who are you?\nPlease answer."}
        assert (await client.post(place, data=form)).status_code == 303
        mail = await site_with_worker.mail_to("office1@letters.example")
        body = (mail.body("plain") or "").replace("\r\n", "\n")
        for fact in ("Who are you?\nPlease answer.", *named(bench), "North Pier", "Anna Berg", "/en/reply/"):
            assert fact in body
        assert "letters.example" not in (await client.get(place)).text
        (person,) = await bench.sign("Vera")
        refused = await client.post(f"/organizer/{SLUG}/signatures/{person}", data=form)
        assert refused.status_code == 422


async def test_a_message_queued_by_an_older_release_still_goes_out(
    site_with_worker: Installation, bench: Bench
) -> None:
    held = await bench.sign_for("North Pier")
    text = base64.b64encode(bench.letter.keys.hide({"text": "Written before the upgrade"})).decode()
    details = {"signature": held, "text": text}
    await bench.rows(
        "INSERT INTO outbox (letter, purpose, digest, sealed, lang, details) SELECT $1, 'message', s.digest, c.sealed,"
        " 'en', $3 FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id WHERE s.letter = $1"
        " AND s.id = $2 RETURNING id",
        held,
        details,
    )
    body = (await site_with_worker.mail_to("office1@letters.example")).body("plain") or ""
    assert "Written before the upgrade" in body
    assert "/reply/" not in body
