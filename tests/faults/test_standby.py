"""DATABASE_URL leads to a hot standby: readers notice nothing, signing is put off, and a promotion ends it."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core.database import migrate, opened
from petition.core.settings import Process, load
from tests import commands, rows
from tests.faults.patient import READ, Running, check_put_off, fields_of, in_time, pending, read_all, typed_in
from tests.faults.processes import BASE_URL, web
from tests.replication import Node, primary_and_standbys
from tests.running import SLUG, environment, free_port, publish


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    """Give a primary and a standby of it."""
    async with primary_and_standbys() as servers:
        await migrate(servers[0].url)
        yield servers


async def test_it_is_read_from_and_signing_is_put_off(nodes: list[Node], tmp_path: Path) -> None:
    primary, standby = nodes
    environ = environment(tmp_path, standby.url, free_port(), BASE_URL=BASE_URL)
    environ.pop("DATABASE_PATIENCE")
    async with opened(primary.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
            (signature_id,) = await rows.add_pending(conn, letter, ["petra@letters.example"])
    await standby.caught_up_with(primary)
    # It has never had another database than the standby.
    async with (
        opened(standby.url, max_size=2) as database,
        web(environ, free_port(), tmp_path / "web.log", up="/healthz") as process,
    ):
        running = Running(standby, database, letter, process, signature_id, "")
        link = f"/en/confirm/{rows.token(letter, signature_id)}"
        await read_all(running)
        for path in (link, f"/en/{SLUG}/signatories?q=vera", f"/ru/{SLUG}/signatories"):
            assert (await in_time(process.client.get(path))).status_code == 200, path
        form = running.form()
        answer = await running.sign(form)
        check_put_off(answer, typed_in(form))
        assert (await in_time(process.client.post(link))).status_code == 503
        assert await running.ready() == "the database is read-only"
        _, said = await commands.run("check", environ)
        assert "the server is read-only: no one can sign; let DATABASE_URL lead to the primary" in said

        await recovering(standby)
        assert await running.ready() == "no database: the database is starting, stopping or recovering"
        check_put_off(await running.sign(form), typed_in(form))
        for path in READ:
            assert (await in_time(process.client.get(path))).status_code == 200, path

        await standby.end(signal.SIGINT)
        (standby.cluster.folder / "postgresql.auto.conf").write_text("")
        await standby.start()
        await standby.ask("SELECT pg_promote()")
        await running.until_ready()
        assert (await running.sign(fields_of(answer))).status_code == 303
        assert await pending(running, form) == 1
        assert (await in_time(process.client.post(link))).status_code == 303
        assert '"level": "error"' not in process.log.read_text(encoding="utf-8")


async def recovering(standby: Node) -> None:
    """Have it recover and take no connections meanwhile, as one does that has much to replay after a crash."""
    await standby.end(signal.SIGKILL)
    settings = standby.cluster.folder / "postgresql.auto.conf"
    primary_conninfo = settings.read_text()
    settings.write_text(f"{primary_conninfo}hot_standby = off\n")
    await standby.start(until="standby")
