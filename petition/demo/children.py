"""The demo's child processes: the web and the worker, as a process manager would run them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from petition.core.child_processes import die_with_parent
from petition.core.errors import PetitionError
from petition.core.private_folders import open_private

PETITION = (sys.executable, "-m", "petition")
_PATIENCE = 5.0  # seconds between asking a child to end and ending it


@dataclass(frozen=True, slots=True)
class Child:
    """One running child, and the file with its output."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, command: Sequence[str], name: str, environ: Mapping[str, str], log: Path) -> Self:
        """Start ``command``, which says what it has to say into ``log``.

        In a session of its own, so that Ctrl-C comes to us alone and we end the children in order. If we are killed,
        the kernel ends them (Linux). Call this from the main thread.
        """
        with os.fdopen(open_private(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as output:
            process = await cls._spawn(command, environ, output)
        return cls(name, process, log)

    @staticmethod
    async def _spawn(
        command: Sequence[str], environ: Mapping[str, str], output: BinaryIO
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    async def ended(self) -> PetitionError:
        """Wait until the child ends by itself; return what to say about that."""
        code = await self.process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        return PetitionError(f"`petition {self.name}` ended unexpectedly ({how}){last} (more in {self.log})")

    async def stop(self) -> None:
        """Ask the child to end; after five seconds end it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), _PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def first_end(children: Sequence[Child]) -> PetitionError:
    """Wait until one of ``children`` ends by itself; return what to say about that."""
    waiting = [asyncio.create_task(child.ended()) for child in children]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in waiting:
            task.cancel()
