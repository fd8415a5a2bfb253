"""The witness, as the one file that partners run, against a log that is served: it signs what is right, and says what
is not: an entry dropped, a count lowered, a checkpoint forked, a log that went back, stands still or cannot be read."""

import asyncio
import stat
from contextlib import closing
from pathlib import Path

import pytest

from petition.core.ids import SignatureId
from petition.count_log import sequencing, tiles, witness
from petition.count_log.checkpoints import open_checkpoint
from petition.count_log.cosignatures import Cosigner
from petition.count_log.entries import Exit
from petition.count_log.served_logs import ServedLogs
from petition.count_log.verifying import CountDiffers
from petition.count_log.witness import ExitCode, LogStale, Witness
from petition.count_log.witness_files import WitnessState
from petition.signatures import self_service
from tests.count_log.conftest import LogBench
from tests.count_log.logs import person
from tests.count_log.partner import Partner
from tests.count_log.recounting import WRAPPER
from tests.count_log.rewriting import entries_of, register, rewrite, sign, until_shown
from tests.count_log.test_public_pages import key_of, take
from tests.pages import check_page
from tests.running import SLUG, Installation

FIRST = "SELECT id FROM signature WHERE letter = $1 AND state = 'confirmed' ORDER BY signed_at, id LIMIT 1"


async def test_it_checks_cosigns_and_hands_back(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    code, said = await partner.run("--name", "witness.example.org")
    assert code == 0
    assert said.count(str(partner.witness_key)) == 2  # made, and not registered yet
    assert partner.witness_key.name == "witness.example.org"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (partner.key, partner.state)} == {0o600}
    await register(logged, partner)
    code, said = await partner.run()
    assert (code, said.count("\n")) == (0, 1), said
    assert "12 entries make 12 signatures" in said
    served = (await site.client.get(f"/log/{SLUG}/checkpoint")).text
    assert partner.witness_key.signed_at(served) is not None
    assert open_checkpoint(served, await key_of(site)).size == 12
    assert (await site.client.get(f"/log/{SLUG}/cosigned")).text == served
    for page in ("verify", "witness"):
        answer = await site.client.get(f"/en/{SLUG}/{page}")
        check_page(answer, 200, "en")
        assert "Harbour Watch" in answer.text
    await self_service.withdraw(logged.database, logged.letter, (await logged.sign("Boris"))[0])
    await sign(site, logged, 300)
    for url in (f"{site.base}/{SLUG}", f"{site.base}/log/{SLUG}/", f"{site.base}/log/{SLUG}/checkpoint"):
        code, said = await partner.run(url=url)
        assert (code, "314 entries make 312 signatures" in said) == (0, True), said


async def test_one_entry_dropped(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    fresh = Partner(partner.folder / "fresh", site)
    fresh.folder.mkdir()
    fresh.install()
    assert (await partner.run())[0] == 0
    entries = await entries_of(logged)
    # Dropped from what is served, whatever was signed.
    await logged.change("UPDATE count_log_bundle SET entries = $2 WHERE letter = $1", tiles.join_entries(entries[1:]))
    for one in (partner, fresh):
        code, said = await one.run()
        assert (code, "wrong: tile/entries/000.p/12 has 11 entries instead of 12" in said) == (ExitCode.ENTRIES, True)
    # Changed.
    forged = tiles.join_entries([bytes(person(99)), *entries[1:]])
    await logged.change("UPDATE count_log_bundle SET entries = $2 WHERE letter = $1", forged)
    for one in (partner, fresh):
        code, said = await one.run()
        assert (code, "one is missing or was changed" in said) == (ExitCode.ENTRIES, True)
    # Dropped and signed anew: a log that is consistent in itself, but for those who know the one before.
    await rewrite(site, logged, entries[1:])
    code, said = await partner.run()
    assert (code, "wrong: the log had 12 entries and has 11: it went back" in said) == (ExitCode.WENT_BACK, True)
    code, said = await fresh.run()
    assert (code, "readers see 12 people, the log has 11" in said) == (ExitCode.COUNT, True)


async def test_an_entry_dropped_while_others_come(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    assert (await partner.run())[0] == 0
    await sign(site, logged, 10)
    entries = await entries_of(logged)
    await rewrite(site, logged, [*entries[:3], *entries[4:]])
    code, said = await partner.run()
    assert (code, "it was forked, and both its checkpoints are signed" in said) == (ExitCode.FORKED, True)


async def test_an_exit_of_no_entry(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    entries = await entries_of(logged)
    await rewrite(site, logged, [*entries, bytes(person(99, exit=Exit.WITHDRAWN))])
    code, said = await partner.run()
    assert (code, "entry 12 does not fit those before it" in said) == (ExitCode.ENTRIES, True)


async def test_one_count_lowered(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    assert (await partner.run())[0] == 0
    await logged.change("UPDATE count SET people = people - 1 WHERE letter = $1")
    await until_shown(site, logged)
    code, said = await partner.run()
    assert (code, "wrong: readers see 11 people, the log has 12" in said) == (ExitCode.COUNT, True)
    assert "The count that is shown is not the one that the log makes" in (
        await site.client.get(f"/en/{SLUG}/verify")
    ).text.replace("\n", " ")
    await logged.change("UPDATE count SET people = people + 1 WHERE letter = $1")
    await until_shown(site, logged)
    assert (await partner.run())[0] == 0
    assert "is not the one" not in (await site.client.get(f"/en/{SLUG}/verify")).text


async def test_entries_that_wait_are_no_fault(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    await logged.sign("Boris", "Clara")
    await until_shown(site, logged)
    assert await logged.waiting() == 2
    code, said = await partner.run()
    assert (code, "12 entries make 12 signatures" in said) == (0, True)


async def test_one_checkpoint_forked(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    assert (await partner.run())[0] == 0
    before = partner.state.read_bytes()
    entries = await entries_of(logged)
    await rewrite(site, logged, [bytes(person(99)), *entries[1:]])
    for _ in range(2):  # it goes on saying so
        code, said = await partner.run()
        assert (code, "it was forked, and both its checkpoints are signed" in said) == (ExitCode.FORKED, True)
    assert partner.state.read_bytes() == before
    evidence = Path(f"{partner.state}.evidence").read_text(encoding="utf-8")
    first, second = (part.partition("\n\n")[0] for part in evidence.split(sequencing.origin_of(site.base, SLUG))[1:3])
    assert first != second
    assert "before:" in evidence
    assert "and now:" in evidence


async def test_another_key_is_not_the_logs(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    other = sequencing.origin_of(site.base, SLUG) + str(await key_of(site)).partition(SLUG)[2]
    assert (await partner.run("--log-key", other))[0] == 0
    await logged.change(
        "UPDATE count_log SET checkpoint = replace(checkpoint, $2, $3) WHERE letter = $1", "\n12\n", "\n13\n"
    )
    code, said = await partner.run()
    assert (code, "the checkpoint is not valid" in said) == (ExitCode.BAD_CHECKPOINT, True)
    await rewrite(site, logged, await entries_of(logged), name="another.example")
    code, said = await partner.run("--log-key", "x")
    assert (code, "name+hash+key" in said) == (ExitCode.OWN_FILES, True)
    code, said = await partner.run()
    assert (code, "the log is called another.example now" in said) == (ExitCode.BAD_CHECKPOINT, True)
    await rewrite(site, logged, await entries_of(logged))
    async with site.database.transaction() as conn:
        await conn.execute("UPDATE signing_key SET wrapped = $1", WRAPPER.wrap(b"k" * 32))
    code, said = await partner.run()
    assert (code, "another key than before" in said) == (ExitCode.BAD_CHECKPOINT, True)


async def test_a_count_that_the_log_never_follows(site: Installation, logged: LogBench, tmp_path: Path) -> None:
    """That entries wait is the installation's word: they have to come."""
    await sign(site, logged, 12)
    clock = [1_800_000_000.0]
    server = ServedLogs(f"{site.base}/en/{SLUG}", pause=lambda _: None)
    cosigner, said = Cosigner("witness.example", b"1" * 32), list[str]()

    async def run() -> str:
        def once() -> str:
            with WitnessState.locked(tmp_path / "state", clock[0]) as state, closing(server):
                return Witness(server, cosigner, state, now=lambda: clock[0], say=said.append).run()

        return await asyncio.to_thread(once)

    await logged.sign("Boris")
    await until_shown(site, logged)
    for _ in range(2):
        assert "12 entries make 12" in await run()
    clock[0] += witness.SETTLED_AFTER
    with pytest.raises(LogStale, match="saw 13 people; the log still has 12: it is stale"):
        await run()
    # What comes instead is not what was shown: the one who waited is forgotten, and another withdraws.
    await logged.change("DELETE FROM count_log_queue WHERE letter = $1")
    await logged.change("UPDATE count SET people = people - 1 WHERE letter = $1")
    await self_service.withdraw(logged.database, logged.letter, SignatureId(await first_id(logged)))
    await take(site, logged)
    await until_shown(site, logged)
    with pytest.raises(CountDiffers, match="saw 13 people, which the log has never had"):
        await run()
    (tmp_path / "state").unlink()
    assert "13 entries make 11" in await run()


async def first_id(logged: LogBench) -> int:
    """Return the signature that the log has had for the longest time; ids are random."""
    (row,) = await logged.rows(FIRST)
    return int(row["id"])


async def test_what_is_handed_back_is_looked_at(site: Installation, logged: LogBench) -> None:
    await sign(site, logged, 12)
    note = (await logged.log()).checkpoint
    for content, status in [(note, 403), ("", 422), ("x" * 9000, 413), (note.replace("12", "13", 1), 422)]:
        answer = await site.client.post(f"/log/{SLUG}/cosignatures", content=content.encode())
        assert answer.status_code == status, content[:20]
    assert (await site.client.post("/log/no-such-letter/cosignatures", content=b"")).status_code == 404
    assert (await site.client.get(f"/log/{SLUG}/cosigned")).status_code == 404
    assert (await site.client.get(f"/log/{SLUG}/key")).text == f"{await key_of(site)}\n"
    shown = (await site.client.get(f"/log/{SLUG}/count")).json()
    assert shown.pop("counted_at").endswith("Z")
    nothing = {"people": 0, "organizations": 0, "imported": 0}
    assert shown == nothing | {"people": 12, "stepped": False, "size": 12, "waiting": nothing}
