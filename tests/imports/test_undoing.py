"""Undoing a whole import, restoring it, workers that die, two at once: the count is exact after each."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from petition.core.settings import Process, load
from petition.imports import adding, prepared_rows, undoing, worker
from petition.imports.column_mapping import Plan
from petition.imports.prepared_rows import PreparedRows
from petition.imports.worker import RunningImport
from petition.moderation import reports
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.signatures.model import Reason
from tests import rows
from tests.faults.processes import command, worker_environ
from tests.imports.desk import FORM, IMPORT, LANGUAGES
from tests.imports.test_steering import carrying, counts
from tests.mail.post_office import PostOffice
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import SLUG, Installation

FILE = """\
name,organization,email,kind,visibility
Vera Novak,,vera@letters.example,person,public
Вера Новак,,,person,organizers
,North Pier // Северный пирс,,organization,
,North Pier,,organization,
,Third Line,,organization,
Anna Ek,,anna@letters.example,person,counted
"""
ALL = """
SELECT s.id, s.kind, s.state, s.visibility, s.name, s.affiliation, s.city, s.digest, s.import_key, s.private, s.import,
       s.name_key, s.country, s.signed_at, o.name_en, o.name_ru
FROM signature s LEFT JOIN organization o ON o.id = s.organization WHERE s.letter = $1 ORDER BY s.id
"""
WAITS_TO_ADD = "SELECT FROM pg_locks WHERE relation = 'signature'::regclass AND NOT granted"
BY_NAME = "SELECT id FROM signature WHERE letter = $1 AND name = 'Vera Novak'"


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def test_it_is_as_if_it_had_never_been_and_comes_back(site: Installation, bench: Bench) -> None:
    await bench.sign("Olga Signed")
    await bench.sign_for("Third Line")
    before = await bench.snapshot()
    async with carrying(site) as one:
        await one.bring(FILE.encode())
        imported = await bench.rows(ALL)
        assert await one.counted() == counts(4, 2, 2, 5)
        await one.do("undo")
        assert await bench.snapshot() == before
        stands = await one.newest()
        assert (stands.state, stands.report["undone"], stands.report["left"]) == ("undone", 6, 0)
        assert (await one.see()).status_code == 200
        assert (await one.do("undo")).status_code == 422
        await one.do("redo")
        assert await bench.rows(ALL) == imported
        await bench.check()
        assert await one.counted() == counts(4, 2, 2, 5)
        assert (await one.do("redo")).status_code == 422
        await one.do("undo")
        assert await bench.snapshot() == before


async def test_the_corrected_file_can_be_imported_after_undoing(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(FORM.encode())
        await one.do("undo")
        again = await one.bring(FORM.encode(), more={"visibility": "public"})
        assert again.report["people"] == 3
        first = again.number - 1
        (row,) = await rows.rows_of(site.database, f"SELECT changed FROM intake WHERE number = {first}")
        form = {"step": "redo", "changed": str(row["changed"])}
        answer = await one.client.post(f"/organizer/keep-the-channels-open/import/{first}", data=form)
        assert answer.status_code == 303
        await one.work()
        assert (await one.counted())["people"] == 3, "nobody appears twice"
        await bench.check()


async def test_who_signed_meanwhile_is_not_there_twice(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(FORM.encode())
        await one.do("undo")
        (vera,) = await bench.confirm(["vera@letters.example"], name="Vera Novak")
        assert await bench.states(vera) == ["confirmed"], "a mailbox of an undone import may sign"
        await one.do("redo")
        assert (await one.newest()).report["known"] == 0, "who signed meanwhile is not reported"
        assert (await one.counted())["people"] == 3
        await bench.check()


async def test_whom_a_moderator_has_decided_about_stays(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(FILE.encode())
        (vera,) = (row["id"] for row in await bench.rows(BY_NAME))
        await bench.remove(vera, reason=Reason.FAKE)
        pier = await bench.rows("SELECT id FROM signature WHERE letter = $1 AND organization IS NOT NULL ORDER BY id")
        await bench.remove(pier[0]["id"])
        await bench.decide(Action.RESTORE, pier[0]["id"])
        await one.do("undo")
        stands = await one.newest()
        assert (stands.report["undone"], stands.report["left"]) == (4, 1)
        assert await bench.states(vera, pier[0]["id"]) == ["removed", "confirmed"]
        await bench.check()
        assert "someone has moderated them" in (await one.see()).text
        await one.do("redo")
        await bench.check()


async def test_who_took_a_signature_back_stays_away(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(FILE.encode())
        (vera,) = (row["id"] for row in await bench.rows(BY_NAME))
        await self_service.withdraw(site.database, bench.letter, vera)
        await one.do("undo")
        await one.do("redo")
        assert await bench.states(vera) == ["withdrawn"]
        await bench.check()


async def test_in_many_steps_with_signatures_in_between(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "name\n" + "".join(f"Person {n} Crowd\n" for n in range(300))
    async with carrying(site) as one:
        await one.bring(text.encode(), more={"visibility": "public"})
        monkeypatch.setattr(undoing.take_back, "__defaults__", (100,))
        now = await one.newest()
        form = {"step": "undo", "changed": str(now.changed)}
        await one.client.post(f"/organizer/keep-the-channels-open/import/{now.number}", data=form)
        for left in (200, 100, 0):
            assert await worker.step(site.database, WRAPPER, LANGUAGES)
            assert (await bench.check())["people"] == left + (left < 200) + (left < 100)
            await bench.sign("Olga Between")
        await one.work()
        assert (await one.newest()).state == "undone"
        assert (await bench.check())["people"] == 3


async def test_what_was_undone_is_forgotten_after_a_week(site: Installation) -> None:
    async with carrying(site) as one:
        await one.bring(FORM.encode())
        await one.do("undo")
        async with site.database.connection() as conn:
            await conn.execute("UPDATE undone SET at = now() - interval '6 days'")
        await worker.drop_expired_files(site.database)
        assert await rows.rows_of(site.database, "SELECT FROM undone")
        async with site.database.connection() as conn:
            await conn.execute("UPDATE undone SET at = now() - interval '8 days'")
        await worker.drop_expired_files(site.database)
        assert not await rows.rows_of(site.database, "SELECT FROM undone")
        refused = await one.do("redo")
        assert refused.status_code == 422
        assert "nothing left" in refused.text


async def test_two_imports_at_once(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        for _ in range(2):
            await one.upload(FILE.encode())
            await one.work()
            await one.check()
        for row in await rows.rows_of(site.database, "SELECT number, changed FROM intake"):
            form = {"step": "start", "changed": str(row["changed"])}
            await one.client.post(f"/organizer/keep-the-channels-open/import/{row['number']}", data=form)
        await asyncio.gather(*(worker.step(site.database, WRAPPER, LANGUAGES) for _ in range(4)))
        await one.work()
        reports = [row["report"] for row in await rows.rows_of(site.database, "SELECT report FROM intake")]
        assert sorted(report["people"] for report in reports) == [0, 3]
        assert await one.counted() == counts(3, 2, 2, 5)
        await bench.check()


async def test_cancelled_at_the_last_moment(site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    add_staged = adding.add_staged

    async def slowly(*args: object, **kwargs: object) -> object:
        form = {"step": "cancel", "changed": str((await one.newest()).changed)}
        answer = await one.client.post(f"/organizer/keep-the-channels-open/import/{number}", data=form)
        assert answer.status_code == 303
        return await add_staged(*args, **kwargs)  # type: ignore[arg-type]

    async with carrying(site) as one:
        await one.upload(FILE.encode())
        await one.work()
        await one.check()
        number = (await one.newest()).number
        monkeypatch.setattr(adding, "add_staged", slowly)
        await one.do("start")
        assert (await one.newest()).state == "cancelled"
        assert await one.counted() == counts(0, 0, 0, 0)
        await bench.check()


async def test_progress_is_seen_and_a_cancelled_one_stops_reading(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "name\n" + "".join(f"Person {n} Crowd\n" for n in range(5000))
    monkeypatch.setattr(worker, "TICK", 0.01)
    blocks, going = PreparedRows.blocks, asyncio.Event()

    async def slowly(prepared: PreparedRows):  # type: ignore[no-untyped-def]
        async for lines in blocks(prepared):
            yield lines
            await going.wait()

    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        await one.check()
        now = await one.newest()
        form = {"step": "start", "changed": str(now.changed)}
        await one.client.post(f"/organizer/keep-the-channels-open/import/{now.number}", data=form)
        monkeypatch.setattr(PreparedRows, "blocks", slowly)
        working = asyncio.create_task(worker.step(site.database, WRAPPER, LANGUAGES))
        while not (await one.newest()).progress:
            await asyncio.sleep(0.01)
        page = await one.see()
        assert 'max="5000"' in page.text
        form = {"step": "cancel", "changed": str((await one.newest()).changed)}
        await one.client.post(f"/organizer/keep-the-channels-open/import/{now.number}", data=form)
        going.set()
        assert await working
        assert (await one.newest()).state == "cancelled"
        assert await one.counted() == counts(0, 0, 0, 0)


async def test_a_killed_worker_leaves_nothing_half_done(site: Installation, bench: Bench, tmp_path: Path) -> None:
    text = "name,email\n" + "".join(f"Person {n} Crowd,p{n}@letters.example\n" for n in range(2_000))
    post = PostOffice()
    await post.open()
    environ = worker_environ(site.environ, post.port)
    assert load(environ, role=Process.WORKER).contact_private_key
    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        await one.check()
        now = await one.newest()
        form = {"step": "start", "changed": str(now.changed)}
        await one.client.post(f"/organizer/keep-the-channels-open/import/{now.number}", data=form)
        async with (
            command("worker", environ, tmp_path / "worker.log") as process,
            site.database.transaction() as conn,
        ):
            await conn.execute("LOCK TABLE signature IN SHARE MODE")  # until all rows are staged
            while not await rows.rows_of(site.database, WAITS_TO_ADD):
                await asyncio.sleep(0.02)
            await process.kill()
        stands = await one.newest()
        assert stands.state == "importing"
        assert await one.counted() == counts(0, 0, 0, 0)
        assert not await rows.rows_of(site.database, "SELECT FROM signature")
        async with command("worker", environ, tmp_path / "worker.log"):
            while (await one.newest()).state == "importing":
                await asyncio.sleep(0.1)
        assert await one.counted() == counts(2_000, 0, 2_000, 2_000)
    await post.close()


async def test_live_confirming_is_not_held_up(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is being read and staged, the same mailbox confirms."""
    async with site.database.transaction() as conn:
        (pending,) = await rows.add_pending(conn, bench.letter, ["vera@letters.example"])
    stage = worker._stage_again

    async def with_a_confirmation(job: RunningImport, plan: Plan) -> object:
        reader = await stage(job, plan)
        await Confirming(site.database).submit(ConfirmRequest(bench.letter.id, pending, bench.letter.keys))
        return reader

    async with carrying(site) as one:
        await one.upload(FORM.encode())
        await one.work()
        await one.check()
        monkeypatch.setattr(worker, "_stage_again", with_a_confirmation)
        await one.do("start")
        assert (await one.newest()).report["known"] == 0
        assert (await bench.check())["people"] == 3


async def test_what_readers_reported_comes_back_too(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(FILE.encode())
        (vera,) = await bench.rows(BY_NAME)
        async with site.database.transaction() as conn:
            note = bench.letter.keys.hide({"text": "I am Vera"})
            await conn.execute(reports.ADD_REPORT, bench.letter.id, vera["id"], "me", note)
            await conn.execute(reports.ADD_REPORT, bench.letter.id, vera["id"], "fake", None)
        reported = await bench.rows(REPORTS)
        assert len(reported) == 2
        await one.do("undo")
        assert await bench.rows(REPORTS) == []
        await one.do("redo")
        assert await bench.rows(REPORTS) == reported
        (row,) = await bench.rows("SELECT flags FROM signature WHERE letter = $1 AND name = 'Vera Novak'")
        assert row["flags"] == ["reported"]
        await bench.check()


REPORTS = "SELECT signature, reason, note, at, settled_by FROM report WHERE letter = $1 ORDER BY id"


async def test_the_log_leads_to_where_an_import_is_undone(site: Installation) -> None:
    async with carrying(site) as one:
        number = (await one.bring(FORM.encode())).number
        assert f'href="{IMPORT}/{number}"' in (await one.client.get(f"/organizer/{SLUG}/log")).text
    async with people.at_desk(site, "moderator", email="moderator@letters.example") as client:
        assert f'href="{IMPORT}' not in (await client.get(f"/organizer/{SLUG}/log")).text


async def test_an_import_adds_what_its_trial_has_read(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not read again, unless its rows were prepared by another version of the program."""
    stage, read_again = worker._stage, []

    async def noted(job: RunningImport, *, skip: bool, dry_run: bool = False) -> object:
        read_again.append(dry_run)
        return await stage(job, skip=skip, dry_run=dry_run)

    monkeypatch.setattr(worker, "_stage", noted)
    async with carrying(site) as one:
        await one.bring(FILE.encode())
        assert read_again == [True]
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
        first = await bench.rows(ALL)
        await one.do("undo")
        await one.upload(FILE.encode())
        await one.work()
        await one.check()
        monkeypatch.setattr(prepared_rows, "FORMAT", prepared_rows.FORMAT + 1)
        await one.do("start")
        assert read_again == [True, True, False]
        same = (
            "kind",
            "state",
            "visibility",
            "name",
            "digest",
            "import_key",
            "country",
            "signed_at",
            "name_en",
            "name_ru",
        )
        assert [[row[key] for key in same] for row in sorted(await bench.rows(ALL), key=by_key)] == [
            [row[key] for key in same] for row in sorted(first, key=by_key)
        ]


def by_key(row: Mapping[str, Any]) -> bytes:
    key: bytes = row["import_key"]
    return key
