"""Keepers for tests, on this loop or as processes of their own."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from petition.core.database import Database
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.keeper import adoption, server
from petition.keeper.settings import load
from tests.faults.processes import PATIENCE, Process, command

PURPOSE = KeeperPurpose.CHECK
KEY, TOKEN = "ab" * 32, "a token of thirty-two characters".replace(" ", "-")


@dataclass
class RunningKeeper:
    """A keeper on a socket; the settings are those of its clients."""

    folder: Path  # of a short name: the path of a socket has 107 bytes at most
    key: str = KEY
    token: str = TOKEN
    limit: int = 300_000

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def environ(self) -> dict[str, str]:
        """What the keeper is started with."""
        return {
            "DATA_DIR": str(self.folder),
            "KEEPER_KEY": self.key,
            "KEEPER_TOKEN": self.token,
            "KEEPER_LISTEN": str(self.socket),
            "KEEPER_LIMIT": str(self.limit),
        }

    @property
    def settings(self) -> dict[str, str]:
        return {"KEEPER_URL": f"http+unix://{self.socket}", "KEEPER_TOKEN": self.token}


@asynccontextmanager
async def running(keeper: RunningKeeper) -> AsyncIterator[RunningKeeper]:
    """Run a keeper on the test's loop."""
    stop = asyncio.Event()
    task = asyncio.create_task(server.run(load(keeper.environ), stop))
    try:
        while not keeper.socket.exists():
            assert not task.done(), task.result()
            await asyncio.sleep(0.005)
        yield keeper
    finally:
        stop.set()
        await task


@asynccontextmanager
async def a_folder() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="keeper"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def a_keeper(key: str = KEY, token: str = TOKEN, limit: int = 300_000) -> AsyncIterator[RunningKeeper]:
    async with a_folder() as folder, running(RunningKeeper(folder, key, token, limit)) as keeper:
        yield keeper


@asynccontextmanager
async def process(keeper: RunningKeeper, module: str = "petition") -> AsyncIterator[Process]:
    """Run ``petition keeper``; it listens when the block begins."""
    async with command("keeper", keeper.environ, keeper.folder / "log", module) as running_process:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert running_process.process.returncode is None, running_process.log.read_text()
                try:
                    _, writer = await asyncio.open_unix_connection(str(keeper.socket))
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                break
        yield running_process


async def adopt(database: Database, client: KeeperClient, wrapper: object) -> int:
    """Switch all that is stored."""
    return await adoption.adopt(database, client, wrapper)  # type: ignore[arg-type]
