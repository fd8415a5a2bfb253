"""What goes wrong: each fault lasts some seconds, and is over when its coroutine returns."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg

from tests.chaos.proxy import Line
from tests.chaos.stage import HOST, Stage
from tests.faults.processes import ROOT
from tests.running import on_this_machine

CONNECTIONS = 10_000
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL
"""
UNDER_WAY = 30.0  # seconds until a mail comes again whose worker was killed

Fault = Callable[[Stage], Awaitable[None]]


async def web_killed(stage: Stage) -> None:
    """SIGKILL one of two child processes."""
    for pid in stage.several.children()[-1:]:
        _send(pid, signal.SIGKILL)
    await asyncio.sleep(2)


async def web_frozen(stage: Stage) -> None:
    """SIGSTOP a child process; its parent has to replace it."""
    pids = stage.several.children()[-1:]
    await _frozen(pids, 2 * stage.seconds)


async def parent_killed(stage: Stage) -> None:
    """SIGKILL the parent of two child processes: they end with it, and the port is free for the next."""
    stage.several.send(signal.SIGKILL)
    await _until_started_again(stage)


async def single_killed(stage: Stage) -> None:
    """SIGKILL the process that has no other beside it."""
    stage.single.send(signal.SIGKILL)
    await _until_started_again(stage)


async def two_releases(stage: Stage) -> None:
    """The web of the release before the newest migration serves beside ours, on the same database."""
    before = await asyncio.to_thread(earlier_release, stage.folder / "earlier")
    stage.single.environ = {**stage.single.environ, "PYTHONPATH": str(before)}
    await single_killed(stage)
    await asyncio.sleep(2 * stage.seconds)
    stage.single.environ = {**stage.single.environ, "PYTHONPATH": str(ROOT)}
    await single_killed(stage)


async def worker_killed(stage: Stage) -> None:
    """SIGKILL the worker."""
    stage.worker.send(signal.SIGKILL)
    await asyncio.sleep(2)


async def worker_frozen(stage: Stage) -> None:
    """SIGSTOP the worker."""
    await _frozen([stage.worker.pid], stage.seconds)


async def worker_killed_in_data(stage: Stage) -> None:
    """SIGKILL the worker while the relay has mails of it: they come within half a minute."""
    stage.post.hold()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(stage.seconds):
            while len(stage.post.under_way) < 2:
                await asyncio.sleep(0.02)
    mailboxes = set(stage.post.under_way)
    stage.worker.send(signal.SIGKILL)
    while stage.post.under_way & mailboxes:  # the relay sees the connection end
        await asyncio.sleep(0.02)
    stage.post.go_on()
    people = [stage.ledger.people[mailbox] for mailbox in mailboxes]
    async with asyncio.timeout(on_this_machine(UNDER_WAY)):
        while not all(person.mailed_at for person in people):
            await asyncio.sleep(0.1)


async def relay_hangs(stage: Stage) -> None:
    """The relay answers no DATA for a while."""
    stage.post.hold()
    await asyncio.sleep(stage.seconds)
    stage.post.go_on()


async def database_killed(stage: Stage) -> None:
    """SIGKILL the server, and start it again."""
    await stage.server.end(signal.SIGKILL)
    await asyncio.sleep(stage.seconds)
    await stage.server.start()


async def database_restarted(stage: Stage) -> None:
    """A quick shutdown, as an upgrade of its package does it."""
    await stage.server.end(signal.SIGINT)
    await stage.server.start()


async def database_frozen(stage: Stage) -> None:
    """SIGSTOP the server and its backends."""
    await _frozen(stage.server.pids(), stage.seconds)


async def line_slow(stage: Stage) -> None:
    """Every packet to and from the database takes 200 ms."""
    stage.proxy.set(Line.SLOW)
    await asyncio.sleep(stage.seconds)
    stage.proxy.set(Line.WELL)


async def line_silent(stage: Stage) -> None:
    """A firewall drops everything."""
    stage.proxy.set(Line.SILENT)
    await asyncio.sleep(2 * stage.seconds)
    stage.proxy.set(Line.WELL)


async def line_cut(stage: Stage) -> None:
    """No connection to the database, old or new."""
    stage.proxy.set(Line.CUT)
    await asyncio.sleep(stage.seconds)
    stage.proxy.set(Line.WELL)


async def line_reset(stage: Stage) -> None:
    """All connections are reset, five times."""
    for _ in range(5):
        stage.proxy.reset()
        await asyncio.sleep(0.5)


async def table_locked(stage: Stage) -> None:
    """LOCK TABLE, as a careless migration does it."""
    async with _own(stage) as conn, conn.transaction():
        await conn.execute("LOCK TABLE signature IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(stage.seconds)


async def connections_used_up(stage: Stage) -> None:
    """Another program takes every connection and ours are ended; it lets go after a while."""
    async with contextlib.AsyncExitStack() as stack:
        conn = await stack.enter_async_context(_own(stage))
        await conn.execute(END_OTHERS)
        end = stage.ledger.now() + stage.seconds
        while stage.ledger.now() < end:
            try:
                await stack.enter_async_context(_own(stage))
            except asyncpg.PostgresError:
                await asyncio.sleep(0.1)


async def read_only(stage: Stage) -> None:
    """The server takes no writes, as a standby does."""
    async with _own(stage) as conn:
        for value in ("on", "off"):
            await conn.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            await conn.execute("SELECT pg_reload_conf()")
            await asyncio.sleep(stage.seconds if value == "on" else 0)


async def disk_full(stage: Stage) -> None:
    """Nothing is left on the database's disk, then there is again."""
    ballast = stage.folder / "data" / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1_000_000)
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        await asyncio.sleep(stage.seconds)
    finally:
        ballast.unlink()


async def clock_a_day_on(stage: Stage) -> None:
    """The clock of a web and of the worker is a day ahead, then right again."""
    await _clock(stage, timedelta(days=1))


async def clock_a_day_back(stage: Stage) -> None:
    """The clock of a web and of the worker is a day behind, then right again."""
    await _clock(stage, timedelta(days=-1))


async def many_connections(stage: Stage) -> None:
    """10,000 connections: half of them idle, half send a byte of a head now and then."""
    _raise_file_limit()
    writers: list[asyncio.StreamWriter] = []

    async def open_one(number: int) -> None:
        source = f"127.0.{1 + number // 250}.{1 + number % 250}", 0
        with contextlib.suppress(OSError):
            port = stage.crowd.ports[number % 2]
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            writers.append(writer)
            if number % 2:
                writer.write(f"GET /en HTTP/1.1\r\nHost: {HOST}\r\n".encode())

    try:
        for start in range(0, CONNECTIONS, 200):
            await asyncio.gather(*(open_one(number) for number in range(start, start + 200)))
        end = stage.ledger.now() + stage.seconds
        while stage.ledger.now() < end:
            for writer in writers[1::2]:
                writer.write(b"a")
            await asyncio.sleep(1)
    finally:
        for writer in writers:
            writer.transport.abort()


async def _clock(stage: Stage, ahead: timedelta) -> None:
    stage.move_clock(ahead)
    await asyncio.sleep(stage.seconds)
    stage.move_clock(timedelta())
    await asyncio.sleep(2)  # what was cached of the clock


async def _frozen(pids: list[int], seconds: float) -> None:
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    for pid in pids:
        _send(pid, signal.SIGCONT)


async def _until_started_again(stage: Stage) -> None:
    """Wait until the manager has started again what was killed; the calm after a fault covers the rest."""
    before = stage.several.starts + stage.single.starts
    async with asyncio.timeout(60):
        while stage.several.starts + stage.single.starts == before:
            await asyncio.sleep(0.05)


def earlier_release(folder: Path) -> Path:
    """Write the sources from before the newest migration into ``folder``; return it. Needs the history in git."""
    newest = max((ROOT / "migrations").glob("*.sql"))
    rev = _git("log", "--format=%H", "--diff-filter=A", "-1", "--", str(newest)).strip().decode()
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=_git("archive", f"{rev}^"), check=True)
    return folder


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@asynccontextmanager
async def _own(stage: Stage) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection of an administrator's, past the proxy."""
    conn = await asyncpg.connect(stage.server.url)
    try:
        yield conn
    finally:
        conn.terminate()


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


ALL: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(
            web_killed,
            web_frozen,
            parent_killed,
            single_killed,
            two_releases,
            worker_killed,
            worker_frozen,
            worker_killed_in_data,
        ),
        *(relay_hangs, database_killed, database_restarted, database_frozen, line_slow, line_silent, line_cut),
        *(line_reset, table_locked, connections_used_up, read_only, disk_full, clock_a_day_on, clock_a_day_back),
        many_connections,
    )
}
SHORT = ("web_killed", "worker_killed_in_data", "database_killed", "line_silent", "read_only")
