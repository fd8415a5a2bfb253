"""The web server: uvicorn, configured to store nothing about visitors, and to end without an error for any of them."""

import asyncio
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

import uvicorn

from petition.core import service_manager
from petition.core.database import schema_number
from petition.core.settings import Settings
from petition.core.version import version
from petition.web.app import create_app
from petition.web.connection import GuardedProtocol
from petition.web.gateway import App
from petition.web.listening import BACKLOG, NOTICE, listening, note_start, take_waiting
from petition.web.shutdown import notice

log = logging.getLogger(__name__)

MIN_FILES = 4096
OPEN_FILES = 65_536  # one per connection; the default on many systems is 1,024
GRACE = 10  # seconds for open responses at shutdown
ACCEPTED = 16  # new connections, at each port, between two turns of the event loop
DRAIN = 4.0  # seconds in which proxies let go of idle connections: after 1 with the files in deploy/

Pulse = Callable[[], Awaitable[None]]


class Server(uvicorn.Server):
    """uvicorn's server, but it ends without an error for those who come through a proxy.

    It accepts what waits in the queues of ``own`` sockets, which no one else holds; its answers end their connections;
    and it leaves idle connections for proxies to close, since a request may be on its way in one of them.
    """

    def __init__(self, config: uvicorn.Config, own: Sequence[socket.socket] = ()) -> None:
        super().__init__(config)
        self._own = own

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as many acceptors as a crowd needs, and note in the log what runs.

        libuv accepts one connection of a socket each time the event loop comes round (since 1.45). When that takes ten
        milliseconds, the last of 1,500 who come at once would wait for fifteen seconds. A copy of a socket is another
        one to libuv, and the same queue to the kernel.
        """
        for listener in sockets or []:
            # Before it is copied: whether it blocks is shared with the other processes, and a copy takes it from here.
            listener.setblocking(False)
        copies = [listener.dup() for listener in sockets or [] for _ in range(ACCEPTED - 1)]
        await super().startup(sockets and [*sockets, *copies])
        if self.started:
            more = {"pid": os.getpid(), "port": self.config.port, "version": version(), "schema": schema_number()}
            log.info("web process started", extra=more)
            service_manager.notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        service_manager.notify("STOPPING=1")
        if self._own and notice.is_probed:
            notice.give()
            await asyncio.sleep(NOTICE)
        await take_waiting(self._own)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        GuardedProtocol.is_draining = True
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await self._wait_for_proxies()
        await super().shutdown(sockets)

    async def _wait_for_proxies(self) -> None:
        end = asyncio.get_running_loop().time() + DRAIN
        while not self.force_exit and asyncio.get_running_loop().time() < end:
            connections = [one for one in self.server_state.connections if isinstance(one, GuardedProtocol)]
            if not any(connection.is_of_proxy() for connection in connections):
                return
            await asyncio.sleep(0.05)


def run(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT. Raises ``PetitionError`` if it cannot listen."""
    prepare(settings)
    config = configuration(create_app(settings), settings.host, settings.port)
    inherited = service_manager.take_sockets()
    with listening(settings, inherited) as sockets:
        note_start(settings, 1)
        own = [listener for listener in sockets if listener not in inherited]
        Server(config, own).run(sockets=sockets)


def prepare(settings: Settings) -> None:
    """Prepare this process to serve."""
    # At its end uvicorn raises the signal once more, which would skip the cleanup of the caller.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _raise_file_limit()
    use_settings(settings)


def use_settings(settings: Settings) -> None:
    """Have the connections of this process follow ``settings``."""
    GuardedProtocol.trusted, GuardedProtocol.onion_port = settings.trusted_proxies, settings.onion_port


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < MIN_FILES:
        log.warning("few files may be open", extra={"limit": limit})


def configuration(app: App, host: str, port: int, pulse: Pulse | None = None) -> uvicorn.Config:
    """Return uvicorn's configuration; ``pulse`` is called once a second."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=False,  # it would contain client addresses and links with tokens
        proxy_headers=False,  # petition.web.listeners reads them, from the right
        server_header=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=10_000,
        backlog=BACKLOG,
        callback_notify=pulse,
        timeout_notify=0,
    )
