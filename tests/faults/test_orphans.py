"""The web's processes end when the one that started them is killed, so that a new one can listen at once."""

import asyncio
import contextlib
import signal
from pathlib import Path

import httpx2

from tests.faults.processes import command
from tests.running import environment, free_port


def children_of(pid: int) -> list[int]:
    """Return the processes that ``pid`` has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_children_end_with_their_parent(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    environ = environment(tmp_path, database_url, port)
    arguments = f"serve --port {port} --workers 2"
    async with asyncio.timeout(120), command(arguments, environ, tmp_path / "first.log") as web:
        await answers(port)
        children = children_of(web.process.pid)
        assert len(children) == 2
        web.process.send_signal(signal.SIGKILL)
        await web.process.wait()
        while any(is_running(child) for child in children):
            await asyncio.sleep(0.05)
        async with command(arguments, environ, tmp_path / "second.log") as successor:
            await answers(port)
            assert successor.process.returncode is None
            assert "Address already in use" not in (tmp_path / "second.log").read_text()


async def answers(port: int) -> None:
    """Wait until the web can serve."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
