"""Workers and an SMTP sink as processes of their own, to be killed at any moment.

Workers are forked from a process that has imported everything and read the catalogues: so twenty of them start in the
time of one.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from petition.core import logs
from petition.core.settings import Settings
from petition.worker import main
from tests.faults.processes import ROOT

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["petition.worker.main", "tests.mailings.processes", "tests.mailings.preloaded"])


@dataclass
class Sink:
    """What the relay has taken."""

    port: int
    file: Path

    def recipients(self) -> list[str]:
        """Return the recipient of every accepted mail, in order."""
        return self.file.read_text(encoding="utf-8").splitlines()


@asynccontextmanager
async def sink(file: Path) -> AsyncIterator[Sink]:
    """Run an SMTP server in a process of its own."""
    file.touch()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.mailings.sink", str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Sink(int(await process.stdout.readline()), file)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def work(settings: Settings, log: Path) -> None:
    """Be a worker, with its log in a file."""
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logs.JsonFormatter())
    logging.basicConfig(level=logging.DEBUG, handlers=[handler], force=True)
    main.main(settings)


def start_worker(settings: Settings, log: Path) -> BaseProcess:
    process = _FORKS.Process(target=work, args=(settings, log), daemon=True)
    process.start()
    return process


async def kill(process: BaseProcess) -> None:
    """End it as a crash would (SIGKILL), and wait until it is gone."""
    process.kill()
    await asyncio.to_thread(process.join)


async def stop(process: BaseProcess) -> None:
    """End it as a process manager would (SIGTERM), and wait until it is gone."""
    process.terminate()
    await asyncio.to_thread(process.join)
