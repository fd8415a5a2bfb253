"""The count as Server-Sent Events: each event is encoded once for all listeners, and no write waits for a slow one.

Raw ASGI, because a framework's request and response take five times the memory a listener may. A listener costs its
connection, one task that waits for the disconnect, and an entry in a set; one loop does all writing. The format is
WHATWG HTML, 9.2.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from petition.core import metrics
from petition.core.client_networks import ClientNetwork
from petition.core.settings import Settings
from petition.letters.model import Counts
from petition.letters.published import PublishedLetters
from petition.web import uvicorn_responses
from petition.web.fair_lines import FairLines
from petition.web.headers import common_headers
from petition.web.turns import line_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

MIN_INTERVAL = 1.0  # seconds between two events of a letter
HEARTBEAT = 15.0  # seconds; proxies close connections that are silent for thirty or sixty
MAX_SECONDS = 3600.0  # of a stream; then the browser reconnects, perhaps to another process
MAX_BYTES = 8 * 1024  # of a stream; then the browser reconnects: some networks freeze connections after 16 KB
MAX_LISTENERS = 6000  # of one process; further ones have to poll
MAX_PER_NETWORK = 500  # enough for a university behind one address; no single machine takes all slots
SHARE = (
    100  # when all slots are taken, one in so many is freed at once, so that choosing costs little for each newcomer
)
PREFIX, SUFFIX = "/api/v1/letters/", "/events"
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


class Listener:
    """One open connection. Slots, and a task that only waits: thousands of these are open at once."""

    __slots__ = ("bytes_left", "channel", "expires_at", "has_slot", "is_current", "network", "send", "task")

    def __init__(self, channel: "Channel", network: ClientNetwork, send: Send, *, is_current: bool) -> None:
        self.channel = channel
        self.is_current = is_current  # has the last count sent (Last-Event-ID)
        self.send = send
        self.network = network
        self.has_slot = True
        self.bytes_left = MAX_BYTES
        self.task = asyncio.current_task()
        self.expires_at = asyncio.get_running_loop().time() + MAX_SECONDS * random.uniform(0.8, 1)  # noqa: S311


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
        self._letters: PublishedLetters | None = None
        self._channels: dict[str, Channel] = {}
        self._networks: Counter[str] = Counter()
        self._size = 0
        self._is_stopped = False

    def attach(self, letters: PublishedLetters) -> None:
        self._letters = letters
        letters.on_change(self._schedule_push)

    def admit(self, scope: Any, send: Send) -> Listener | None:
        """Return a listener for a request for a letter's events; None if it is another, or its network has enough.

        If all slots are taken, the networks with the most of them lose some. The caller must hand the listener to
        ``serve``, which frees its slot.
        """
        path = scope["path"]
        if not (path.startswith(PREFIX) and path.endswith(SUFFIX)) or scope["method"] != "GET":
            return None
        channel = self._channel(path[len(PREFIX) : -len(SUFFIX)])
        network: ClientNetwork = scope["network"]
        limit = MAX_PER_NETWORK if network.has_own_bucket else MAX_LISTENERS
        if channel is None or self._networks[network.narrowest] >= limit:
            return None
        if self._size >= MAX_LISTENERS:
            self._make_room()
        self._networks[network.narrowest] += 1
        self._size += 1
        metrics.LISTENERS.set(self._size)
        is_current = (b"last-event-id", channel.id) in scope["headers"]
        if scope["http_version"] == "1.0":
            uvicorn_responses.disable_chunking(send)
        # The server holds the scope as long as the response lasts; a browser's headers take a kilobyte or two.
        scope["headers"].clear()
        scope.pop("state", None)
        return Listener(channel, network, send, is_current=is_current)

    async def serve(self, listener: Listener, receive: Receive) -> None:
        """Stream to one listener until either side closes, then free its slot."""
        channel, send = listener.channel, listener.send
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send(_body(b"retry: %d\n\n" % random.randint(*RETRY) + self._first_event(listener)))  # noqa: S311
            if self._is_stopped:
                await send(END)
                return
            channel.listeners.add(listener)
            self._push_if_changed(channel)
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            channel.listeners.discard(listener)
            channel.pending_listeners.discard(listener)
            self._release(listener)

    def _first_event(self, listener: Listener) -> bytes:
        """Return what a new listener gets at once: nothing if it has the count, or a push to all is scheduled."""
        channel = listener.channel
        if listener.is_current:
            return b""
        if channel.pushing is not None:
            channel.pending_listeners.add(listener)
            return b""
        channel.sent_at = asyncio.get_running_loop().time()
        return channel.event

    def _make_room(self) -> None:
        """End streams of the networks that have the most: of a browser's, which comes again, or of a flood."""
        lines: FairLines[Listener] = FairLines()
        for listener in (listener for channel in self._channels.values() for listener in channel.listeners):
            lines.add(listener, line_of(listener.network))
        for _ in range(min(len(lines), max(1, MAX_LISTENERS // SHARE))):
            listener = lines.pop_from_largest()
            listener.channel.listeners.discard(listener)
            self._release(listener)
            if not _try_send(listener.send(END)):
                _drop(listener)

    def _release(self, listener: Listener) -> None:
        if not listener.has_slot:
            return
        listener.has_slot = False
        network = listener.network.narrowest
        self._size -= 1
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]
        metrics.LISTENERS.set(self._size)

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
            recipients = channel.listeners | pending if self._update(channel) else pending
            if recipients:
                channel.sent_at = loop.time()
                await self._write(recipients, _body(channel.event))
        except LookupError:
            del self._channels[channel.slug]
            await self._write(channel.listeners, END)
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
                await self._write(channel.listeners, _body(b":\n\n"))
                await self._write([listener for listener in channel.listeners if listener.expires_at < now], END)

    def stop(self) -> None:
        """End every stream, and each new one after the count: a server that shuts down waits for open responses.

        A browser that is refused would not come again, to another process.
        """
        self._is_stopped = True
        for channel in self._channels.values():
            for listener in tuple(channel.listeners):
                if not _try_send(listener.send(END)):
                    _drop(listener)

    async def _write(self, listeners: Collection[Listener], message: Message) -> None:
        last = {**message, "more_body": False}
        for i, listener in enumerate(tuple(listeners), 1):
            listener.bytes_left -= len(message["body"])
            if not _try_send(listener.send(message if listener.bytes_left > 0 else last)):
                _drop(listener)
            if i % WRITE_BATCH == 0:
                await asyncio.sleep(0)


def _try_send(sending: Coroutine[Any, Any, None]) -> bool:
    """Run ``sending`` without waiting; return whether it completed.

    A server's ``send`` waits only while its buffer for the connection is full, before it writes anything.
    """
    try:
        sending.send(None)
    except StopIteration:
        return True
    except Exception:  # noqa: BLE001 - an error of one connection must not reach the others
        return False
    sending.close()
    return False


def _drop(listener: Listener) -> None:
    """Disconnect a listener that does not read."""
    metrics.DROPPED.inc()
    if not uvicorn_responses.abort(listener.send) and listener.task is not None:
        listener.task.cancel()


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


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
