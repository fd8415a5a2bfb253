"""The web server: uvicorn, told to keep nothing about visitors."""

import os
import signal

import uvicorn
from uvicorn.supervisors import Multiprocess

from petition import logs
from petition.app import create_app
from petition.front import App
from petition.settings import Role, Settings, load

GRACE = 10  # seconds for answers under way when the server is told to stop


def run(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in one process or several."""
    # When all is done uvicorn raises the signal once more; ending by it would skip what our caller has to put away.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if workers == 1:
        uvicorn.Server(configuration(create_app(settings), settings.host, settings.port)).run()
        return
    config = configuration("petition.serving:from_environment", settings.host, settings.port, workers)
    os.environ["PORT"] = str(settings.port)  # the processes read the settings anew, and the command line may have won
    Multiprocess(config, sockets=[config.bind_socket()]).run()


def configuration(app: App | str, host: str, port: int, workers: int = 1) -> uvicorn.Config:
    """Return how the server serves ``app``, which is the name of its factory where there are several processes."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="httptools",
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
    return create_app(load(role=Role.WEB))
