"""Evidence on organizations: four marks that are told apart, and worked out anew when the website is corrected."""

import hashlib
import re
from typing import Any

import pytest

from petition.core.ids import SignatureId
from petition.moderation import organizations, queue, queue_queries, second_mailbox
from petition.moderation.evidence import Evidence, Mark, evidence_of
from petition.moderation.model import Action
from petition.moderation.organizations import EntryNames
from petition.signatures.signals import domain_digests, is_own_domain, is_own_website
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

SET = "UPDATE signature SET signals = $3 WHERE letter = $1 AND id = $2"
UNKNOWN, YES, NO = Mark.UNKNOWN, Mark.YES, Mark.NO


@pytest.mark.parametrize(
    ("website", "signals", "marks"),
    [
        (None, {}, (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)),  # no website: not "on another domain"
        (None, {"free_mail": True}, (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)),
        ("https://x.example", {}, (YES, NO, UNKNOWN, UNKNOWN)),
        ("https://x.example", {"own_domain": True}, (YES, YES, UNKNOWN, UNKNOWN)),
        ("https://x.example", {"second": True}, (YES, NO, YES, UNKNOWN)),  # the second lends nothing to the first
        ("https://x.example", {"second_no": True, "spoken": True}, (YES, NO, NO, YES)),
        ("https://x.example", {"corrected": True}, (YES, UNKNOWN, UNKNOWN, UNKNOWN)),
        ("https://x.example", {"unchecked": True, "second": True}, (YES, UNKNOWN, YES, UNKNOWN)),
    ],
)
def test_marks(website: str | None, signals: dict[str, Any], marks: tuple[Mark, ...]) -> None:
    assert evidence_of(website, signals, is_imported=False).marks == marks


@pytest.mark.parametrize(
    "domain", ["a.example", "mail.a.example", "gmail.com", "co.uk", "b.co.uk", "github.io", "x.ru"]
)
@pytest.mark.parametrize(
    "website",
    ["https://a.example", "https://www.a.example/x", "https://mail.a.example", "https://gmail.com", "https://b.co.uk",
     "https://shop.b.co.uk", "https://me.github.io", "https://y.x.ru", "nonsense"],
)  # fmt: skip
def test_digests_say_what_addresses_say(domain: str, website: str) -> None:
    assert is_own_website(website, domain_digests(domain, _hash), _hash) == is_own_domain(domain, website)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def evidence(bench: Bench, signature_id: SignatureId) -> Evidence:
    async with bench.database.connection() as conn:
        row = await queue_queries.one(conn, bench.letter.id, signature_id)
    assert row is not None
    found = queue.item_in(row, bench.letter.keys).evidence
    assert found is not None
    return found


async def correct(bench: Bench, signature_id: SignatureId, website: str | None) -> int:
    async with bench.database.transaction() as conn:
        row = await queue_queries.one(conn, bench.letter.id, signature_id)
        assert row is not None
        names = EntryNames("North Pier", None, website)
        if row["organization"] is None:
            log_id = await organizations.correct_held(conn, bench.actor, bench.letter.keys, signature_id, names)
        else:
            log_id = await organizations.correct(conn, bench.actor, bench.letter.keys, row["organization"], names)
    assert log_id is not None
    return log_id


async def set_signals(bench: Bench, signature_id: SignatureId, signals: dict[str, Any]) -> None:
    async with bench.database.connection() as conn:
        await conn.execute(SET, bench.letter.id, signature_id, signals)


@pytest.mark.parametrize("is_approved", [False, True])
async def test_a_correction_is_compared_with_the_mailbox(bench: Bench, is_approved: bool) -> None:
    held = await bench.sign_for("North Pier")
    domain = domain_digests("northpier.example", bench.letter.keys.digest)
    await set_signals(bench, held, {"domain": domain})
    if is_approved:
        await bench.decide(Action.APPROVE, held)
    assert (await evidence(bench, held)).marks[:2] == (UNKNOWN, UNKNOWN)
    corrected = await correct(bench, held, "https://www.northpier.example")
    assert (await evidence(bench, held)).marks[:2] == (YES, YES)
    await correct(bench, held, "https://elsewhere.example")
    assert (await evidence(bench, held)).marks[:2] == (YES, NO)
    back = await correct(bench, held, "https://northpier.example/about")
    assert (await evidence(bench, held)).marks[:2] == (YES, YES)
    await bench.undo(back)  # type: ignore[arg-type]
    assert (await evidence(bench, held)).marks[:2] == (YES, NO)
    assert corrected != back


@pytest.mark.parametrize("is_approved", [False, True])
async def test_without_digests_it_is_not_known_and_undoing_knows_again(bench: Bench, is_approved: bool) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    await set_signals(bench, held, {"own_domain": True, "second": True})
    if is_approved:
        await bench.decide(Action.APPROVE, held)
    assert (await evidence(bench, held)).marks[:3] == (YES, YES, YES)
    corrected = await correct(bench, held, "https://other.example")
    now = await evidence(bench, held)
    assert (now.marks[:3], now.is_corrected, now.is_second_former) == ((YES, UNKNOWN, UNKNOWN), True, True)
    await bench.undo(corrected)  # type: ignore[arg-type]
    assert (await evidence(bench, held)).marks[:3] == (YES, YES, YES)


async def test_the_mark_of_the_second_mailbox_is_its_own(bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    for answer, marks in ((second_mailbox.YES, (YES, NO, YES)), (second_mailbox.NO, (YES, NO, NO))):
        async with bench.database.transaction() as conn:
            await second_mailbox.store_answer(conn, bench.letter.id, held, answer)
        assert (await evidence(bench, held)).marks[:3] == marks


async def test_signing_stores_digests_of_an_organizations_domain_and_none_of_a_persons(
    site: Installation, bench: Bench
) -> None:
    names = {"kind": "organization", "organization_en": "North Pier", "name": "Anna", "visibility": "public"}
    answer = await site.sign(email="anna@mail.northpier.example", **names)
    assert answer.status_code == 303, answer.text
    (row,) = await bench.rows("SELECT signals FROM pending WHERE letter = $1")
    assert row["signals"]["domain"] == domain_digests("mail.northpier.example", bench.letter.keys.digest)
    assert "northpier" not in str(row["signals"])


async def test_a_talk_is_noted_and_taken_back(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    path = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site, "moderator") as client:
        for _ in range(2):
            noted = await client.post(path, data={"act": "talk", "talk": "Rang the director"})
            assert noted.status_code == 303
        page = (await client.get(path)).text
        assert "Spoken to" in page
        assert page.count("Rang the director") == 2
        assert len(re.findall(r'class="squares"', (await client.get(f"/organizer/{SLUG}/queue")).text)) == 1
        assert (await evidence(bench, held)).talk is YES
        await client.post(path, data={"act": "untalk"})
        assert (await evidence(bench, held)).talk is UNKNOWN
    acts = await bench.rows("SELECT act FROM log WHERE letter = $1 AND act LIKE 'organization.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["organization.talk", "organization.no_talk"]
