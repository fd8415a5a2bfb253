"""The witness, as the one file that partners run, against a log that is served: it signs what is right, and says what
is not: an entry dropped, a count lowered, a checkpoint forked, a log that went back, stands still or cannot be read."""

import asyncio
import json
import stat
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petition.core import signing_key
from petition.core.ids import SignatureId
from petition.count_log import merkle, sequencing, tiles, witness, witness_bundle, witnesses
from petition.count_log.checkpoints import Checkpoint, open_checkpoint
from petition.count_log.cosignatures import Cosigner, WitnessKey
from petition.count_log.entries import Exit
from petition.count_log.served_logs import ServedLogs, Unreachable, addresses_of
from petition.count_log.verifying import CountDiffers
from petition.count_log.witness import ExitCode, LogStale, Witness
from petition.count_log.witness_files import BadWitnessFile, WitnessState, read_key
from petition.signatures import self_service
from tests import commands
from tests.count_log.conftest import LogBench
from tests.count_log.logs import person
from tests.count_log.recounting import WRAPPER
from tests.count_log.test_public_pages import key_of, take
from tests.pages import check_page
from tests.running import SLUG, Installation, free_port

BUNDLE = "SELECT entries FROM count_log_bundle WHERE letter = $1 ORDER BY number"
REWRITE = """
WITH bundle AS (
  INSERT INTO count_log_bundle (letter, number, entries) VALUES ($1, 0, $2)
  ON CONFLICT (letter, number) DO UPDATE SET entries = excluded.entries
)
UPDATE count_log SET size = $3, edge = $4, checkpoint = $5 WHERE letter = $1
"""

FIRST = "SELECT id FROM signature WHERE letter = $1 AND state = 'confirmed' ORDER BY signed_at, id LIMIT 1"


@dataclass
class Partner:
    """A partner's machine: the program as one file, a key, a state."""

    folder: Path
    site: Installation
    errors: list[str] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.folder / "witness.key"

    @property
    def state(self) -> Path:
        return self.folder / "witness.json"

    def install(self) -> None:
        (self.folder / witness_bundle.NAME).write_bytes(witness_bundle.content())

    async def run(self, *more: str, url: str = "") -> tuple[int, str]:
        """Run it as cron does; return the exit code, and what it prints."""
        files = "--key", str(self.key), "--state", str(self.state)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", witness_bundle.NAME, url or f"{self.site.base}/en/{SLUG}", *files, *more),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return process.returncode or 0, out.decode() + err.decode()

    @property
    def witness_key(self) -> WitnessKey:
        return read_key(self.key, None)[0].key


@pytest.fixture
def partner(site: Installation, tmp_path: Path) -> Partner:
    there = Partner(tmp_path, site)
    there.install()
    return there


async def sign(site: Installation, logged: LogBench, number: int) -> None:
    """Have so many more sign, all of whom the log has, and readers see."""
    await logged.sign(*["Vera"] * number)
    await take(site, logged)
    await until_shown(site, logged)


async def until_shown(site: Installation, logged: LogBench) -> None:
    """Wait until the web shows the count that the database has."""
    (row,) = await logged.rows("SELECT people FROM count WHERE letter = $1")
    while (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["counts"]["people"] != row["people"]:
        await asyncio.sleep(0.05)


async def entries_of(logged: LogBench) -> list[bytes]:
    return [entry for row in await logged.rows(BUNDLE) for entry in tiles.split_entries(row["entries"])]


async def rewrite(site: Installation, logged: LogBench, entries: Sequence[bytes], name: str = "") -> None:
    """Do what an installation can that lies: serve and sign a log of other entries, fewer than 256."""
    edge = merkle.RightEdge()
    for entry in entries:
        edge.append(merkle.leaf_hash(entry))
    origin = name or sequencing.origin_of(site.base, SLUG)
    async with site.database.connection() as conn:
        signer = await signing_key.signer(conn, WRAPPER, origin)
    note = signer.sign(str(Checkpoint(origin, edge.size, edge.root)))
    await logged.change(REWRITE, tiles.join_entries(entries), edge.size, b"".join(edge.hashes), note)


async def register(logged: LogBench, partner: Partner) -> None:
    async with logged.database.transaction() as conn:
        await witnesses.add(conn, None, logged.letter.id, "Harbour Watch", str(partner.witness_key))


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


async def test_the_command_and_the_downloaded_file_are_one_source(site: Installation, partner: Partner) -> None:
    answer = await site.client.get(f"/{witness_bundle.NAME}")
    assert answer.content == (partner.folder / witness_bundle.NAME).read_bytes()
    page = await site.client.get(f"/en/{SLUG}/witness")
    assert witness_bundle.sha256() in page.text
    code, said = await commands.run(
        f"witness http://127.0.0.1:1/en/{SLUG} --key {partner.key} --state {partner.state}", {}
    )
    assert (code, "cannot be reached" in said) == (ExitCode.UNREACHABLE, True)
    assert await partner.run(url=f"http://127.0.0.1:1/en/{SLUG}") == (code, said.partition("\n")[2])
    assert (await commands.run("witness", {}))[0] == 2


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


@pytest.mark.parametrize("full", [True, False])
async def test_a_long_log_is_read_from_where_it_was_left(
    site: Installation, logged: LogBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setattr(witness, "ALWAYS_FULL", 100)
    await sign(site, logged, 270)
    asked: list[str] = []

    class Watched(ServedLogs):
        def get(self, path: str) -> bytes | None:
            asked.append(path)
            return super().get(path)

    async def run() -> list[str]:
        def once() -> None:
            asked.clear()
            url = f"{site.base}/en/{SLUG}"
            with WitnessState.locked(tmp_path / "state", 1e9) as state, closing(Watched(url)) as server:
                cosigner = Cosigner("w.example", b"1" * 32)
                Witness(server, cosigner, state, is_full=full, now=lambda: 1e9, say=lambda _: None).run()

        await asyncio.to_thread(once)
        return [path.partition("entries/")[2] for path in asked if "entries" in path]

    assert await run() == ["000", "001.p/14"]
    await sign(site, logged, 10)
    assert await run() == (["000", "001.p/24"] if full else ["001.p/24"])
    one = (await logged.sign("Clara"))[0]
    await self_service.withdraw(logged.database, logged.letter, one)
    await sign(site, logged, 300)
    assert await run() == (["000", "001", "002.p/70"] if full else ["001", "002.p/70"])


async def test_a_mirror_is_read_likewise(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    folder = partner.folder / "www" / "letters" / SLUG
    assert (await commands.run(f"mirror {SLUG} {folder}", site.environ))[0] == 0
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"),
        cwd=partner.folder / "www",
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/letters/{SLUG}/"
    try:
        while not await can_connect(port):
            await asyncio.sleep(0.05)
        assert (await partner.run())[0] == 0
        assert (await partner.run(url=url))[0] == 0
        count = json.loads((folder / "count.json").read_text())
        (folder / "count.json").write_text(json.dumps(count | {"people": 11, "total": 11}))
        code, said = await partner.run(url=url)
        assert (code, "readers see 11 people, the log has 12" in said) == (ExitCode.COUNT, True)
    finally:
        process.terminate()
        await process.wait()


async def can_connect(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize(
    ("path", "log", "count"),
    [
        ("/en/open-letter", "/log/open-letter/", "/api/v1/letters/open-letter"),
        ("/ru/open-letter/verify", "/log/open-letter/", "/api/v1/letters/open-letter"),
        ("/open-letter", "/log/open-letter/", "/api/v1/letters/open-letter"),
        ("/log/open-letter/checkpoint", "/log/open-letter/", "/api/v1/letters/open-letter"),
        ("/letters/open-letter/", "/letters/open-letter/log/", "/letters/open-letter/count.json"),
        ("/letters/open-letter/log/", "/letters/open-letter/log/", "/letters/open-letter/count.json"),
        ("/", "/log/", "/count.json"),
    ],
)
def test_addresses(path: str, log: str, count: str) -> None:
    first = addresses_of(path)[0]
    assert (first.log, first.count) == (log, count)
    assert addresses_of(path)[-1].is_copy


@pytest.mark.parametrize(
    "url", ["x", "ftp://x.example/en/x", "http://[::1/en/abc", "http://u:p@x.example", "http://x:y/"]
)
def test_no_address(url: str) -> None:
    with pytest.raises(Unreachable):
        ServedLogs(url).find()


def test_the_key_is_the_partners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made, is_new = read_key(path, "witness.example")
    assert (is_new, path.stat().st_mode & 0o777) == (True, 0o600)
    assert read_key(path, None) == (made, False)
    with pytest.raises(BadWitnessFile, match="not of other"):
        read_key(path, "other.example")
    path.chmod(0o640)
    with pytest.raises(BadWitnessFile, match="chmod 600"):
        read_key(path, None)
    path.chmod(0o600)
    path.write_text("PRIVATE+KEY+x+00000000+AAAA")
    with pytest.raises(BadWitnessFile):
        read_key(path, None)
    with pytest.raises(BadWitnessFile, match="no spaces"):
        read_key(tmp_path / "another", "a name")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 2, "logs": {}}', "newer version"),
        ('{"format": 1, "logs": {"x": {}}}', "damaged"),
    ],
)
def test_a_state_that_cannot_be_used_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "state").write_text(content)
    with pytest.raises(BadWitnessFile, match=words), WitnessState.locked(tmp_path / "state", 0.0):
        pass


async def test_a_state_of_the_future_and_a_second_run(site: Installation, logged: LogBench, partner: Partner) -> None:
    await sign(site, logged, 12)
    assert (await partner.run())[0] == 0
    with WitnessState.locked(partner.state, 1e10):
        code, said = await partner.run()
        assert (code, "another run has not ended" in said) == (ExitCode.OWN_FILES, True)
    state = json.loads(partner.state.read_text())
    (log,) = state["logs"].values()
    log["at"] += 100_000
    partner.state.write_text(json.dumps(state))
    code, said = await partner.run()
    assert (code, "clock is wrong" in said) == (ExitCode.OWN_FILES, True)


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


def test_the_file_can_be_read_and_checked() -> None:
    text = witness_bundle.content().decode()
    assert all(f'SOURCES["petition.{module}"]' in text for module in witness_bundle.MODULES)
    assert "import nacl" not in text
