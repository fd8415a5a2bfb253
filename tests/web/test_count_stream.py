"""The count as events over real sockets: their content and rate, and that slow listeners delay no others."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from petition.web import connection_limits, count_stream
from petition.web.connection import GuardedProtocol
from petition.web.count_stream import CountStreams
from tests.faults.processes import web
from tests.running import SLUG, Installation, free_port, link_in
from tests.web.api.test_endpoints import is_problem

EVENTS = f"/api/v1/letters/{SLUG}/events"


@dataclass
class Radio:
    """A listener with its own connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str = ""
    heard: list[dict[str, str]] = field(default_factory=list)

    async def lines(self) -> str:
        """Return the next block: an event, a comment, or the time to wait; "" at the end of the stream."""
        size = int(await self.reader.readline(), 16)
        block = (await self.reader.readexactly(size + 2))[:-2].decode()
        return block if size else ""

    async def event(self) -> dict[str, str]:
        """Return the next event as field → value."""
        block = ""
        while "data:" not in block:
            block = await asyncio.wait_for(self.lines(), 120)
            assert block, "the stream has ended"
        fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if line)
        self.heard.append(fields)
        return fields

    async def total(self) -> int:
        """Return the total in the next event."""
        return int(json.loads((await self.event())["data"])["total"])


@asynccontextmanager
async def radio(site: Installation, port: int = 0, **headers: str) -> AsyncIterator[Radio]:
    """Listen until the block ends."""
    port = port or site.settings.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {EVENTS} HTTP/1.1", f"Host: localhost:{port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        yield Radio(reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode().lower())
    finally:
        writer.close()


async def counted(site: Installation, people: int) -> None:
    async with site.database.connection() as conn:
        await conn.execute("UPDATE count SET people = $1", people)


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while True:
            result: Any = true()
            if await result if asyncio.iscoroutine(result) else result:
                return
            await asyncio.sleep(0.02)


async def test_the_count_is_told_at_once_and_when_it_moves(site: Installation) -> None:
    async with radio(site) as one:
        assert one.head.startswith("http/1.1 200")
        for header in (
            "content-type: text/event-stream",
            "cache-control: no-store",
            "access-control-allow-origin: *",
            "x-content-type-options: nosniff",
        ):
            assert header in one.head
        assert "set-cookie" not in one.head
        first = await one.event()
        assert first["event"] == "count"
        assert 3000 <= int(first["retry"]) <= 8000
        assert list(json.loads(first["data"])) == ["total", "people", "organizations", "counted_at"]
        await counted(site, 41)
        assert await one.total() == 41
        assert one.heard[0]["id"] != one.heard[1]["id"]


async def test_a_confirmation_is_heard(site_with_worker: Any) -> None:
    async with radio(site_with_worker) as one:
        before = await one.total()
        await site_with_worker.sign(email="heard@letters.example")
        await site_with_worker.client.post(link_in(await site_with_worker.mail_to("heard@letters.example")))
        assert await one.total() == before + 1


async def test_a_storm_of_changes_is_an_event_a_second(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_stream, "MIN_INTERVAL", 3.0)
    async with radio(site) as one:
        await one.event()
        await counted(site, 1)
        assert await one.total() == 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        for people in range(2, 12):  # half a second, and a look at the database each tenth of one
            await counted(site, people)
            await asyncio.sleep(0.05)
        assert await one.total() == 11  # the last of them, and none before
        assert loop.time() - began >= 2.5


async def test_what_one_is_told_on_coming_is_an_event_too(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_stream, "MIN_INTERVAL", 3.0)
    loop = asyncio.get_running_loop()
    async with radio(site) as one:
        await one.event()
        came = loop.time()
        await counted(site, 7)
        assert site.app is not None
        channel = site.app._streams._channels[SLUG]
        await until(lambda: channel.pushing is not None)
        async with radio(site) as two, radio(site, Last_Event_ID="7-0") as three:
            assert "data" not in await two.lines()  # a push to all is scheduled: no listener gets the count twice
            assert await one.total() == await two.total() == await three.total() == 7
            assert loop.time() - came >= 2.9
            await until(lambda: channel.pushing is None)
            assert not channel.pending_listeners
            await counted(site, 8)
            assert await one.total() == await two.total() == 8
        assert [json.loads(event["data"])["total"] for event in one.heard] == [0, 7, 8]


async def test_who_comes_while_a_count_goes_there_and_back_is_told_once(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_stream, "MIN_INTERVAL", 3.0)
    assert site.app is not None
    async with radio(site) as one:
        await one.event()
        channel = site.app._streams._channels[SLUG]
        await counted(site, 7)
        await until(lambda: channel.pushing is not None)
        async with radio(site) as two:
            assert "data" not in await two.lines()
            await counted(site, 0)
            assert await two.total() == 0
            await counted(site, 9)
            assert await one.total() == await two.total() == 9  # it heard nothing of what did not last


async def test_the_time_in_an_event_is_when_it_was_counted_last(site: Installation) -> None:
    async def counted_at() -> str:
        async with radio(site) as one:
            return str(json.loads((await one.event())["data"])["counted_at"])

    before = await counted_at()

    async def later() -> bool:
        return await counted_at() > before

    await until(later)


async def test_an_old_proxy_is_given_no_chunks(site: Installation) -> None:
    """nginx does by default."""
    await site.client.get(f"{EVENTS[:-6]}count")  # the letter comes into memory
    reader, writer = await asyncio.open_connection("127.0.0.1", site.settings.port)
    host = f"Host: localhost:{site.settings.port}\r\nConnection: keep-alive"
    writer.write(f"GET {EVENTS} HTTP/1.0\r\n{host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert (await reader.readuntil(b"\n\n")).startswith(b"retry: ")
    assert (await reader.readuntil(b"\n\n")).startswith(b"event: count\nid: 0-0\ndata: {")
    await counted(site, 3)
    assert b'"total":3,' in await asyncio.wait_for(reader.readuntil(b"\n\n"), 120)
    assert site.app is not None
    site.app.stop()
    assert await asyncio.wait_for(reader.read(), 120) == b""
    writer.close()


async def test_who_comes_again_is_told_only_what_is_new(site: Installation) -> None:
    async with radio(site) as one:
        known = (await one.event())["id"]
    async with radio(site, Last_Event_ID=known) as again:
        assert "data" not in await again.lines()
        await counted(site, 77)
        assert await again.total() == 77
    async with radio(site, Last_Event_ID=known) as later:
        assert await later.total() == 77


async def test_a_heartbeat_and_an_end_in_time(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_stream, "HEARTBEAT", 0.05)
    async with radio(site) as one:
        await one.event()
        while (block := await asyncio.wait_for(one.lines(), 120)) != ":\n\n":
            assert block
    monkeypatch.setattr(count_stream, "MAX_SECONDS", -1.0)
    async with radio(site) as brief:
        await brief.event()
        while await asyncio.wait_for(brief.lines(), 120):
            pass


async def test_who_leaves_makes_room(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_stream, "MAX_PER_NETWORK", 2)
    async with radio(site) as one, radio(site) as two:
        await one.event()
        await two.event()
        full = await site.client.get(EVENTS)
        assert is_problem(full, 503)
        assert int(full.headers["retry-after"]) > 0
        async with radio(site, X_Forwarded_For="198.51.100.9") as elsewhere:
            await elsewhere.event()

    async def again() -> bool:
        async with radio(site) as three:
            return three.head.startswith("http/1.1 200")

    await until(again)


async def test_a_reader_who_does_not_read_is_dropped_and_the_others_hear(site: Installation) -> None:
    assert site.app is not None
    streams = site.app._streams
    deaf = socket.create_connection(("127.0.0.1", site.settings.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost:{site.settings.port}\r\n\r\n".encode())
    async with radio(site) as one:
        await one.event()
        channel = streams._channels[SLUG]
        await until(lambda: len(channel.listeners) == 2)
        heard = 0

        async def count() -> None:
            nonlocal heard
            while True:
                heard += len(await one.lines())

        counting = asyncio.create_task(count())
        sent = 0
        while len(channel.listeners) == 2:
            sent += len(block := b":" + b"x" * 60_000 + b"\n\n")
            await streams._write(channel.listeners, count_stream.EventBytes(block))
            await until(lambda: heard >= sent)  # noqa: B023
            assert sent < 100_000_000
        counting.cancel()
    deaf.close()


async def test_an_error_of_one_connection_does_not_reach_the_others(site: Installation) -> None:
    assert site.app is not None
    streams = site.app._streams
    async with radio(site) as one, radio(site) as two:
        await one.event()
        await two.event()
        channel = streams._channels[SLUG]
        first, second = channel.listeners

        def fail(listener: count_stream.Listener) -> None:
            if listener is first:
                raise RuntimeError("the transport is broken")
            listener.write(count_stream.EventBytes(b":still here\n\n"))

        await count_stream._in_batches([first, second], fail)
        await until(lambda: channel.listeners == {second})
        second.end()
        second.write(count_stream.EventBytes(b":too late\n\n"))  # while it is being closed
        await until(lambda: not channel.listeners)
        assert streams._size == 0


async def test_unknown_letters_other_methods_and_the_head(site: Installation) -> None:
    assert is_problem(await site.client.get("/api/v1/letters/no-such-letter/events"), 404)
    assert is_problem(await site.client.post(EVENTS), 405)
    head = await site.client.head(EVENTS)
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert not head.content
    misled = await site.client.get(EVENTS, headers={"host": "evil.example"})
    assert misled.status_code == 421


async def test_a_letter_that_goes_away_ends_its_streams(site: Installation) -> None:
    async with radio(site) as one:
        await one.event()
        async with site.database.connection() as conn:
            await conn.execute("UPDATE letter SET slug = 'moved-away'")
        while await asyncio.wait_for(one.lines(), 120):
            pass


async def test_told_to_stop_the_server_ends_every_stream(site: Installation, tmp_path: Path) -> None:
    """A process of its own, as it is run: a listener does not keep it for the ten seconds it gives to answers."""
    port = free_port()
    environ = {**site.environ, "PORT": str(port), "BASE_URL": f"http://localhost:{port}"}
    async with web(environ, port, tmp_path / "web.log") as process, radio(site, port) as one:
        await one.event()
        process.process.send_signal(signal.SIGTERM)
        while await asyncio.wait_for(one.lines(), 120):
            pass
        assert await asyncio.wait_for(process.process.wait(), 120) == 0
    assert '"level": "error"' not in (tmp_path / "web.log").read_text(encoding="utf-8")


async def test_when_all_slots_are_taken_the_network_with_the_most_pays(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_stream, "MAX_LISTENERS", 3)
    async with (
        radio(site, X_Forwarded_For="203.0.114.9") as first,
        radio(site, X_Forwarded_For="198.51.101.1") as visitor,
        radio(site, X_Forwarded_For="203.0.114.10") as second,
    ):
        for listener in (first, visitor, second):
            await listener.event()
        async with radio(site, X_Forwarded_For="93.184.216.34") as newcomer:
            assert newcomer.head.startswith("http/1.1 200")
            await newcomer.event()
            ended = [asyncio.create_task(_to_the_end(listener)) for listener in (first, second)]
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED, timeout=120)
            assert sum(task.done() for task in ended) == 1
            await counted(site, 5)
            assert await visitor.total() == await newcomer.total() == 5
            for task in ended:
                task.cancel()
            assert site.app is not None
            assert site.app._streams._size == 3


async def test_streams_end_for_connections_that_need_their_files(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.app is not None
    streams = site.app._streams
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(radio(site)) for _ in range(4)]
        visitor = await stack.enter_async_context(radio(site, X_Forwarded_For="198.51.101.1"))
        for listener in (*listeners, visitor):
            await listener.event()
        open_now = len(GuardedProtocol.open_connections)
        files = open_now + 6  # one more connection can be had, then they are the streams'
        monkeypatch.setattr(connection_limits, "_client_files", lambda: files)
        monkeypatch.setattr(connection_limits, "max_connections", lambda: files - 3)  # three are the streams' own
        for expected in (5, 4, 3, 3):
            _, writer = await asyncio.open_connection("127.0.0.1", site.settings.port)
            stack.callback(writer.close)
            await until(partial(_has_size, streams, expected))
        await until(lambda: len(GuardedProtocol.open_connections) >= open_now + 4)
        assert streams._size == 3
        await counted(site, 7)
        assert await visitor.total() == 7


def _has_size(streams: CountStreams, size: int) -> bool:
    return streams._size == size


async def _to_the_end(listener: Radio) -> None:
    while await listener.lines():
        pass
