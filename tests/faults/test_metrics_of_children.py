"""One scrape answers for all processes of ``--workers N``, exactly, and counters never go down when one is killed."""

import asyncio
import os
import signal
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from petition.core import metric_cells
from tests.faults.processes import command
from tests.faults.test_orphans import answers, children_of
from tests.running import environment, free_port

BEARER = {"authorization": "Bearer t0ken"}


async def scrape(port: int) -> dict[str, float]:
    """Return what one of the processes says, by name and labels, over a new connection."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        text = (await client.get("/metrics", headers=BEARER)).text
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


async def read(port: int, number: int) -> None:
    """Read the home page over new connections, so that each process gets some."""
    for _ in range(number):
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/en/", headers={"host": f"localhost:{port}"})).status_code == 200


async def test_one_scrape_is_the_sum(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    environ = environment(tmp_path, database_url, port) | {"METRICS_TOKEN": "t0ken"}
    page, total = "petition_request_seconds_count GET /{lang}/", "petition_requests_total GET /{lang}/ 200"
    async with asyncio.timeout(120), command(f"serve --port {port} --workers 2", environ, tmp_path / "log") as web:
        await answers(port)
        while (await scrape(port))["petition_processes"] != 2:
            await asyncio.sleep(0.05)
        await read(port, 30)
        seen = [await scrape(port) for _ in range(8)]
        assert {one[total] for one in seen} == {one[page] for one in seen} == {30}
        assert {one["petition_process_starts_total"] for one in seen} == {2}
        assert {one["petition_database_up"] for one in seen} == {1}
        (victim, *_) = [pid for pid in children_of(web.process.pid) if b"petition.web.process" in cmdline(pid)]
        os.kill(victim, signal.SIGKILL)
        while (now := await scrape_when_possible(port)).get("petition_process_starts_total") != 3:
            assert now.get(total, 30) == 30
            await asyncio.sleep(0.05)
        await read(port, 10)
        seen = [await scrape(port) for _ in range(8)]
        assert {one[total] for one in seen} == {40}
        assert {one["petition_processes"] for one in seen} == {2}
        folders = [Path(value) for value in metrics_folders(children_of(web.process.pid))]
        assert folders
        assert await web.stop() == 0
    assert not any(folder.exists() for folder in folders)
    assert '"message": "web process died"' in (tmp_path / "log").read_text()


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def metrics_folders(pids: list[int]) -> set[str]:
    """Return the folders that these processes share."""
    variables = [line for pid in pids for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    prefix = f"{metric_cells.FOLDER}=".encode()
    return {line.removeprefix(prefix).decode() for line in variables if line.startswith(prefix)}


async def scrape_when_possible(port: int) -> dict[str, float]:
    """Scrape; nothing if the connection met the process that was killed."""
    try:
        return await scrape(port)
    except httpx2.TransportError:
        return {}
