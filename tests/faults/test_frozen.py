"""PostgreSQL frozen: nobody who reads waits for it, nobody who signs waits for more than two seconds."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core import database as databases
from petition.core.database import opened
from petition.core.settings import Process, load
from tests import rows
from tests.faults.conftest import BASE_URL
from tests.faults.load import Crowd
from tests.faults.processes import web
from tests.faults.server import Server
from tests.running import SLUG, environment, free_port, publish


@pytest.fixture
async def server(open_folder: Path) -> AsyncIterator[Server]:
    own = Server(open_folder / "data")
    await own.start()
    await databases.migrate(own.url)
    yield own
    await own.end(signal.SIGINT)


async def test_frozen(server: Server, tmp_path: Path) -> None:
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL, DATABASE_PATIENCE="1.5")
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
        async with web(environ, free_port(), tmp_path / "web.log") as process:
            crowd = Crowd(process.client, letter)
            paths = [f"/en/{SLUG}", f"/ru/{SLUG}", f"/api/v1/letters/{SLUG}/count"]
            for path in paths:
                assert (await process.client.get(path)).status_code == 200
            await crowd.sign()
            server.freeze()
            try:
                for n in range(12):
                    t = time.monotonic()
                    a = await asyncio.gather(*(crowd.sign() for _ in range(5)), process.client.get(paths[n % 3]), process.client.get("/readyz"))
                    print(n, [x.status_code for x in a], a[-1].text, round(time.monotonic() - t, 3))
                    t = time.monotonic()
                    b = [await process.client.get(path) for path in paths]
                    print("   read", [x.status_code for x in b], round(time.monotonic() - t, 3))
            finally:
                server.thaw()
            t = time.monotonic()
            while (await crowd.sign()).status_code != 303:
                await asyncio.sleep(0.05)
            print("back", time.monotonic() - t)
        print((tmp_path / "web.log").read_text())
