"""The commands that run for long. They import little: what a web process has imported, it holds in memory."""

import asyncio
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace

from petition.cli.tool import url_of, with_database
from petition.core import database, logs, startup
from petition.core.errors import Unavailable
from petition.core.settings import Process, Settings, load
from petition.keeper import adoption


def demo(arguments: Namespace) -> None:
    """Run everything on this machine."""
    from petition.demo import supervisor  # it needs nearly all there is

    supervisor.run(arguments.port, arguments.data, is_empty=arguments.empty)


def serve(arguments: Namespace) -> None:
    """Serve the web until SIGTERM."""
    settings = replace(load(role=Process.WEB, port=arguments.port), host=arguments.host)
    logs.configure()
    with with_database(settings) as ready:
        asyncio.run(_look(ready))
        _serve(ready, arguments.workers)


def _serve(settings: Settings, workers: int) -> None:
    # The server takes a while to import, and where it runs in several processes this one does not need it.
    if workers == 1:
        from petition.web import server

        server.run(settings)
    else:
        from petition.web import processes

        processes.run(settings, workers)


def worker(_arguments: Namespace) -> None:
    """Deliver mail and keep retention until SIGTERM."""
    from petition.worker import main as working

    settings = load(role=Process.WORKER)
    logs.configure()
    with with_database(settings) as ready:
        asyncio.run(_look(ready))
        working.main(ready)


async def _look(settings: Settings) -> None:
    """Look at the database and the keeper before a process begins. Raises ``SettingsError``."""
    await startup.look_at_database(settings)
    with suppress(Unavailable):
        async with database.opened(url_of(settings), max_size=1) as db:
            await adoption.look(db, settings)
