"""The web server: uvicorn, configured to store nothing about visitors."""

import logging
import os
import resource
import signal
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from petition.core import child_processes, logs
from petition.core.database import schema_number
from petition.core.errors import PetitionError
from petition.core.settings import Process, Settings, load
from petition.core.version import version
from petition.web.app import create_app
from petition.web.connection import WRITE_TIMEOUT, GuardedProtocol
from petition.web.gateway import App

log = logging.getLogger(__name__)

OPEN_FILES = 65_536  # one per connection; the default on many systems is 1,024
MAX_UNSENT = 64 * 1024  # bytes of a response that the kernel takes before the network does
GRACE = 10  # seconds for open responses at shutdown


def run(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in one process or several. Raises ``PetitionError`` if it cannot listen."""
    # At its end uvicorn raises the signal once more, which would skip the cleanup of the caller.
    signal.signal(signal.SIGTERM, lambda *_: None)
    GuardedProtocol.trusted = settings.trusted_proxies
    _raise_file_limit()
    if workers == 1:
        config = configuration(create_app(settings), settings.host, settings.port)
        with _listening(settings.host, settings.port) as listener:
            _note_start(settings, workers)
            uvicorn.Server(config).run(sockets=[listener])
        return
    config = configuration("petition.web.server:from_environment", settings.host, settings.port, workers)
    # Each process loads the settings again, and the port may be from the command line.
    os.environ["PORT"] = str(settings.port)
    with _listening(settings.host, settings.port) as listener:
        _note_start(settings, workers)
        Multiprocess(config, sockets=[listener]).run()


def _note_start(settings: Settings, workers: int) -> None:
    where = {"host": settings.host, "port": settings.port, "workers": workers}
    log.info("listening", extra=where | {"version": version(), "schema": schema_number()})


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _listening(host: str, port: int) -> socket.socket:
    """Bind the port here: uvicorn would report a failure only to its log, which is filtered (petition.core.logs)."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python appends the address
        raise PetitionError(f"cannot listen at {host}, port {port}: {reason}") from None
    listener.set_inheritable(True)
    _bound_writes(listener)
    return listener


def _bound_writes(listener: socket.socket) -> None:
    """Have the kernel hold little of a response that is not read, and not for long; connections inherit it.

    Without these options it would take some megabytes, so that the server would never see that a client does not read.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(WRITE_TIMEOUT * 1000))
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)


def configuration(app: App | str, host: str, port: int, workers: int = 1) -> uvicorn.Config:
    """Return uvicorn's configuration; ``app`` is the name of a factory if there are several processes."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="petition.web.connection:GuardedProtocol",  # by name, as it is sent to other processes
        ws="none",
        log_config=None,
        access_log=False,  # it would contain client addresses and links with tokens
        proxy_headers=False,  # petition.core.client_networks reads them, from the right
        server_header=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=10_000,
    )


def from_environment() -> App:
    """Build the application in one of several processes."""
    logs.configure()
    child_processes.stop_with_parent()
    settings = load(role=Process.WEB)
    GuardedProtocol.trusted = settings.trusted_proxies
    return create_app(settings)
