"""What the worker takes into the log, when, and in which order; two workers, a killed one, old processes."""

import asyncio
import re
from contextlib import suppress
from datetime import date

import pytest

from petition.core.database import migrations
from petition.count_log import mending, queries, reading, sequencing, tiles, verifying
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import EntryKind, Exit, LogEntry, token_of
from petition.count_log.tiles import TilePath
from petition.letters.model import Tally
from petition.moderation.model import Action
from petition.signatures import paper_tallies, self_service
from petition.signatures.model import Reason
from tests.count_log.conftest import LogBench
from tests.count_log.logs import MadeLog
from tests.count_log.recounting import WRAPPER, recount
from tests.running import SLUG

OLDER = "UPDATE count_log_queue SET at = at - interval '10 minutes' WHERE letter = $1"
# As an older version of the program counts: without a word to the log.
FORGET = "DELETE FROM count_log_queue WHERE letter = $1"


def entries_in(files: dict[str, bytes]) -> list[LogEntry]:
    bundles = [content for path, content in files.items() if path.startswith("tile/entries/")]
    return [LogEntry.parse(entry) for bundle in bundles for entry in tiles.split_entries(bundle)]


async def test_a_log_begins_empty_and_signed(logged: LogBench) -> None:
    await logged.take()
    log = await logged.log()
    assert (log.size, log.people) == (0, 0)
    assert Checkpoint.parse(log.checkpoint).origin == f"letters.example.org/log/{SLUG}"
    assert (await recount(logged.database, logged.letter.id)).total == 0


async def test_entries_wait_for_others_or_for_ten_minutes(logged: LogBench) -> None:
    await logged.sign(*["Vera"] * 9)
    await logged.take()
    assert (await logged.log()).size == 0
    await logged.sign("Boris")
    await logged.take()
    assert (await logged.log()).size == 10
    await logged.sign("Clara")
    await logged.take()
    assert (await logged.log()).size == 10
    await logged.change(OLDER)
    await logged.take()
    assert (await logged.log()).size == 11


async def test_a_large_letter_does_not_wait(logged: LogBench) -> None:
    await logged.take()
    await logged.crowd(1000)
    assert await mending.mend(logged.database, WRAPPER) == 1000
    await logged.take()
    await logged.sign("Vera")
    await logged.take()
    assert (await logged.log()).size == 1001


async def test_a_sensitive_letter_is_logged_in_steps_of_ten_minutes(logged: LogBench) -> None:
    await logged.change("UPDATE letter SET sensitive = true WHERE id = $1")
    await logged.sign(*["Vera"] * 15)
    # Whatever the time is now: these are of the step before, and twelve of this one.
    await logged.change(
        "UPDATE count_log_queue SET at = date_bin('10 minutes', now(), 'epoch'::timestamptz) - interval '1 second'"
        " WHERE letter = $1 AND id <= (SELECT min(id) + 2 FROM count_log_queue)"
    )
    await logged.change("UPDATE count_log_queue SET at = now() WHERE letter = $1 AND at > now() - interval '1 second'")
    before = await logged.rows("SELECT date_bin('10 minutes', now(), 'epoch'::timestamptz) AS at WHERE $1 > 0")
    await logged.take()
    after = await logged.rows("SELECT date_bin('10 minutes', now(), 'epoch'::timestamptz) AS at WHERE $1 > 0")
    assert before == after, "ten minutes were over in this moment"
    assert (await logged.log()).size == 3
    assert await logged.waiting() == 12


async def test_the_log_does_not_tell_the_order_of_signing(logged: LogBench) -> None:
    await logged.take()
    ids = await logged.sign(*["Vera"] * 40)
    await logged.take()
    log, files = await logged.log(), await logged.files()
    tokens = [entry.token for entry in entries_in(files)]
    signed = [log.receipt(WRAPPER, EntryKind.PERSON, one) for one in ids]
    order = [tokens.index(token_of(receipt)) for receipt in signed]
    assert sorted(order) == list(range(40))
    assert order != sorted(order)


async def test_an_entry_comes_before_its_exit_also_within_one_checkpoint(logged: LogBench) -> None:
    await logged.take()
    ids = await logged.sign(*["Vera"] * 20)
    for one in ids[:10]:
        await self_service.withdraw(logged.database, logged.letter, one)
    outcome = await logged.remove(ids[15])
    await logged.undo(outcome.log_id)
    counted = await logged.check_log()
    assert (counted.people, counted.entries) == (10, 32)
    assert counted.exits == {Exit.WITHDRAWN: 10, Exit.REMOVED_AS_FAKE: 1}


async def test_organizations_count_once_whoever_signs_for_them(logged: LogBench) -> None:
    first, second = [await logged.sign_for("North Pier", name) for name in ("Anna Berg", "Boris Hill")]
    await logged.decide(Action.APPROVE, first, second)
    assert (await logged.check_log()).entries == 1
    await self_service.withdraw(logged.database, logged.letter, first)
    assert (await logged.check_log()).entries == 1
    await logged.remove(second)
    counted = await logged.check_log()
    assert (counted.organizations, counted.exits) == (0, {Exit.REMOVED_AS_FAKE: 1})


async def test_exits_have_the_class_of_the_reason_and_name_the_entry_they_cancel(logged: LogBench) -> None:
    people = dict(zip(Reason, await logged.sign(*["Vera"] * len(Reason)), strict=True))
    for reason, one in people.items():
        await logged.decide(Action.REMOVE, one, reason=reason)
    first, second = [await logged.sign_for(name, "Anna Berg") for name in ("North Pier", "South Pier")]
    await logged.decide(Action.APPROVE, first, second)
    await logged.decide(Action.REMOVE, first, reason=Reason.NOT_AUTHORIZED)
    await self_service.withdraw(logged.database, logged.letter, second)
    await logged.check_log()
    log, entries = await logged.log(), entries_in(await logged.files())
    exits = {entry.token: entry.exit for entry in entries if entry.exit}
    assert exits.keys() == {entry.token for entry in entries if not entry.exit}
    by_reason = {reason: exits[token_of(log.receipt(WRAPPER, EntryKind.PERSON, one))] for reason, one in people.items()}
    assert by_reason == {
        Reason.FAKE: Exit.REMOVED_AS_FAKE,
        Reason.DUPLICATE: Exit.REMOVED_AS_DUPLICATE,
        Reason.ABUSE: Exit.REMOVED_AS_ABUSE,
        Reason.NOT_AUTHORIZED: Exit.REMOVED_AS_NOT_AUTHORIZED,
        Reason.AT_REQUEST: Exit.REMOVED_AT_REQUEST,
        Reason.OTHER: Exit.REMOVED,
    }
    assert all(exit.is_removal for exit in by_reason.values())
    of_organizations = {entry.exit for entry in entries if entry.exit and entry.kind is EntryKind.ORGANIZATION}
    assert of_organizations == {Exit.REMOVED_AS_NOT_AUTHORIZED, Exit.WITHDRAWN}


def test_a_reason_of_a_later_version_is_an_exit() -> None:
    entry = LogEntry.parse(bytes([EntryKind.PERSON, 200]) + bytes(32))
    assert (entry.change, entry.exit.name, bytes(entry)[1]) == (-1, "REASON_200", 200)


async def test_tiles_are_those_of_the_format(logged: LogBench) -> None:
    await logged.take()
    sizes = []
    for number in (200, 55, 1, 400, 1, 70_000):
        await logged.crowd(number)
        await mending.mend(logged.database, WRAPPER)
        older = (await logged.log()).checkpoint if number == 1 else ""
        await logged.check_log()
        sizes.append((await logged.log()).size)
        if older:
            read, head = (await logged.files()).__getitem__, await logged.log()
            text, _, _ = head.checkpoint.partition("\n\n")
            verifying.check_growth(read, Checkpoint.parse(older), Checkpoint.parse(text + "\n"))
    assert sizes == [200, 255, 256, 656, 657, 70_657]
    files = await logged.files()
    made = MadeLog([bytes(entry) for entry in entries_in(files)])
    del files[tiles.CHECKPOINT], made.files[tiles.CHECKPOINT]
    assert files == made.files
    # Partial tiles of earlier sizes are still there.
    async with logged.database.connection() as conn:
        head = await logged.log()
        for path, partial in (("tile/0/000", "tile/0/000.p/200"), ("tile/1/000", "tile/1/000.p/2")):
            content = await reading.file(conn, head, TilePath.parse(partial))
            assert content
            assert files[path].startswith(content)
        assert await reading.file(conn, head, TilePath.parse("tile/1/002")) is None


async def test_two_workers_take_each_entry_once(logged: LogBench) -> None:
    await logged.crowd(3000)
    await logged.take()
    await mending.mend(logged.database, WRAPPER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequencing, "BATCH", 100)
        while await logged.waiting():
            await asyncio.gather(*(logged.take() for _ in range(4)))
    assert (await logged.check_log()).entries == 3000


async def test_a_worker_that_ends_in_the_middle_leaves_the_log_as_it_was(
    logged: LogBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged.take()
    await logged.sign(*["Vera"] * 12)
    before = await logged.files()
    monkeypatch.setattr(queries, "STORE", "SELECT pg_terminate_backend(pg_backend_pid()), $1::int, $2::bigint,"
        " $3::bytea, $4::bigint, $5::bigint, $6::bigint, $7::text")  # fmt: skip
    with suppress(Exception):
        await logged.take()
    assert await logged.files() == before
    assert await logged.waiting() == 12
    monkeypatch.undo()
    assert (await logged.check_log()).entries == 12


async def test_what_old_processes_counted_is_added(logged: LogBench) -> None:
    ids = await logged.sign(*["Vera"] * 12)
    organization = await logged.sign_for("North Pier")
    await logged.decide(Action.APPROVE, organization)
    await logged.check_log()
    assert await mending.mend(logged.database, WRAPPER) == 0
    # The sums alone would not tell: one withdraws while another signs.
    await self_service.withdraw(logged.database, logged.letter, ids[2])
    await logged.sign("Gleb")
    await logged.change(FORGET)
    await logged.change("UPDATE count_log SET begun_at = begun_at - interval '2 hours' WHERE letter = $1")
    assert await mending.mend(logged.database, WRAPPER) == 2
    await logged.check_log()
    await self_service.withdraw(logged.database, logged.letter, ids[0])
    await self_service.delete(logged.database, logged.letter, ids[1])
    await logged.sign("Boris", "Clara", "Dora")
    await logged.remove(organization)
    await logged.change(FORGET)
    await logged.sign("Emil")
    assert await mending.mend(logged.database, WRAPPER) == 6
    counted = await logged.check_log()
    assert (counted.people, counted.organizations) == (14, 0)
    assert counted.exits == {Exit.WITHDRAWN: 4}
    assert await mending.mend(logged.database, WRAPPER) == 0


BACKFILL = re.compile(r"INSERT INTO count_log_queue.*?;", re.DOTALL)


async def test_what_counts_already_is_logged_after_an_upgrade(logged: LogBench) -> None:
    """The migration's own statement, on rows of every kind and without a log."""
    await logged.sign(*["Vera"] * 5)
    representatives = [await logged.sign_for("North Pier"), await logged.sign_for("North Pier", "Boris")]
    await logged.decide(Action.APPROVE, *representatives)
    await logged.remove(*await logged.sign("Boris"))
    await logged.sign_for("South Pier")  # waits
    tally = Tally(480, date(2022, 3, 5), {"en": "in the square"})
    async with logged.database.transaction() as conn:
        await paper_tallies.add(conn, logged.actor, tally)
    await logged.change(FORGET)
    (statement,) = [found[0] for _, _, sql in migrations() if (found := BACKFILL.search(sql))]
    async with logged.database.transaction() as conn:
        await conn.execute(statement)
    assert await mending.mend(logged.database, WRAPPER) == 0
    counted = await logged.check_log()
    assert (counted.people, counted.organizations, counted.imported, counted.entries) == (485, 1, 480, 7)
