"""Two web processes of one installation."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core.database import opened
from petition.core.settings import Process, load
from petition.demo.inbox import Inbox
from tests.conftest import fresh_database
from tests.faults.patient import Running, running_at
from tests.faults.processes import BASE_URL, Web, web
from tests.faults.server import Server
from tests.fixtures import empty
from tests.running import Installation, environment, free_port

if TYPE_CHECKING:
    from tests.conftest import Conn


@dataclass
class Pair:
    """Two web processes on one database; ``site`` makes forms, and visits the first of them."""

    site: Installation
    webs: tuple[Web, Web]


@pytest.fixture(scope="module")
async def running_pair(
    cluster: str, admin: "Conn", published: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Give two running web processes for the tests of one file."""
    folder = tmp_path_factory.mktemp("pair")
    async with fresh_database(cluster, admin, published) as url:
        environ = environment(folder, url, free_port(), BASE_URL=BASE_URL)
        settings = load(environ, role=Process.WEB)
        async with (
            opened(url, max_size=4) as database,
            web(environ, free_port(), folder / "first.log") as first,
            web(environ, free_port(), folder / "second.log") as second,
        ):
            yield Pair(Installation(environ, settings, database, first.client), (first, second))


@pytest.fixture
async def pair(running_pair: Pair) -> Pair:
    """Give them as if nobody had signed the sample letter yet; mail waits in the outbox."""
    await empty(running_pair.site.database)
    running_pair.site.inbox = Inbox()
    return running_pair


@pytest.fixture
async def running(server: Server, tmp_path: Path) -> AsyncIterator[Running]:
    """Give one that is as patient as a shipped one, and that every page of ``READ`` was asked of."""
    async with running_at(server.url, server, tmp_path) as process:
        yield process
