"""What owners and auditors cannot do: choose the sample, draw twice, hide an audit, see more than their part."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from petition.letters import burning
from petition.web.desk.routes import DESK
from tests.audits.audits import (
    AT_AN_END,
    AUDITOR,
    AUDITS,
    IN_TIME,
    KEY,
    AuditBench,
    announce,
    auditor_id_of,
    drand_answer,
    draw,
    plan,
)
from tests.organizers import people
from tests.running import SLUG, Installation
from tests.web.desk.test_routes import path_of

STATES = "SELECT number, state, reason FROM audit ORDER BY number"


@pytest.fixture
async def audit(site: Installation) -> AuditBench:
    bench = await AuditBench.of(site)
    await bench.name_auditor()
    await bench.agree(50)
    return bench


@pytest.fixture
async def owner(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "owner") as client:
        yield client


@pytest.fixture
async def auditor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "auditor") as client:
        yield client


async def test_one_audit_at_a_time_and_all_stay_published(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    again = await owner.post(AUDITS, data=plan(await auditor_id_of(audit.site)))
    assert again.status_code == 422
    assert "An audit is announced already" in again.text
    assert (await owner.post(AUDITS, data={"act": "abandon", "audit": "1"})).status_code == 303
    assert (await owner.post(AUDITS, data={"act": "abandon", "audit": "1"})).status_code == 422
    await announce(audit, owner)
    assert (await auditor.post(f"{AUDITS}/2", data={"act": "abandon"})).status_code == 303
    await announce(audit, owner)
    newest, second, first = await audit.audits()
    assert [one["abandoned"] for one in (newest, second, first)] == [None, "auditor", "owner"]
    assert [one["number"] for one in (newest, second, first)] == [3, 2, 1]
    for number in (1, 2, 3):
        assert (await audit.site.client.get(f"/log/{SLUG}/audits/{number}")).status_code == 200


async def test_from_its_time_on_no_one_gives_it_up_or_draws_twice(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    await audit.change(IN_TIME)
    assert (await owner.post(AUDITS, data={"act": "abandon", "audit": "1"})).status_code == 422
    assert (await auditor.post(f"{AUDITS}/1", data={"act": "abandon"})).status_code == 422
    await draw(audit, auditor)
    (drawn,) = await audit.audits()
    (row,) = await audit.rows("SELECT round FROM audit")
    again = await auditor.post(f"{AUDITS}/1", data={"act": "draw", "value": drand_answer(int(str(row["round"])))})
    assert again.status_code == 422
    for client, path, form in (
        (owner, AUDITS, {"act": "abandon", "audit": "1"}),
        (auditor, f"{AUDITS}/1", {"act": "abandon"}),
        (auditor, f"{AUDITS}/1", {"act": "key", "recipient": str(KEY.to_public())}),
    ):
        assert (await client.post(path, data=form)).status_code == 422
    assert not await audit.work()
    assert await audit.audits() == [drawn]


async def test_a_value_needs_its_time_its_round_and_a_key(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    (row,) = await audit.rows("SELECT round FROM audit")
    number = int(str(row["round"]))

    async def refusal(value: str) -> str:
        answer = await auditor.post(f"{AUDITS}/1", data={"act": "draw", "value": value})
        assert answer.status_code == 422
        return answer.text

    assert "Enter your public key first" in await refusal(drand_answer(number))
    secret = await auditor.post(f"{AUDITS}/1", data={"act": "key", "recipient": str(KEY)})
    assert secret.status_code == 422
    assert "This is a secret key" in secret.text
    assert str(KEY) not in secret.text
    await auditor.post(f"{AUDITS}/1", data={"act": "key", "recipient": str(KEY.to_public())})
    assert "The value is not published yet" in await refusal(drand_answer(number))
    await audit.change(IN_TIME)
    assert "answer of another round" in await refusal(drand_answer(number + 1))
    assert await audit.rows("SELECT value, state FROM audit") == [{"value": None, "state": "announced"}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": "19"}, "at least 20 people"),
        ({"sample": "5001"}, "at least 20 people"),
        ({"sample": "x"}, "at least 20 people"),
        ({"sample": "51"}, "Too few people have agreed"),
        ({"day": datetime.now(UTC).date().isoformat()}, "at least 24 hours away"),
        ({"day": (datetime.now(UTC) + timedelta(days=70)).date().isoformat()}, "at least 24 hours away"),
        ({"day": "soon"}, "at least 24 hours away"),
        ({"source": "other", "description": "dice"}, "Say exactly where"),
        ({"auditor": "0"}, "Choose the member"),
        ({"auditor": "999"}, "Choose the member"),
    ],
)
@pytest.mark.usefixtures("auditor")
async def test_what_cannot_be_announced(
    audit: AuditBench, owner: httpx2.AsyncClient, changes: dict[str, str], message: str
) -> None:
    answer = await owner.post(AUDITS, data=plan(await auditor_id_of(audit.site), **changes))
    assert answer.status_code == 422
    assert message in answer.text
    assert not await audit.rows(STATES)


async def test_another_source_is_described_and_its_value_typed(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner, source="other", description="The six numbers of the lottery of that Saturday")
    await auditor.post(f"{AUDITS}/1", data={"act": "key", "recipient": str(KEY.to_public())})
    await audit.change(IN_TIME)
    assert (await auditor.post(f"{AUDITS}/1", data={"act": "draw", "value": " 3 7  9\n"})).status_code == 303
    assert await audit.work()
    (drawn,) = await audit.audits()
    assert isinstance(drawn["draw"], dict)
    assert [drawn["draw"][key] for key in ("source", "round", "value", "description")] == [
        *("other", None, "3 7 9"),
        "The six numbers of the lottery of that Saturday",
    ]


async def test_fewer_than_fifty_can_be_guessed(site: Installation) -> None:
    audit = await AuditBench.of(site)
    await audit.name_auditor()
    await audit.agree(49)
    async with people.at_desk(site, "owner") as owner, people.at_desk(site, "auditor"):
        answer = await owner.post(AUDITS, data=plan(await auditor_id_of(site)))
        assert answer.status_code == 422
        assert "Fewer than 50 people" in (await owner.get(AUDITS)).text  # not how many
        await audit.agree(1, first=60)
        assert (await owner.post(AUDITS, data=plan(await auditor_id_of(site)))).status_code == 303
        await audit.change("DELETE FROM contact WHERE signature = (SELECT min(signature) FROM contact)")
        assert await audit.work()  # one of them has left before the frame was made
    assert await audit.rows(STATES) == [{"number": 1, "state": "abandoned", "reason": "few"}]
    assert await audit.audits() == []


@pytest.mark.usefixtures("auditor")
async def test_a_frame_that_comes_late_or_a_value_that_never_comes_ends_it(
    audit: AuditBench, owner: httpx2.AsyncClient
) -> None:
    form = plan(await auditor_id_of(audit.site))
    assert (await owner.post(AUDITS, data=form)).status_code == 303
    await audit.change("UPDATE audit SET draw_at = now() + interval '11 hours'")
    assert await audit.work()
    await announce(audit, owner)
    await audit.change("UPDATE audit SET draw_at = now() - interval '13 days' WHERE number = 2")
    assert not await audit.work()
    await audit.change("UPDATE audit SET draw_at = now() - interval '15 days' WHERE number = 2")
    assert await audit.work()
    assert [row["reason"] for row in await audit.rows(STATES)] == ["late", "late"]
    assert [one["abandoned"] for one in await audit.audits()] == ["late"]


@pytest.mark.parametrize("state", ["announced", "asking"])
async def test_marked_as_sensitive_it_ends_and_nothing_is_left(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient, state: str
) -> None:
    await announce(audit, owner)
    if state == "asking":
        await draw(audit, auditor)
    assert (await owner.post(f"/organizer/{SLUG}/sensitive", data={"sensitive": "yes"})).status_code == 303
    assert await audit.work()
    assert await audit.rows(STATES) == [{"number": 1, "state": "abandoned", "reason": "sensitive"}]
    for table in ("audit_question", "audit_address_list", "outbox WHERE purpose = 'audit'"):
        assert not await audit.rows(f"SELECT FROM {table}")
    refused = await owner.post(AUDITS, data=plan(await auditor_id_of(audit.site)))
    assert "A sensitive letter stores no addresses" in refused.text


async def test_burning_the_keys_ends_it(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    await draw(audit, auditor)
    async with audit.site.database.transaction() as conn:
        await burning.burn(conn, None, audit.bench.letter.id)
    await burning.delete_addresses(audit.site.database, audit.bench.letter.id)
    assert await audit.work()
    assert await audit.rows(STATES) == [{"number": 1, "state": "abandoned", "reason": "burnt"}]
    assert not await audit.rows("SELECT FROM audit_address_list")
    assert not await audit.rows("SELECT FROM contact")


async def test_another_auditor_or_owner_gets_nothing_of_it(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    async with people.at_desk(audit.site, "auditor", email="second@letters.example") as second:
        for form in ({"act": "key", "recipient": str(KEY.to_public())}, {"act": "draw"}, {"act": "abandon"}):
            assert (await second.post(f"{AUDITS}/1", data=form)).status_code == 404
            assert (await owner.post(f"{AUDITS}/1", data=form)).status_code == 403
        await draw(audit, auditor)
        assert (await second.post(f"{AUDITS}/1/addresses")).status_code == 404
        assert "Download the addresses" not in (await second.get(AUDITS)).text
    assert (await owner.post(f"{AUDITS}/1/addresses")).status_code == 403
    assert (await auditor.post(f"{AUDITS}/1/addresses")).status_code == 200
    await audit.change("DELETE FROM member WHERE role = 'auditor'")
    assert (await auditor.post(f"{AUDITS}/1/addresses")).status_code in {403, 404}


async def test_who_has_worked_on_the_letter_cannot_audit_it(audit: AuditBench, owner: httpx2.AsyncClient) -> None:
    async with people.at_desk(audit.site, "moderator", email="auditor@letters.example") as moderator:
        added = {"act": "add", "name": "partner", "title": "Partner"}
        assert (await moderator.post(f"/organizer/{SLUG}/partners", data=added)).status_code == 403
        ids = await audit.bench.sign("Vera Removed")
        removed = {"act": "remove", "reason": "fake", f"s{ids[0]}": "0"}
        assert (await moderator.post(f"/organizer/{SLUG}/queue", data=removed)).status_code == 303
    organizer_id = await auditor_id_of(audit.site)
    for role in ("auditor", "owner"):  # no way leads from one role to the other
        form = {"organizer": str(organizer_id), "before": "moderator" if role == "auditor" else "auditor", "role": role}
        answer = await owner.post(f"/organizer/{SLUG}/members", data=form)
        assert answer.status_code == 409
        assert "An auditor has no other role" in answer.text
    await audit.change("UPDATE member SET role = 'auditor' WHERE organizer = $1", organizer_id)
    answer = await owner.post(AUDITS, data=plan(organizer_id))
    assert "has worked on the letter" in answer.text


@pytest.mark.usefixtures("audit")
async def test_an_auditor_sees_audits_and_nothing_else(auditor: httpx2.AsyncClient) -> None:
    first = await auditor.get(f"/organizer/{SLUG}/")
    assert first.headers["location"] == AUDITS
    page = (await auditor.get(AUDITS)).text
    assert "No audit waits for you" in page
    assert 'name="name"' not in page
    assert f"/organizer/{SLUG}/queue" not in page
    for route in DESK:
        if "{slug}" in route.path and "{slug}/audits" not in route.path and route.path != "/organizer/{slug}/":
            answer = await auditor.request(route.method, path_of(route))
            assert answer.status_code == 403, route.path


async def test_an_owner_names_the_auditor_and_another_name_asks_anew(
    audit: AuditBench, owner: httpx2.AsyncClient
) -> None:
    page = await owner.get(AUDITS)
    assert "50 people have agreed to be asked." in page.text
    same = await owner.post(AUDITS, data={"act": "auditor", "name": f" {AUDITOR} "})
    assert same.status_code == 303
    assert len(await audit.rows("SELECT FROM contact")) == 50
    for bad in ("x", "x" * 121, "Bell\x07"):
        assert (await owner.post(AUDITS, data={"act": "auditor", "name": bad})).status_code == 422
    assert (await owner.post(AUDITS, data={"act": "auditor", "name": "Other Counters"})).status_code == 303
    assert not await audit.rows("SELECT FROM contact")
    await audit.agree(1, first=70)
    assert (await owner.post(AUDITS, data={"act": "auditor", "name": ""})).status_code == 303
    assert not await audit.rows("SELECT FROM contact")
    assert not await audit.rows("SELECT FROM auditor")
    acts = await audit.rows("SELECT act FROM log WHERE act LIKE 'audit.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["audit.auditor", "audit.no_auditor"]


async def test_answers_end_with_the_audit(
    audit: AuditBench, owner: httpx2.AsyncClient, auditor: httpx2.AsyncClient
) -> None:
    await announce(audit, owner)
    await draw(audit, auditor)
    (row, *_) = await audit.rows("SELECT id FROM audit_question")
    path = audit.question(row["id"]).replace("/en/", "/ru/")
    page = await audit.site.client.get(f"{path}?say=no")
    assert page.text.index("подпись не") < page.text.index("Да, это моя подпись")
    await audit.change(AT_AN_END)
    for _ in range(2):
        late = await audit.site.client.post(path, data={"answer": "no"}, headers=audit.site.new_network())
        assert late.headers["location"] == path
        assert (await audit.site.client.get(path)).status_code == 410
        await audit.work()
    assert [await audit.rows("SELECT signed, denied FROM audit")] == [[{"signed": None, "denied": None}]]
