"""The web server: uvicorn, told to keep nothing about visitors."""

import os

import uvicorn
from uvicorn.supervisors import Multiprocess

from petition import logs
from petition.app import create_app
from petition.front import App
from petition.settings import Role, Settings, load

GRACE = 10  # seconds for answers under way when the server is told to stop


def run(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in one process or several."""
    config = uvicorn.Config(
        create_app(settings) if workers == 1 else "petition.serving:from_environment",
        factory=workers > 1,
        host=settings.host,
        port=settings.port,
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
    if workers == 1:
        uvicorn.Server(config).run()
        return
    os.environ["PORT"] = str(settings.port)  # the processes read the settings anew, and the command line may have won
    Multiprocess(config, sockets=[config.bind_socket()]).run()


def from_environment() -> App:
    """Return the application of one of several processes."""
    logs.configure()
    return create_app(load(role=Role.WEB))
