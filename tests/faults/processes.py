"""The command as processes of their own, so that they can be killed."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from tests.running import PRIVATE_KEY

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds that a process may take to start or to end; this machine may be busy
BASE_URL = "http://letters.localhost:8000"


@dataclass
class Process:
    """A running ``petition …`` and the file with what it says."""

    process: asyncio.subprocess.Process
    log: Path

    async def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """End it as a process manager would; return its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.process.wait(), PATIENCE)
        except TimeoutError:
            await self.kill()
            raise


@dataclass
class Web(Process):
    """A web process; ``client`` is a visitor who comes to it under the public address."""

    client: httpx2.AsyncClient


async def run(arguments: str, environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Run ``petition`` with ``arguments`` to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "petition", *arguments.split()),
        env=_clean(environ),
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), **environ}


@asynccontextmanager
async def command(
    arguments: str, environ: Mapping[str, str], log: Path, module: str = "petition"
) -> AsyncIterator[Process]:
    """Run ``petition`` with ``arguments`` and with nothing in its environment but ``environ``."""
    with log.open("ab") as out:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments.split(), env=_clean(environ), cwd="/", stdout=out, stderr=out
        )
    process = Process(started, log)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            await process.stop()


@asynccontextmanager
async def web(
    environ: Mapping[str, str], port: int, log: Path, arguments: str = "", module: str = "petition", up: str = "/readyz"
) -> AsyncIterator[Web]:
    """Run ``petition serve`` on ``port`` until the block ends; ``up`` is answered 200 when the block begins."""
    async with command(f"serve --port {port} {arguments}", environ, log, module) as process:
        host = urlsplit(environ["BASE_URL"]).netloc
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=0)
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"host": host}, timeout=120, limits=limits
        ) as client:
            await _ready(process, client, up)
            yield Web(process.process, log, client)


async def _ready(process: Process, client: httpx2.AsyncClient, path: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.process.returncode is None, process.log.read_text(encoding="utf-8")
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get(path)).status_code == 200:
                    return
            await asyncio.sleep(0.05)


def worker_environ(environ: Mapping[str, str], smtp_port: int) -> dict[str, str]:
    """Return the settings of a worker beside that web."""
    return {
        **environ,
        "SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}",
        "MAIL_FROM": "Letters <letters@letters.example>",
        "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
    }
