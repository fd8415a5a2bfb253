"""Two first starts at once, and more connections than anybody needs."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core.database import connect, is_migrated, migrations
from tests.conftest import in_database
from tests.faults.processes import run
from tests.pages import check_page
from tests.running import SLUG, Installation

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]


async def test_two_migrations_of_an_empty_database_at_once(cluster: str, admin: "Conn", tmp_path: Path) -> None:
    await admin.execute("CREATE DATABASE twice TEMPLATE template0")
    url = in_database(cluster, "twice")
    environ = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    try:
        ended = await asyncio.gather(*(run("migrate", environ) for _ in range(3)))
        assert [code for code, _ in ended] == [0, 0, 0], ended
        applied = Counter(line for _, said in ended for line in said.splitlines() if line.startswith("applied"))
        assert applied == {f"applied {name}": 1 for _, name, _ in migrations()}
        conn = await connect(url)
        assert await is_migrated(conn)
        await conn.close()
        assert (await run("migrate", environ)) == (0, "nothing to do\n")
    finally:
        await admin.execute("DROP DATABASE twice WITH (FORCE)")


async def test_two_first_starts_at_once_on_an_embedded_database(open_folder: Path) -> None:
    """Both make secrets, a cluster and a schema where there is nothing yet."""
    environ = {"DATA_DIR": str(open_folder / "data")}
    ended = await asyncio.gather(*(run("migrate", environ) for _ in range(2)))
    assert [code for code, _ in ended] == [0, 0], ended
    assert sum(said.count("applied 0001") for _, said in ended) == 1


@pytest.mark.parametrize("half", [b"", b"POST /en/x/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1"])
async def test_idle_connections_keep_nobody_out(site: Installation, half: bytes) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", site.settings.port) for _ in range(300)]
    for _, writer in opened:
        writer.write(half.replace(b"Host: x", f"Host: localhost:{site.settings.port}".encode()))
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200
    assert (await site.sign()).status_code == 303
    for _, writer in opened:
        writer.close()
    check_page(await site.client.get(f"/en/{SLUG}/find"), 200)
