"""The web server: uvicorn, configured to store nothing about visitors."""

import logging
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvicorn
from uvicorn.supervisors import Multiprocess

from petition.core import child_processes, logs, metric_cells
from petition.core.database import schema_number
from petition.core.errors import PetitionError
from petition.core.settings import Process, Settings, load
from petition.core.version import version
from petition.web.app import create_app
from petition.web.connection import GuardedProtocol
from petition.web.gateway import App
from petition.web.slow_clients import WRITE_TIMEOUT

log = logging.getLogger(__name__)

OPEN_FILES = 65_536  # one per connection; the default on many systems is 1,024
MAX_UNSENT = 64 * 1024  # bytes of a response that the kernel takes before the network does
GRACE = 10  # seconds for open responses at shutdown


def run(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in one process or several. Raises ``PetitionError`` if it cannot listen."""
    # At its end uvicorn raises the signal once more, which would skip the cleanup of the caller.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _raise_file_limit()
    if workers == 1:
        use_settings(settings)
        config = configuration(create_app(settings), settings.host, settings.port)
        with listening(settings) as sockets:
            _note_start(settings, workers)
            uvicorn.Server(config).run(sockets=sockets)
        return
    config = configuration("petition.web.server:from_environment", settings.host, settings.port, workers)
    # Each process loads the settings again, and the port may be from the command line.
    os.environ["PORT"] = str(settings.port)
    with listening(settings) as sockets, metric_cells.shared_folder():
        _note_start(settings, workers)
        Multiprocess(config, sockets=sockets).run()


def use_settings(settings: Settings) -> None:
    """Have the connections of this process follow ``settings``."""
    GuardedProtocol.trusted, GuardedProtocol.onion_port = settings.trusted_proxies, settings.onion_port


def _note_start(settings: Settings, workers: int) -> None:
    where = {"host": settings.host, "port": settings.port, "workers": workers}
    if settings.onion_port is not None:
        where["onion_port"] = settings.onion_port
    elif settings.onion_origin is not None:
        log.warning("the Onion service has no port of its own", extra={"setting": "ONION_PORT"})
    log.info("listening", extra=where | {"version": version(), "schema": schema_number()})


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Bind the web's port, and Tor's if there is one; close them at the end. Raises ``PetitionError``."""
    ports = [settings.port] if settings.onion_port is None else [settings.port, settings.onion_port]
    with ExitStack() as stack:
        yield [stack.enter_context(_bind(settings.host, port)) for port in ports]


def _bind(host: str, port: int) -> socket.socket:
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
        proxy_headers=False,  # petition.web.listeners reads them, from the right
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
    use_settings(settings)
    return create_app(settings)
