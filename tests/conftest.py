"""One embedded cluster and one migrated template database a run; a clone of it for each test that asks."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from petition import postgres
from petition.core.database import connect, migrate
from tests import caches
from tests.memory import room
from tests.running import Installation, installation, working

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

pytest_plugins = ["tests.fixtures"]

# A slow machine is no failure: nothing here is judged by the time it takes.
settings.register_profile("petition", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("petition")
caches.keep()


# A shell starts background jobs with Ctrl-C switched off; the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Files that take long, however few tests they have. Begun first, so that in the end nobody waits for one of them.
LONG = ("browser", "demo", "faults", "bench", "captcha/test_browser.py", "test_wheel.py", "test_procfile.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; ``make test`` hands files out in this order."""
    here = Path(__file__).parent
    long = tuple(here / each for each in LONG)
    items.sort(key=lambda item: not any(item.path.is_relative_to(each) for each in long))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a temporary folder that the server's account can enter; pytest's own are closed to it."""
    yield from _open_folder()


def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="petition-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def memory() -> Iterator[Path | None]:
    """Give a folder for databases that outlives the server; None where this machine has no memory to spare."""
    with room() as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster(memory: Path | None) -> Iterator[str]:
    """Give the URL of the run's own PostgreSQL. Without fsync, unless ``PETITION_TEST_FSYNC=1``."""
    for folder in _open_folder():
        with postgres.running(folder, fast=os.environ.get("PETITION_TEST_FSYNC") != "1") as url:
            yield url


@pytest.fixture(scope="session")
async def admin(cluster: str) -> "AsyncIterator[Conn]":
    """Give a connection that makes and drops databases."""
    connection = await connect(cluster)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def template(cluster: str, admin: "Conn", memory: Path | None) -> str:
    """Give the name of the migrated, empty database that the others are cloned from, beside it."""
    await admin.execute(f"CREATE DATABASE migrated TABLESPACE {await _tablespace(admin, memory)}")
    await migrate(in_database(cluster, "migrated"))
    return "migrated"


async def _tablespace(admin: "Conn", memory: Path | None) -> str:
    """Return the tablespace for the run's databases."""
    if memory is None:
        return "pg_default"
    server = Path(await admin.fetchval("SHOW data_directory")).stat()
    os.chown(memory, server.st_uid, server.st_gid)
    await admin.execute(f"CREATE TABLESPACE memory LOCATION '{memory}'")
    return "memory"


@pytest.fixture
async def database_url(cluster: str, admin: "Conn", template: str) -> AsyncIterator[str]:
    """Give the URL of a migrated, empty database of this test's own."""
    async with fresh_database(cluster, admin, template) as url:
        yield url


@asynccontextmanager
async def fresh_database(cluster: str, admin: "Conn", template: str) -> AsyncIterator[str]:
    """Clone the template; give the clone's URL; drop it in the end."""
    name = f"test_{secrets.token_hex(8)}"
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield in_database(cluster, name)
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def conn(database_url: str) -> "AsyncIterator[Conn]":
    """Give a connection to this test's own database."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


def in_database(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return url.replace("/petition?", f"/{name}?", 1)


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """Give a running web server with the sample letter; its mail waits in the outbox."""
    async with installation(database_url, tmp_path) as running:
        yield running


@pytest.fixture
async def road(site: Installation) -> AsyncIterator[Installation]:
    """Give the same with a worker and an SMTP server: the whole road."""
    async with working(site.environ, site.inbox):
        yield site
