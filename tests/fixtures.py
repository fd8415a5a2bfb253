"""Fixtures that several folders use: an installation that one file's tests share, a desk, a database with a letter."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect

from petition.core.database import Database, opened
from petition.core.settings import Process, load
from petition.letters.model import Letter
from tests import layouts, rows
from tests.conftest import fresh_database
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import Installation, environment, have_published, installation

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]


CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 120_000  # ms; only what never comes takes that long
HEADLESS_SHELL = os.environ.get("HEADLESS_SHELL", CHROMIUM)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Give what drives browsers."""
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as started:
        yield started


@pytest.fixture(scope="session")
async def chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """Give the process's one browser: the real engine, without windows where the machine has it so.

    A missing Chromium is an error, never a skip: without a browser nothing of it is proven.
    """
    browser = await playwright.chromium.launch(executable_path=HEADLESS_SHELL, args=FLAGS)
    yield browser
    await browser.close()


@pytest.fixture(scope="session")
async def whole_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """Give a browser in which a page stays alive for the way back; in the headless shell none does."""
    browser = await playwright.chromium.launch(
        executable_path=CHROMIUM, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield browser
    await browser.close()


@pytest.fixture(scope="module")
async def shared_site(
    cluster: str,
    admin: "Conn",
    published: str,
    layout: str,
    divided: layouts.DividedTemplates,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Installation]:
    """Give a running web server with the sample letter, for tests that do not mind each other's signatures."""
    source = published if layout == layouts.PLAIN else await divided.name(with_letter=True)
    async with (
        fresh_database(cluster, admin, source) as url,
        installation(url, tmp_path_factory.mktemp("shared")) as running,
    ):
        yield running


EMPTY = """
TRUNCATE pending, signature, other_link, organization, contact, outbox, bar, name_word, count_hour, limit_use,
         used_challenge, statistics_change, statistics_hour, statistics_total
CASCADE
"""


NOTHING_COUNTED = """
UPDATE count SET people = 0, organizations = 0, hidden = 0, imported = 0, listed_people = 0, listed_organizations = 0
"""


@pytest.fixture
async def clean(shared_site: Installation) -> Installation:
    """Give the shared installation as if nobody had signed yet; its letter must be left as it is."""
    await empty(shared_site.database)
    return shared_site


async def empty(database: Database) -> None:
    """Take away whatever signatories have left; letters and organizers stay."""
    async with database.transaction() as conn:
        await conn.execute(EMPTY)
        await conn.execute(NOTHING_COUNTED)


class HourClock:
    """The clock of the limits: it stands still, until a test lets an hour pass."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(minute=30)

    def next_hour(self) -> None:
        self.now += timedelta(hours=1)


@pytest.fixture
def one_hour(monkeypatch: pytest.MonkeyPatch) -> HourClock:
    """Have the clock of the limits stand still, so that no hour ends in the middle of a test."""
    clock = HourClock()

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Still":
            return cls.fromtimestamp(clock.now.timestamp(), tz)

    monkeypatch.setattr("petition.core.quotas.datetime", Still)
    return clock


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the clock of what is counted by the minute stand still (seconds), until a test moves it."""
    now = [600.0]
    monkeypatch.setattr("petition.web.throttle.clock", lambda: now[0])
    return now


@pytest.fixture
async def database(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Database]:
    """Give a database with the sample letter."""
    async with opened(database_url, max_size=16) as database:
        await have_published(load(environment(tmp_path, database_url, 8000), role=Process.WEB), database)
        yield database


@pytest.fixture
async def letter(database: Database) -> Letter:
    """Give the sample letter."""
    async with database.connection() as conn:
        return await rows.letter(conn)


@pytest.fixture
def bench(database: Database, letter: Letter) -> Bench:
    """Give what moderators work with."""
    return Bench(database, letter)


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


@pytest.fixture
async def keeper(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, admin=True, email="admin@letters.example") as client:
        yield client
