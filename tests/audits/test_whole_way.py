"""An audit from the consent to the sentence, by pages and worker; and the draw, repeated from public files alone."""

import csv
import hashlib
import io

import pytest
from pyrage import decrypt

from petition.audits import published
from petition.core.decryptions import DecryptedContent, DecryptionPurpose
from petition.count_log import tiles
from petition.count_log.entries import EntryKind, Exit, LogEntry
from petition.mail.suppression import Suppression
from petition.worker import retention
from tests.audits.audits import (
    AT_AN_END,
    AUDITOR,
    AUDITS,
    KEY,
    AuditBench,
    address_of,
    announce,
    draw,
    drawn_again,
)
from tests.moderation.desk import WRAPPER
from tests.organizers import people
from tests.running import SLUG, Installation

QUESTIONS = "SELECT id, answer FROM audit_question ORDER BY id"


@pytest.fixture
async def audit(site: Installation) -> AuditBench:
    bench = await AuditBench.of(site)
    await bench.name_auditor()
    return bench


async def test_from_the_announcement_to_the_sentence(audit: AuditBench) -> None:
    site = audit.site
    ids = await audit.agree(60)
    async with people.at_desk(site, "owner") as owner, people.at_desk(site, "auditor") as auditor:
        await announce(audit, owner)
        (announced,) = await audit.audits()
        assert (announced["state"], announced["drawn"], announced["result"]) == ("announced", None, None)
        assert announced["auditor"] == AUDITOR
        await draw(audit, auditor)
        content = (await auditor.post(f"{AUDITS}/1/addresses")).content
        assert b"letters.example" not in content
        lines = list(csv.DictReader(io.StringIO(decrypt(content, [KEY]).decode())))
        (drawn,) = await audit.audits()
        assert [int(line["entry"]) for line in lines] == drawn["drawn"]
        assert {line["address"] for line in lines} <= {address_of(number) for number in range(60)}
        questions = await audit.rows(QUESTIONS)
        assert len(questions) == 20
        assert not {row["id"] for row in questions} & set(ids)
        for row in questions[:19]:
            await answer(audit, int(str(row["id"])), "yes")
        await answer(audit, int(str(questions[0]["id"])), "no")  # the last answer counts
        assert (await audit.audits())[0]["result"] is None
        await audit.change(AT_AN_END)
        assert await audit.work()
        assert not await audit.work()
        for client in (owner, auditor):
            assert (
                "20 asked, 19 answered, 1 denied: at most 22.7 % at 95 % of those who answer"
                in (await client.get(AUDITS)).text
            )
    (done,) = await audit.audits()
    result = done["result"]
    assert isinstance(result, dict)
    assert {key: result[key] for key in ("asked", "answered", "signed", "denied", "silent", "unreached")} == {
        "asked": 20,
        "answered": 19,
        "signed": 18,
        "denied": 1,
        "silent": 1,
        "unreached": 0,
    }
    assert result["at_most"] == pytest.approx(0.2263742, abs=1e-6)
    assert result["at_most_if_silent_denied"] == pytest.approx(0.2826185, abs=1e-6)
    assert not await audit.rows(QUESTIONS)
    async with site.database.connection() as conn:
        last = await published.last_result(conn, audit.bench.letter.id)
    assert last is not None
    assert last.as_json() == result
    counted = [(key[1:], number) for key, number in audit.counts._uses.items()]
    assert {(key[1], key[2]): number for key, number in counted} == {
        (DecryptionPurpose.AUDIT, DecryptedContent.ADDRESS): 20
    }
    acts = [row["act"] for row in await audit.rows("SELECT act FROM log WHERE act LIKE 'audit.%' ORDER BY id")]
    assert acts == ["audit.announce", "audit.key", "audit.draw", "audit.ask", "audit.take", "audit.done"]


async def answer(audit: AuditBench, question_id: int, text: str) -> None:
    path = audit.question(question_id)
    page = await audit.site.client.get(path)
    assert page.status_code == 200
    assert AUDITOR in page.text
    sent = await audit.site.client.post(path, data={"answer": text}, headers=audit.site.new_network())
    assert sent.headers["location"] == path


async def test_anyone_draws_again_from_public_files(audit: AuditBench) -> None:
    client = audit.site.client
    await audit.agree(70)
    await audit.bench.sign("Not Asked")
    async with people.at_desk(audit.site, "owner") as owner, people.at_desk(audit.site, "auditor") as auditor:
        await announce(audit, owner, sample="25")
        (before,) = await audit.audits()
        frame = before["frame"]
        assert isinstance(frame, dict)
        text = (await client.get(str(frame["url"]).removeprefix(audit.site.settings.base_url))).text
        assert hashlib.sha256(text.encode()).hexdigest() == frame["sha256"]
        await audit.agree(5, first=100)  # too late for this draw
        await draw(audit, auditor)
    (after,) = await audit.audits()
    assert after["frame"] == frame
    assert (await client.get(f"/log/{SLUG}/audits/1")).text == text
    chance = after["draw"]
    assert isinstance(chance, dict)
    assert after["drawn"] == drawn_again(text, chance["value"], 25)
    origin, size, root, *indexes = text.splitlines()[1:]
    assert (origin, size, root) == (frame["log"], str(frame["log_size"]), frame["root"])
    assert len(indexes) == frame["entries"] == 70
    bundle = tiles.split_entries((await client.get(f"/log/{SLUG}/tile/entries/000.p/{size}")).content)
    for index in map(int, indexes):
        entry = LogEntry.parse(bundle[index])
        assert (entry.kind, entry.exit) == (EntryKind.PERSON, Exit.NONE)


async def test_the_page_how_we_count_lists_all_that_were_announced(audit: AuditBench) -> None:
    client = audit.site.client
    await audit.agree(50)
    path, document = f"/en/{SLUG}/how-we-count", f"/api/v1/letters/{SLUG}/how-we-count"
    assert "There is no sample yet" in (await client.get(path)).text
    async with people.at_desk(audit.site, "owner") as owner, people.at_desk(audit.site, "auditor") as auditor:
        await announce(audit, owner)
        await owner.post(AUDITS, data={"act": "abandon", "audit": "1"})
        await announce(audit, owner)
        await draw(audit, auditor, number=2)
        questions = await audit.rows(QUESTIONS)
        for row in questions:
            await answer(audit, int(str(row["id"])), "yes")
        await audit.change(AT_AN_END)
        assert await audit.work()
    page = await audit.site.page_when(path, lambda text: "20 asked, 0 denied" in text)
    assert "20 asked, 0 denied: at most 14 % at 95 %" in page
    assert "Given up: by an owner of the letter, before the draw" in page
    for one in await audit.audits():
        assert isinstance(one["frame"], dict)
        assert one["frame"]["sha256"] in page
    russian = await audit.site.page_when(f"/ru/{SLUG}/how-we-count", lambda text: "отрицают 0" in text)
    assert "Спрошено 20, отрицают 0: не\u00a0больше 14\u00a0% при доверии 95\u00a0%" in russian
    content = (await client.get(document)).json()
    assert [(one["number"], one["state"]) for one in content["audits"]] == [(2, "done"), (1, "abandoned")]
    assert content["audit"]["denied"] == 0
    assert content["audit"]["sentence"]["en"] == "20 asked, 0 denied: at most 14 % at 95 %"


async def test_who_left_or_wants_no_mail_is_not_asked(audit: AuditBench) -> None:
    ids = await audit.agree(50)
    async with people.at_desk(audit.site, "owner") as owner, people.at_desk(audit.site, "auditor") as auditor:
        await announce(audit, owner, sample="50")
        await audit.bench.remove(ids[0])
        async with audit.site.database.connection() as conn:
            never = await Suppression(WRAPPER).digest(conn, address_of(1))
            await conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", never)
            await conn.execute("DELETE FROM contact WHERE signature = $1", ids[2])
        await draw(audit, auditor)
        assert len(await audit.rows(QUESTIONS)) == 47
        content = decrypt((await auditor.post(f"{AUDITS}/1/addresses")).content, [KEY]).decode()
    for number in range(3):
        assert f"{address_of(number)}," not in content
    for row in await audit.rows(QUESTIONS):
        await answer(audit, int(str(row["id"])), "yes")
    await audit.change(AT_AN_END)
    assert await audit.work()
    (done,) = await audit.audits()
    assert isinstance(done["result"], dict)
    assert [done["result"][key] for key in ("asked", "denied", "unreached")] == [47, 0, 3]


async def test_the_list_is_gone_after_thirty_days(audit: AuditBench) -> None:
    await audit.agree(50)
    async with people.at_desk(audit.site, "owner") as owner, people.at_desk(audit.site, "auditor") as auditor:
        await announce(audit, owner)
        await draw(audit, auditor)
        assert (await auditor.post(f"{AUDITS}/1/addresses")).status_code == 200
        await audit.change("UPDATE audit_address_list SET made_at = now() - interval '29 days 23 hours'")
        assert await retention.drop_expired(audit.site.database, "audit_address_list") == 0
        assert (await auditor.post(f"{AUDITS}/1/addresses")).status_code == 200
        await audit.change("UPDATE audit_address_list SET made_at = now() - interval '30 days'")
        assert (await auditor.post(f"{AUDITS}/1/addresses")).status_code == 404
        assert await retention.drop_expired(audit.site.database, "audit_address_list") == 1
        assert "Download the addresses" not in (await auditor.get(AUDITS)).text


async def test_too_few_answers_are_not_published(audit: AuditBench) -> None:
    await audit.agree(50)
    async with people.at_desk(audit.site, "owner") as owner, people.at_desk(audit.site, "auditor") as auditor:
        await announce(audit, owner)
        await draw(audit, auditor)
        for row in (await audit.rows(QUESTIONS))[:9]:
            await answer(audit, int(str(row["id"])), "no")
        await audit.change(AT_AN_END)
        assert await audit.work()
        assert "20 asked; too few answered to say anything" in (await owner.get(AUDITS)).text
    (done,) = await audit.audits()
    assert isinstance(done["result"], dict)
    assert [done["result"][key] for key in ("asked", "answered", "denied", "at_most")] == [20, None, None, None]
    assert not await audit.rows("SELECT FROM audit WHERE signed IS NOT NULL OR denied IS NOT NULL")
