"""The count as Server-Sent Events: each event is encoded once for all listeners, and no write waits for a slow one.

A listener costs its connection and one small object: once the request is accepted, the connection is taken from the
server with all that it holds for a request (``uvicorn_responses``), and only written to. The format is that of WHATWG
HTML, 9.2.
"""

import asyncio
import json
import random
from collections.abc import Callable, Collection, Coroutine, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any

from petition.core import metrics
from petition.core.client_networks import ClientNetwork
from petition.core.settings import Settings
from petition.letters.model import Counts
from petition.letters.published import PublishedLetters
from petition.web import connection_limits, uvicorn_responses
from petition.web.fair_lines import FairLines
from petition.web.headers import common_headers
from petition.web.slow_clients import WRITE_BUFFER
from petition.web.turns import line_of

Message = MutableMapping[str, Any]
Send = Callable[[Message], Coroutine[Any, Any, None]]

MIN_INTERVAL = 1.0  # seconds between two events of a letter
HEARTBEAT = 15.0  # seconds; proxies close connections that are silent for thirty or sixty
MAX_SECONDS = 3600.0  # of a stream; then the browser reconnects, perhaps to another process
MAX_BYTES = 8 * 1024  # of a stream; then the browser reconnects: some networks freeze connections after 16 KB
MAX_LISTENERS = 100_000  # of one process, if it may open as many files; further ones have to poll
MAX_PER_NETWORK = 500  # enough for a university behind one address; no single machine takes all slots
SAMPLE = 2000  # listeners of which those are chosen that make room: to compare all would hold up everything else
SHARE = 100  # when all slots are taken, one in so many of the sample is freed at once
PREFIX, SUFFIX = "/api/v1/letters/", "/events"
SERVERS_SEND = "petition.send"  # in the ASGI scope: the server's own, by which it can be asked for the connection
WRITE_BATCH = 250  # listeners written to before the event loop runs other tasks
RETRY = (3000, 8000)  # milliseconds until a browser reconnects, spread so that a restart causes no storm

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"connection", b"close"),  # a browser that reconnects must not do so on this connection
    (b"access-control-allow-origin", b"*"),
    (b"x-accel-buffering", b"no"),  # nginx would buffer events
    (b"x-robots-tag", b"noindex"),
]


@dataclass(slots=True)
class ListeningNetwork:
    """A network and how many listen from it: one object for all of them."""

    network: ClientNetwork
    size: int = 0


class EventBytes:
    """Bytes for many listeners, framed once: in chunks, and bare for HTTP/1.0, which has none (RFC 9112, 6.1)."""

    __slots__ = ("bare", "chunked")

    def __init__(self, data: bytes) -> None:
        self.bare = data
        self.chunked = b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Listener(asyncio.Protocol):
    """One open connection, in the server's place. Slots, and nothing else: tens of thousands of these are open."""

    __slots__ = ("bytes_left", "channel", "expires_at", "is_behind", "is_chunked", "network", "streams", "transport")

    def __init__(self, streams: "CountStreams", channel: "Channel", network: ListeningNetwork) -> None:
        self.streams, self.channel, self.network = streams, channel, network
        self.bytes_left = MAX_BYTES
        self.expires_at = asyncio.get_running_loop().time() + MAX_SECONDS * random.uniform(0.8, 1)  # noqa: S311
        self.is_behind = False
        self.is_chunked = True
        self.transport: asyncio.Transport | None = None

    def begin(self, connection: uvicorn_responses.TakenConnection, headers: bytes, first: bytes) -> None:
        """Answer the request, and go on with the first event."""
        self.transport, self.is_chunked = connection.transport, connection.is_chunked
        self.is_behind = self.transport.get_write_buffer_size() > WRITE_BUFFER
        frame = EventBytes(first)
        body = frame.chunked if self.is_chunked else frame.bare
        self.transport.write(connection.head + headers + b"\r\n" + body)

    def write(self, frame: EventBytes) -> None:
        """Send it, and end the stream if that was enough; disconnect a listener that does not read."""
        if self.is_behind:
            self.drop()
        elif self.transport is not None and not self.transport.is_closing():
            data = frame.chunked if self.is_chunked else frame.bare
            self.transport.write(data)
            self.bytes_left -= len(data)
            if self.bytes_left <= 0:
                self.end()

    def end(self) -> None:
        """End the stream; what is not read yet still can be."""
        if self.transport is not None and not self.transport.is_closing():
            if self.is_chunked:
                self.transport.write(b"0\r\n\r\n")
            self.transport.close()

    def drop(self) -> None:
        metrics.DROPPED.inc()
        if self.transport is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        self.is_behind = True

    def resume_writing(self) -> None:
        self.is_behind = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the slot."""
        self.transport = None
        self.streams.release(self)


@dataclass
class Channel:
    """A letter and its listeners. ``id`` names the last count sent, the same in every process."""

    slug: str
    id: bytes = b""
    event: bytes = b""
    counted_at: datetime | None = None
    listeners: set[Listener] = field(default_factory=set)
    # Of them, those that connected while a push was scheduled: it sends them the count even if it has not changed.
    pending_listeners: set[Listener] = field(default_factory=set)
    sent_at: float = float("-inf")
    pushing: "asyncio.Task[None] | None" = None


class CountStreams:
    """All listeners of one process. ``stop`` ends them, so that the server need not wait for them."""

    def __init__(self, settings: Settings) -> None:
        self.headers = [*HEADERS, *common_headers(settings)]
        self._head = b"".join(b"%b: %b\r\n" % header for header in self.headers)
        self._letters: PublishedLetters | None = None
        self._channels: dict[str, Channel] = {}
        self._networks: dict[str, ListeningNetwork] = {}
        self._size = 0
        self._is_stopped = False

    def attach(self, letters: PublishedLetters) -> None:
        self._letters = letters
        letters.on_change(self._schedule_push)

    def admit(self, scope: Any, send: Send) -> bool:
        """Answer a request for a letter's events; return False if it is another, or its network has enough.

        If all slots are taken, the networks with the most of them lose some.
        """
        path = scope["path"]
        if not (path.startswith(PREFIX) and path.endswith(SUFFIX)) or scope["method"] != "GET":
            return False
        scope[SERVERS_SEND] = send
        if not self._admit(scope, send, path[len(PREFIX) : -len(SUFFIX)]):
            return False
        del scope[SERVERS_SEND]  # it holds the scope
        return True

    def _admit(self, scope: Any, send: Send, slug: str) -> bool:
        channel = self._channel(slug)
        network = self._network(scope["network"])
        limit = MAX_PER_NETWORK if network.network.has_own_bucket else MAX_LISTENERS
        if channel is None or network.size >= limit:
            return False
        listener = Listener(self, channel, network)
        connection = uvicorn_responses.take_over(send, listener)
        if connection is None:
            return False
        if self._size >= min(MAX_LISTENERS, connection_limits.max_streams(connection.others)):
            self._make_room()
        self._add(listener)
        is_current = (b"last-event-id", channel.id) in scope["headers"]
        first = b"retry: %d\n\n" % random.randint(*RETRY) + self._first_event(listener, is_current=is_current)  # noqa: S311
        listener.begin(connection, self._head, first)
        if self._is_stopped:
            listener.end()
        self._push_if_changed(channel)
        return True

    def _network(self, network: ClientNetwork) -> ListeningNetwork:
        return self._networks.get(network.narrowest) or ListeningNetwork(network)

    def _add(self, listener: Listener) -> None:
        network = self._networks.setdefault(listener.network.network.narrowest, listener.network)
        network.size += 1
        self._size += 1
        listener.channel.listeners.add(listener)
        metrics.LISTENERS.set(self._size)

    def release(self, listener: Listener) -> None:
        """Free the slot of a listener, if it has one."""
        channel, network = listener.channel, listener.network
        channel.pending_listeners.discard(listener)
        if listener not in channel.listeners:
            return
        channel.listeners.discard(listener)
        self._size -= 1
        network.size -= 1
        if not network.size:
            self._networks.pop(network.network.narrowest, None)
        metrics.LISTENERS.set(self._size)

    def _first_event(self, listener: Listener, *, is_current: bool) -> bytes:
        """Return what a new listener gets at once: nothing if it has the count, or a push to all is scheduled."""
        channel = listener.channel
        if is_current:  # by its Last-Event-ID
            return b""
        if channel.pushing is not None:
            channel.pending_listeners.add(listener)
            return b""
        channel.sent_at = asyncio.get_running_loop().time()
        return channel.event

    def yield_files(self, connections: int) -> None:
        """End some streams if there are too many beside so many connections."""
        if self._size > connection_limits.max_streams(connections):
            self._make_room()

    def _make_room(self) -> None:
        """End streams of the networks that have the most: of a browser's, which comes again, or of a flood."""
        lines: FairLines[Listener] = FairLines()
        everyone = chain.from_iterable(channel.listeners for channel in self._channels.values())
        for listener in islice(everyone, SAMPLE):
            lines.add(listener, line_of(listener.network.network))
        for _ in range(min(len(lines), max(1, len(lines) // SHARE))):
            listener = lines.pop_from_largest()
            self.release(listener)
            if listener.is_behind:
                listener.drop()
            else:
                listener.end()

    def _channel(self, slug: str) -> Channel | None:
        """Return the letter's channel, with the newest count unless a push is scheduled."""
        if self._letters is None or self._letters.counts(slug) is None:
            return None
        channel = self._channels.setdefault(slug, Channel(slug))
        if channel.pushing is None:
            self._update(channel)
        return channel

    def _update(self, channel: Channel) -> bool:
        """Store the newest count; return whether it has changed. Raises ``LookupError`` if the letter is gone."""
        current = self._letters and self._letters.counts(channel.slug)
        if not current:
            raise LookupError(channel.slug)
        counts, counted_at = current
        old_id, channel.id = channel.id, _id(counts)
        if counted_at != channel.counted_at:  # also an unchanged count, read again since
            channel.counted_at, channel.event = counted_at, _event(counts, counted_at)
        return channel.id != old_id

    def _schedule_push(self, slug: str) -> None:
        """Send the changed count to all listeners, at most once in ``MIN_INTERVAL``."""
        channel = self._channels.get(slug)
        if channel is not None and channel.listeners and channel.pushing is None:
            channel.pushing = asyncio.create_task(self._push(channel))

    async def _push(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(channel.sent_at + MIN_INTERVAL - loop.time())
            pending, channel.pending_listeners = channel.pending_listeners, set()
            recipients = channel.listeners if self._update(channel) else pending  # those are some of these
            if recipients:
                channel.sent_at = loop.time()
                await self._write(recipients, EventBytes(channel.event))
        except LookupError:
            del self._channels[channel.slug]
            await _in_batches(channel.listeners, Listener.end)
        finally:
            channel.pushing = None
        self._push_if_changed(channel)

    def _push_if_changed(self, channel: Channel) -> None:
        """Schedule a push for a count that changed while another one was being sent."""
        current = self._letters and self._letters.counts(channel.slug)
        if current is None or channel.pending_listeners or (current and channel.id != _id(current[0])):
            self._schedule_push(channel.slug)

    async def send_heartbeats(self) -> None:
        """Write a comment to all every ``HEARTBEAT`` until cancelled: keeps connections open and finds dead ones."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            now = asyncio.get_running_loop().time()
            for channel in tuple(self._channels.values()):
                await self._write(channel.listeners, EventBytes(b":\n\n"))
                expired = [listener for listener in channel.listeners if listener.expires_at < now]
                await _in_batches(expired, Listener.end)

    def stop(self) -> None:
        """End every stream, and each new one after the count: a server that shuts down waits for open responses.

        A browser that is refused would not come again, to another process.
        """
        self._is_stopped = True
        for channel in self._channels.values():
            for listener in tuple(channel.listeners):
                if listener.is_behind:
                    listener.drop()
                else:
                    listener.end()

    async def _write(self, listeners: Collection[Listener], frame: EventBytes) -> None:
        await _in_batches(listeners, lambda listener: listener.write(frame))


async def _in_batches(listeners: Collection[Listener], act: Callable[[Listener], None]) -> None:
    """Do something with each listener, some at a time: the others must not wait for tens of thousands of writes."""
    for number, listener in enumerate(tuple(listeners), 1):
        try:
            act(listener)
        except Exception:  # noqa: BLE001 - an error of one connection must not reach the others
            listener.drop()
        if number % WRITE_BATCH == 0:
            await asyncio.sleep(0)


def _id(counts: Counts) -> bytes:
    return b"%d-%d" % (counts.people, counts.organizations)


def _event(counts: Counts, counted_at: datetime) -> bytes:
    data = {
        "total": counts.total,
        "people": counts.people,
        "organizations": counts.organizations,
        "counted_at": counted_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return b"event: count\nid: %s\ndata: %s\n\n" % (_id(counts), json.dumps(data, separators=(",", ":")).encode())
