"""What the witness reads, and where: a letter's addresses, a long log from where it was left, a mirror."""

import asyncio
import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from petition.count_log import witness
from petition.count_log.cosignatures import Cosigner
from petition.count_log.served_logs import ServedLogs, Unreachable, addresses_of
from petition.count_log.witness import ExitCode, Witness
from petition.count_log.witness_files import WitnessState
from petition.signatures import self_service
from tests import commands
from tests.count_log.conftest import LogBench
from tests.count_log.partner import Partner
from tests.count_log.rewriting import sign
from tests.running import SLUG, Installation, free_port


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
