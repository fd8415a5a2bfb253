"""Names end as the letter says: deleted by the worker, everywhere; the count stays."""

from datetime import UTC, datetime, timedelta

import pytest

from petition.core.errors import Refused
from petition.letters import lifecycle, queries
from petition.letters.lifecycle import StateChange
from petition.moderation.model import Action
from petition.signatures import names_end, names_end_queries, self_service
from petition.signatures.model import SignatureState
from petition.stored_data.words import REMOVED
from tests.moderation.desk import Bench
from tests.running import SLUG, Installation
from tests.signatures.waiting import Waiting, execute

NAMED = "SELECT * FROM signature WHERE letter = $1 AND num_nonnulls(name, affiliation, city, name_key, private) > 0"
DUE_YESTERDAY = "UPDATE letter SET names_until = (now() AT TIME ZONE 'UTC')::date - 1"


async def _due(bench: Bench, statement: str = DUE_YESTERDAY) -> None:
    async with bench.database.connection() as conn:
        await conn.execute(statement)


async def _later(bench: Bench) -> None:
    await _due(bench, "UPDATE letter SET names_ended_at = now() - interval '1 minute'")


async def test_the_names_go_and_the_count_stays(bench: Bench) -> None:
    await bench.sign("Vera Novak", "Иван Петров")
    await bench.sign("Hidden Person", visibility="organizers")
    await bench.sign("Nobody", visibility="counted")
    entry = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, entry)
    waiting = await bench.sign_for("South Pier")
    before = await bench.check()
    await _due(bench)
    assert await names_end.end_due(bench.database) == 5
    assert await bench.rows(NAMED) == []
    assert await bench.states(entry) == ["confirmed"]
    assert await bench.rows(f"SELECT 1 FROM signature WHERE letter = $1 AND id = {waiting}") == []
    after = await bench.check()
    assert after == {**before, "hidden": before["people"]}
    assert await bench.rows("SELECT word FROM name_word WHERE letter = $1 AND kind = 'person'") == []
    assert [row["name_en"] for row in await bench.rows("SELECT name_en FROM organization WHERE letter = $1")] == [
        "North Pier"
    ]
    (letter,) = await bench.rows("SELECT state, names_erased_at FROM letter WHERE id = $1")
    assert (letter["state"], letter["names_erased_at"]) == ("closed", None)
    await _later(bench)
    assert await names_end.end_due(bench.database) == 0
    (letter,) = await bench.rows("SELECT names_erased_at FROM letter WHERE id = $1")
    assert letter["names_erased_at"] is not None
    (act,) = await bench.rows("SELECT act FROM log WHERE letter = $1 AND act = 'letter.names_ended'")
    assert act["act"] == "letter.names_ended"


async def test_it_goes_on_where_a_worker_was_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_end, "BATCH", 2)
    await bench.sign(*(f"Person {number}" for number in range(7)))
    await _due(bench)
    erase, calls = names_end_queries.erase, 0

    async def killed_at_the_third(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        await erase(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(names_end_queries, "erase", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        await names_end.end_due(bench.database)
    assert len(await bench.rows(NAMED)) == 3
    await bench.check()
    assert await names_end.end_due(bench.database) == 3
    assert await bench.rows(NAMED) == []
    assert (await bench.check())["people"] == 7


@pytest.mark.parametrize(("days", "is_due"), [(9, True), (10, True), (11, False)])
async def test_days_after_the_first_delivery(bench: Bench, days: int, is_due: bool) -> None:
    await bench.sign("Vera Novak")
    async with bench.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_days = $1", days)
        assert await names_end.end_due(bench.database) == 0  # nothing was delivered
        addressee = await conn.fetchval(
            "INSERT INTO addressee (letter, names) SELECT id, '{}' FROM letter RETURNING id"
        )
        await conn.execute(
            "INSERT INTO addressee_event (letter, addressee, state, at, undone_at)"
            " SELECT id, $1, 'delivered', now() - interval '90 days', now() FROM letter",
            addressee,
        )
        await conn.execute(
            "INSERT INTO addressee_event (letter, addressee, state, at)"
            " SELECT id, $1, 'delivered', now() - interval '10 days' FROM letter",
            addressee,
        )
    assert await names_end.end_due(bench.database) == int(is_due)


async def test_before_the_day_nothing_goes(bench: Bench) -> None:
    await bench.sign("Vera Novak")
    await _due(bench, "UPDATE letter SET names_until = (now() AT TIME ZONE 'UTC')::date + 1")
    assert await names_end.end_due(bench.database) == 0
    assert len(await bench.rows(NAMED)) == 1


async def test_nothing_with_a_name_is_stored_afterwards(site: Installation) -> None:
    confirmed = await Waiting.of(site, visibility="counted")
    assert (await site.client.post(confirmed.link)).status_code == 303
    pending = await Waiting.of(site, "late@letters.example")
    await execute(site, DUE_YESTERDAY)
    await names_end.end_due(site.database)
    await site.page_when(f"/en/{SLUG}/signatories", lambda page: "were deleted on" in page)
    assert (await site.client.post(pending.link)).status_code in {409, 410, 422}
    assert (await site.count())["people"] == 1
    answer = await site.client.post(
        confirmed.own, data={"action": "visibility", "visibility": "public", "name": "Vera Novak"}
    )
    assert answer.status_code == 422
    assert self_service.NAMES_GONE in answer.text
    async with site.database.transaction() as conn:
        row = await queries.by_slug(conn, SLUG)
        assert row is not None
        with pytest.raises(Refused) as refused:
            await lifecycle.move(conn, None, row["id"], StateChange.REOPEN)
    assert refused.value.message == lifecycle.NAMES_GONE


async def test_readers_and_programs_follow(site: Installation) -> None:
    vera = await Waiting.of(site)
    await site.client.post(vera.link)
    page = f"/en/{SLUG}/signatories"
    assert "Vera Novak" in (await site.client.get(page)).text
    await execute(site, DUE_YESTERDAY)
    await names_end.end_due(site.database)
    await site.page_when(page, lambda text: "Vera Novak" not in text)
    for path in (page, f"/en/{SLUG}", f"/api/v1/letters/{SLUG}/signatories"):
        assert "Vera Novak" not in (await site.client.get(path)).text
    counts = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["counts"]
    assert (counts["people"], counts["hidden"]) == (1, 1)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_signatories_are_told_before_they_sign(site: Installation, lang: str) -> None:
    day = (datetime.now(UTC) + timedelta(days=40)).date()
    await execute(site, "UPDATE letter SET names_until = $1, revision = revision + 1", day)
    text = {"en": "all names are deleted; the count stays", "ru": "все имена будут удалены"}[lang]
    await site.page_when(f"/{lang}/{SLUG}", lambda page: text in page.replace("\N{NO-BREAK SPACE}", " "))
    privacy = (await site.client.get(f"/{lang}/privacy?letter={SLUG}")).text
    assert '<li id="names-until">' in privacy
    assert str(day.year) in privacy


@pytest.mark.parametrize(("age", "is_erased"), [(REMOVED.number, True), (REMOVED.number - 1, False)])
async def test_removed_names_are_erased_after_a_while(bench: Bench, age: int, is_erased: bool) -> None:
    (vera,) = await bench.sign("Vera Novak")
    await bench.remove(vera)
    async with bench.database.connection() as conn:
        await conn.execute("ALTER TABLE log DISABLE TRIGGER log_is_append_only")
        await conn.execute("UPDATE log SET at = now() - $1 * interval '1 day' - interval '1 minute'", age)
        await conn.execute("ALTER TABLE log ENABLE TRIGGER log_is_append_only")
    assert await names_end.erase_removed(bench.database) == int(is_erased)
    assert len(await bench.rows(NAMED)) == int(not is_erased)
    await bench.decide(Action.RESTORE, vera)
    assert await bench.states(vera) == [SignatureState.CONFIRMED]
    assert (await bench.check())["hidden"] == int(is_erased)
