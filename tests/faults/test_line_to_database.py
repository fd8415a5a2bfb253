"""The line to the database swallows what is sent, or a pooler on it holds it: the same calm as without a database."""

import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from petition.postgres.cluster import DATABASE, PORT, ROLE
from tests import rows
from tests.chaos.proxy import Line, Proxy
from tests.faults.patient import Running, check_put_off, fields_of, in_time, pending, read_all, running_at, typed_in
from tests.faults.server import Server
from tests.postgres.pooler import open_to_pooler, pooling
from tests.running import SLUG


@dataclass
class Way:
    """How nothing comes through to the database at ``url``, and how all does again."""

    url: str
    hold: Callable[[], None]
    let_go: Callable[[], None]


@pytest.fixture(params=["swallowed", "paused", "frozen"])
async def way(request: pytest.FixtureRequest, server: Server, run_folder: Path) -> AsyncIterator[Way]:
    """Give a proxy that swallows, a PgBouncer that PAUSE was said to, or one that was stopped."""
    if request.param == "swallowed":
        sockets = server.url.split("host=")[1].split("&")[0]
        async with Proxy(f"{sockets}/.s.PGSQL.{PORT}").listening() as proxy:
            url = f"postgresql://{ROLE}@127.0.0.1:{proxy.port}/{DATABASE}"
            yield Way(url, lambda: proxy.set(Line.SILENT), lambda: proxy.set(Line.WELL))
        return
    hold, let_go = {
        "paused": (signal.SIGUSR1, signal.SIGUSR2),
        "frozen": (signal.SIGSTOP, signal.SIGCONT),
    }[request.param]
    folder = run_folder / "pooler"
    folder.mkdir(exist_ok=True)
    async with pooling(folder, await open_to_pooler(server, folder)) as pooler:
        send, url = pooler.process.send_signal, f"postgresql://{ROLE}@127.0.0.1:{pooler.port}/{DATABASE}"
        yield Way(f"{url}?statement_cache_size=0", lambda: send(hold), lambda: send(let_go))


async def test_nothing_comes_through(way: Way, server: Server, tmp_path: Path) -> None:
    async with running_at(way.url, server, tmp_path) as running:
        form = running.form()
        confirm = f"/en/confirm/{rows.token(running.letter, running.signature_id)}"
        way.hold()
        try:
            answer = await running.sign(form)
            check_put_off(answer, typed_in(form))
            await read_all(running)
            assert await running.ready() == "no database: the database does not answer"
            assert (await in_time(running.client.post(confirm))).status_code == 503
            for path in (confirm, f"/ru/{SLUG}/signatories?q=vera", "/organizer/"):
                page = await in_time(running.client.get(path, headers={"cookie": f"desk={running.session}"}))
                assert (page.status_code, int(page.headers["retry-after"]) > 0) == (503, True), path
            await read_all(running)
        finally:
            way.let_go()
        await until_taken(running, fields_of(answer))
        assert await running.ready() == "ready"
        assert await pending(running, form) == 1
        assert (await running.client.post(confirm)).status_code == 303


async def until_taken(running: Running, form: dict[str, str]) -> None:
    """Send a form as often as it takes, and once more, as an impatient one does."""
    await running.until_ready()
    while (await running.sign(form)).status_code == 503:
        pass
    assert (await running.sign(form)).status_code == 303
