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
from petition.core.database import connect, migrate, opened
from petition.core.settings import Process, load
from tests import caches, file_order, layouts
from tests.faults.server import Server
from tests.memory import room
from tests.running import Installation, environment, installation, publish, working

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

pytest_plugins = ["tests.fixtures"]

# A slow machine is no failure: nothing here is judged by the time it takes. In CI the examples are the same each time,
# so that a change fails by its own fault; on a developer's machine, and by `make fuzz`, they are new ones.
settings.register_profile("petition", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("petition"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "petition")
caches.keep()


# A shell starts background jobs with Ctrl-C switched off; the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of some files on a partitioned database as well."""
    if "layout" in metafunc.fixturenames and layouts.is_on_both(metafunc.definition.path, metafunc.function.__name__):
        metafunc.parametrize("layout", [layouts.PLAIN, layouts.PARTITIONS], indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; ``make test`` hands files out in this order."""
    items[:] = file_order.longest_first(items)


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
def run_folder() -> Iterator[Path]:
    """Give the run's own folder, which servers' accounts can enter, in memory where there is some."""
    with room() as memory:
        yield from [memory] if memory else _open_folder()


@pytest.fixture(scope="session")
def cluster(run_folder: Path) -> Iterator[str]:
    """Give the URL of the run's own PostgreSQL, without fsync, unless ``PETITION_TEST_FSYNC=1``."""
    with postgres.running(run_folder / "shared", fast=os.environ.get("PETITION_TEST_FSYNC") != "1") as url:
        yield url


@pytest.fixture(scope="session")
async def migrated_server(run_folder: Path) -> Server:
    """Give a server that has stopped, with the whole schema: others begin with its files."""
    original = Server(run_folder / "migrated")
    await original.start()
    await migrate(original.url)
    await original.end(signal.SIGINT)
    return original


@pytest.fixture
async def server(run_folder: Path, migrated_server: Server) -> AsyncIterator[Server]:
    """Give a migrated PostgreSQL of this test's own, which it may freeze, kill and start again."""
    folder = run_folder / secrets.token_hex(8)
    own = Server(folder, migrated_server)
    await own.start()
    yield own
    if own.is_running:
        await own.end(signal.SIGINT)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def admin(cluster: str) -> "AsyncIterator[Conn]":
    """Give a connection that makes and drops databases."""
    connection = await connect(cluster)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def template(cluster: str, admin: "Conn") -> str:
    """Give the name of the migrated, empty database that the others are cloned from."""
    await admin.execute("CREATE DATABASE migrated")
    await migrate(in_database(cluster, "migrated"))
    # Whoever comes first makes the server write down what it knows of the tables; clones have that from the template.
    await (await connect(in_database(cluster, "migrated"))).close()
    return "migrated"


@pytest.fixture(scope="session")
async def published(cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the name of a database with the sample letter, to be cloned by those who would publish it first."""
    await admin.execute(f"CREATE DATABASE published TEMPLATE {template} STRATEGY file_copy")
    url = in_database(cluster, "published")
    async with opened(url, max_size=1) as database:
        environ = environment(tmp_path_factory.mktemp("published"), url, 8000)
        await publish(load(environ, role=Process.WEB), database)
    return "published"


@pytest.fixture
def with_letter() -> None:
    """For fixtures that would publish the sample letter: the test's database is a clone that has it."""


@pytest.fixture(scope="session")
def layout(request: pytest.FixtureRequest) -> str:
    """Give how the test's database is laid out: plain, or with partitions where a file is run on both."""
    return str(getattr(request, "param", layouts.PLAIN))


@pytest.fixture(scope="session")
def divided(cluster: str, admin: "Conn", tmp_path_factory: pytest.TempPathFactory) -> layouts.DividedTemplates:
    """Give the partitioned databases that others are cloned from, made when a test first asks."""
    return layouts.DividedTemplates(cluster, admin, tmp_path_factory.mktemp("divided"))


@pytest.fixture
async def database_url(
    cluster: str,
    admin: "Conn",
    template: str,
    published: str,
    layout: str,
    divided: layouts.DividedTemplates,
    request: pytest.FixtureRequest,
) -> AsyncIterator[str]:
    """Give the URL of a migrated database of this test's own, empty or with what its other fixtures would put there."""
    with_letter = "with_letter" in request.fixturenames
    if layout == layouts.PLAIN:
        async with fresh_database(cluster, admin, published if with_letter else template) as url:
            yield url
        return
    async with fresh_database(cluster, admin, await divided.name(with_letter=with_letter)) as url:
        yield url
        if with_letter:
            await divided.check_bystanders(url)


@asynccontextmanager
async def fresh_database(cluster: str, admin: "Conn", template: str) -> AsyncIterator[str]:
    """Clone the template; give the clone's URL; drop it in the end."""
    name = f"test_{secrets.token_hex(8)}"
    # Files are copied in half the time that it takes to write each block to the log.
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
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
    return layouts.in_database(url, name)


@pytest.fixture
async def site(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    """Give a running web server with the sample letter; its mail waits in the outbox."""
    async with installation(database_url, tmp_path) as running:
        yield running


@pytest.fixture
async def site_with_worker(site: Installation) -> AsyncIterator[Installation]:
    """Give the same with a worker and an SMTP server: the whole road."""
    async with working(site.environ, site.inbox):
        yield site
