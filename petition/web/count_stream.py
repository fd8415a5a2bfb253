"""The count as Server-Sent Events: one encoded event for all who listen, and nobody is waited for.

Raw ASGI, because a framework's request and response weigh five times what a listener may. A listener costs its
connection, one task that waits for the end, and a place in a set; all writing is done by one loop. The format is
WHATWG HTML, 9.2.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from petition.core import metrics
from petition.core.client_networks import ONION, of_scope
from petition.core.settings import Settings
from petition.letters.model import Counts
from petition.letters.published import PublishedLetters
from petition.web.headers import common_headers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

MIN_INTERVAL = 1.0  # seconds between two events of a letter, at least
HEARTBEAT = 15.0  # seconds; proxies end what is silent for thirty or sixty
MAX_SECONDS = 3600.0  # seconds a stream lasts; then the browser comes again, perhaps to another process
MAX_LISTENERS = 6000  # listeners of one process; further ones are told to poll
MAX_PER_NETWORK = 500  # a university behind one address, but no single machine takes all places
BEFORE, AFTER = "/api/v1/letters/", "/events"
WRITE_BATCH = 250  # listeners written to before other work has its turn
RETRY = (3000, 8000)  # milliseconds until a browser comes again, spread so that a restart is not a storm

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"access-control-allow-origin", b"*"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
    (b"x-robots-tag", b"noindex"),
]


class Listener:
    """One open connection. Slots, and a task that only waits: thousands of these are open at once."""

    __slots__ = ("channel", "known", "network", "send", "task", "until")

    def __init__(self, channel: "Channel", network: str, send: Send, *, known: bool) -> None:
        self.channel = channel
        self.known = known  # has seen the last count that was sent
        self.send = send
        self.network = network
        self.task = asyncio.current_task()
        self.until = asyncio.get_running_loop().time() + MAX_SECONDS * random.uniform(0.8, 1)  # noqa: S311


@dataclass
class Channel:
    """A letter and who listens to it. ``id`` names the last count sent, the same in every process."""

    slug: str
    id: bytes = b""
    event: bytes = b""
    counted_at: datetime | None = None
    listeners: set[Listener] = field(default_factory=set)
    pending_listeners: set[Listener] = field(
        default_factory=set
    )  # of them, those who came while an event was due for all
    sent_at: float = float("-inf")
    pushing: "asyncio.Task[None] | None" = None


class CountStreams:
    """All listeners of one process. ``stopping`` ends them, so that the server need not wait for them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.headers = [*HEADERS, *common_headers(settings)]
        self._board: PublishedLetters | None = None
        self._channels: dict[str, Channel] = {}
        self._networks: Counter[str] = Counter()
        self._size = 0
        self._ended = False

    def attach(self, board: PublishedLetters) -> None:
        """Follow the counts of ``board``."""
        self._board = board
        board.on_change(self._schedule_push)

    def admit(self, scope: Any, send: Send) -> Listener | None:
        """Return a place for who asks for a letter's events; None if that is not asked, or there is no place.

        Whoever gets one must be given to ``serve``.
        """
        path = scope["path"]
        if not (path.startswith(BEFORE) and path.endswith(AFTER)) or scope["method"] != "GET":
            return None
        channel = self._channel(path[len(BEFORE) : -len(AFTER)])
        network = of_scope(scope, self._settings)
        most = MAX_LISTENERS if network == ONION else MAX_PER_NETWORK
        if channel is None or self._size >= MAX_LISTENERS or self._networks[network] >= most:
            return None
        self._networks[network] += 1
        self._size += 1
        metrics.LISTENERS.set(self._size)
        known = (b"last-event-id", channel.id) in scope["headers"]
        if scope["http_version"] == "1.0":
            _disable_chunking(send)
        # The server keeps what was asked for as long as it answers; a browser's headers weigh a kilobyte or two.
        scope["headers"].clear()
        scope.pop("state", None)
        return Listener(channel, network, send, known=known)

    async def serve(self, listener: Listener, receive: Receive) -> None:
        """Answer one listener until either side has enough."""
        channel, send = listener.channel, listener.send
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send(_body(b"retry: %d\n\n" % random.randint(*RETRY) + self._first_event(listener)))  # noqa: S311
            channel.listeners.add(listener)
            self._push_if_changed(channel)
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            channel.listeners.discard(listener)
            channel.pending_listeners.discard(listener)
            self._release(listener)

    def _first_event(self, listener: Listener) -> bytes:
        """Return what a listener is told on coming: nothing if it knows, or if all are told within a second."""
        channel = listener.channel
        if listener.known:
            return b""
        if channel.pushing is not None:
            channel.pending_listeners.add(listener)
            return b""
        channel.sent_at = asyncio.get_running_loop().time()
        return channel.event

    def _release(self, listener: Listener) -> None:
        self._size -= 1
        self._networks[listener.network] -= 1
        if not self._networks[listener.network]:
            del self._networks[listener.network]
        metrics.LISTENERS.set(self._size)

    def _channel(self, slug: str) -> Channel | None:
        """Return the letter's channel; while it has no pushes under way, with the newest count."""
        if self._ended or self._board is None or self._board.counts(slug) is None:
            return None
        channel = self._channels.setdefault(slug, Channel(slug))
        if channel.pushing is None:
            self._update(channel)
        return channel

    def _update(self, channel: Channel) -> bool:
        """Take the newest count over; tell whether it is another one. Raises ``LookupError`` if the letter is gone."""
        now = self._board and self._board.counts(channel.slug)
        if not now:
            raise LookupError(channel.slug)
        before, channel.id = channel.id, _id(now[0])
        if now[1] != channel.counted_at:  # the same count, but seen again since
            channel.counted_at, channel.event = now[1], _event(*now)
        return channel.id != before

    def _schedule_push(self, slug: str) -> None:
        """Have what has changed sent, at most once a period."""
        channel = self._channels.get(slug)
        if channel is not None and channel.listeners and channel.pushing is None:
            channel.pushing = asyncio.create_task(self._push(channel))

    async def _push(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(channel.sent_at + MIN_INTERVAL - loop.time())
            told = channel.listeners | channel.pending_listeners if self._update(channel) else channel.pending_listeners
            channel.pending_listeners = set()
            if told:
                channel.sent_at = loop.time()
                await self._write(told, _body(channel.event))
        except LookupError:
            del self._channels[channel.slug]
            await self._write(channel.listeners, END)
        finally:
            channel.pushing = None
        self._push_if_changed(channel)

    def _push_if_changed(self, channel: Channel) -> None:
        """See to a count that moved while something was being sent."""
        now = self._board and self._board.counts(channel.slug)
        if now is None or channel.pending_listeners or (now and channel.id != _id(now[0])):
            self._schedule_push(channel.slug)

    async def send_heartbeats(self) -> None:
        """Write a comment to everyone now and then, until cancelled: it keeps connections open and finds dead ones."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            now = asyncio.get_running_loop().time()
            for channel in tuple(self._channels.values()):
                await self._write(channel.listeners, _body(b":\n\n"))
                await self._write([each for each in channel.listeners if each.until < now], END)

    def stop(self) -> None:
        """End every stream, and take no more: who serves waits until all answers have ended."""
        self._ended = True
        for channel in self._channels.values():
            for listener in tuple(channel.listeners):
                if not _try_send(listener.send(END)):
                    _drop(listener)

    async def _write(self, listeners: Collection[Listener], message: Message) -> None:
        for i, listener in enumerate(tuple(listeners), 1):
            if not _try_send(listener.send(message)):
                _drop(listener)
            if i % WRITE_BATCH == 0:
                await asyncio.sleep(0)


def _try_send(sending: Coroutine[Any, Any, None]) -> bool:
    """Run ``sending`` as far as it goes without waiting; tell whether that was to its end.

    A server's ``send`` waits only where its buffer for this connection is full, and has written nothing then.
    """
    try:
        sending.send(None)
    except StopIteration:
        return True
    except Exception:  # noqa: BLE001 - whatever is wrong with one connection is not the others' business
        return False
    sending.close()
    return False


def _disable_chunking(send: Send) -> None:
    """Have uvicorn write what it is given as it stands, and close the connection where the answer ends.

    HTTP/1.0 knows no chunks (RFC 9112, 6.1). A proxy that is not told otherwise, nginx for one, asks so.
    """
    cycle: Any = getattr(send, "__self__", None)
    if hasattr(cycle, "chunked_encoding"):
        cycle.chunked_encoding, cycle.expected_content_length, cycle.keep_alive = False, sys.maxsize, False


def _drop(listener: Listener) -> None:
    """Part with a reader who does not read. Uvicorn's connection is closed with what is still in its buffer."""
    metrics.DROPPED.inc()
    transport = getattr(getattr(listener.send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
    elif listener.task is not None:
        listener.task.cancel()


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


def _id(counts: Counts) -> bytes:
    return b"%d-%d" % (counts.people, counts.organizations)


def _event(counts: Counts, moment: datetime) -> bytes:
    data = {"total": counts.total, "people": counts.people, "organizations": counts.organizations}
    told = json.dumps({**data, "counted_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}, separators=(",", ":"))
    return b"event: count\nid: %s\ndata: %s\n\n" % (_id(counts), told.encode())
