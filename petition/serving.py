"""The web server: uvicorn, told to keep nothing about visitors."""

import uvicorn

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
    server = uvicorn.Server(config)
    if workers == 1:
        server.run()
        return
    socket = config.bind_socket()
    uvicorn.supervisors.Multiprocess(config, target=server.run, sockets=[socket]).run()


def from_environment() -> App:
    """Return the application of one of several processes."""
    logs.configure()
    return create_app(load(role=Role.WEB))
