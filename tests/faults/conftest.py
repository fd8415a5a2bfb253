"""Two web processes of one installation."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from petition.core.database import opened
from petition.core.settings import Process, load
from tests.faults.processes import Web, web
from tests.running import Installation, environment, free_port, publish

BASE_URL = "http://letters.localhost:8000"


@dataclass
class Pair:
    """Two web processes on one database; ``site`` makes forms, and visits the first of them."""

    site: Installation
    webs: tuple[Web, Web]


@pytest.fixture
async def pair(database_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """Give two running web processes with the sample letter; mail waits in the outbox."""
    environ = environment(tmp_path, database_url, free_port(), BASE_URL=BASE_URL)
    settings = load(environ, role=Process.WEB)
    async with opened(database_url, most=4) as database:
        await publish(settings, database)
        async with (
            web(environ, free_port(), tmp_path / "first.log") as first,
            web(environ, free_port(), tmp_path / "second.log") as second,
        ):
            yield Pair(Installation(environ, settings, database, first.client), (first, second))
