"""The web server: uvicorn, told to keep nothing about visitors."""

import os
import resource
import signal
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from petition.core import logs
from petition.core.errors import PetitionError
from petition.core.settings import Process, Settings, load
from petition.web.app import create_app
from petition.web.connection import GuardedProtocol
from petition.web.gateway import App

OPEN_FILES = 65_536  # each visitor is one; many systems give a process 1,024 unless it asks
GRACE = 10  # seconds for answers under way when the server is told to stop


def run(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in one process or several. Raises ``PetitionError`` if the port cannot be had."""
    # When all is done uvicorn raises the signal once more; ending by it would skip what our caller has to put away.
    signal.signal(signal.SIGTERM, lambda *_: None)
    GuardedProtocol.trusted = settings.trusted_proxies
    _allow_many()
    if workers == 1:
        config = configuration(create_app(settings), settings.host, settings.port)
        with _listening(settings.host, settings.port) as listener:
            uvicorn.Server(config).run(sockets=[listener])
        return
    config = configuration("petition.web.server:from_environment", settings.host, settings.port, workers)
    os.environ["PORT"] = str(settings.port)  # the processes read the settings anew, and the command line may have won
    with _listening(settings.host, settings.port) as listener:
        Multiprocess(config, sockets=[listener]).run()


def _allow_many() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listening(host: str, port: int) -> socket.socket:
    """Take the port here: uvicorn would say so to a log that keeps only what we wrote ourselves."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address
        raise PetitionError(f"cannot listen at {host}, port {port}: {reason}") from None
    listener.set_inheritable(True)
    return listener


def configuration(app: App | str, host: str, port: int, workers: int = 1) -> uvicorn.Config:
    """Return how the server serves ``app``, which is the name of its factory where there are several processes."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="petition.web.connection:GuardedProtocol",  # by name, as it is handed to other processes
        ws="none",
        log_config=None,
        access_log=False,  # addresses and links would stand in it
        proxy_headers=False,  # petition.network reads them, from the right
        server_header=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=10_000,
    )


def from_environment() -> App:
    """Return the application of one of several processes."""
    logs.configure()
    settings = load(role=Process.WEB)
    GuardedProtocol.trusted = settings.trusted_proxies
    return create_app(settings)
