"""Ways to more than one server: replicas behind PgBouncer, and lists of hosts of which another becomes the primary."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from petition.cli import check_replicas
from petition.core.database_failures import POOLER
from petition.core.settings import Process, load
from tests.commands import run
from tests.faults.test_replicas import LARGE, LIST, NAMES, PUBLIC, confirmed, is_replicas, shows, until
from tests.postgres.pooler import pooling
from tests.replication import Node, primary_and_standbys
from tests.running import SLUG, Installation, environment, free_port, installation

# As in deploy/pgbouncer.ini: who has to wait for a server gets an error soon.
IMPATIENT = "query_wait_timeout = 3\nserver_login_retry = 1\nserver_connect_timeout = 2"


@pytest.fixture
async def nodes(open_folder: Path) -> AsyncIterator[list[Node]]:
    """Give a primary without a schema, and its standby."""
    async with primary_and_standbys(1) as servers:
        yield servers


async def pooled(stack: AsyncExitStack, node: Node, folder: Path) -> str:
    """Return host and port of a PgBouncer in transaction mode before a server."""
    target = f"host=127.0.0.1 port={node.cluster.port} user=petition"
    pooler = await stack.enter_async_context(pooling(folder, target, more=IMPATIENT))
    return f"127.0.0.1:{pooler.port}"


async def check(site: Installation, read_url: str) -> list[str]:
    settings = load(site.environ | {"DATABASE_READ_URL": read_url}, role=Process.WEB)
    return [finding async for finding in check_replicas.findings(settings)]


async def test_replicas_are_read_through_a_pooler_in_transaction_mode(
    nodes: list[Node], tmp_path: Path, open_folder: Path
) -> None:
    primary, standby = nodes
    assert (await run("migrate", {"DATABASE_URL": primary.url, "DATA_DIR": str(tmp_path)}))[0] == 0
    async with AsyncExitStack() as stack:
        bare = f"postgresql://petition@{await pooled(stack, standby, open_folder)}/petition"
        read_url = f"{bare}?statement_cache_size=0"
        more = {"DATABASE_READ_URL": read_url, "READ_MAX_AGE": str(LARGE)}
        site = await stack.enter_async_context(installation(primary.url, tmp_path, **more))
        await until(lambda: is_replicas(site, NAMES))
        await confirmed(site, "Nadia Novak", site.new_network())
        await until(lambda: shows(site, "Nadia Novak"))
        await standby.caught_up_with(primary)
        await until(lambda: is_replicas(site, NAMES))
        for path in (NAMES, f"{NAMES}?q=novak", f"{LIST}?q=novak"):
            await until(partial(is_replicas, site, path))
        # More at once than the pooler has connections to the server: all are answered.
        await asyncio.gather(*(is_replicas(site, path) for path in PUBLIC * 2))
        assert await check(site, read_url) == []
        (finding,) = await check(site, bare)
        assert POOLER.replace("DATABASE_URL", "DATABASE_READ_URL") in finding
        await standby.end(signal.SIGINT)
        await until(lambda: is_primarys(site, NAMES))
        await standby.start()
        await until(lambda: is_replicas(site, NAMES))


async def is_primarys(site: Installation, path: str) -> bool:
    return not await is_replicas(site, path)


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_of_several_hosts_the_one_that_takes_writes_is_used_also_after_a_failover(
    nodes: list[Node], tmp_path: Path, open_folder: Path, is_pooled: bool
) -> None:
    primary, standby = nodes
    async with AsyncExitStack() as stack:
        hosts = [await pooled(stack, node, open_folder) if is_pooled else node.name for node in (standby, primary)]
        query = "target_session_attrs=primary" + ("&statement_cache_size=0" if is_pooled else "")
        url = f"postgresql://petition@{','.join(hosts)}/petition?{query}"
        assert (await run("migrate", environment(tmp_path, url, free_port())))[0] == 0
        site = await stack.enter_async_context(installation(url, tmp_path))
        assert (await site.sign(email="anna@letters.example")).status_code == 303
        # Made now: the test's own connections through a pooler outlive the server as well.
        form, later = [await site.form(email=f"{name}@letters.example") for name in ("boris", "clara")]
        await standby.caught_up_with(primary)
        await primary.end(signal.SIGQUIT)
        (primary.cluster.folder / "standby.signal").touch()  # it comes back, and takes no writes
        await primary.start()
        await standby.ask("SELECT pg_promote()")
        statuses = set()
        async with asyncio.timeout(60):
            while 303 not in statuses:
                answer = await site.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())
                statuses.add(answer.status_code)
        assert statuses <= {303, 503}
        answer = await site.client.post(f"/en/{SLUG}/sign", data=later, headers=site.new_network())
        assert answer.status_code == 303
        assert await standby.ask("SELECT count(*) FROM pending") == 3  # also if the first answer came too late
