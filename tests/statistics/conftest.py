"""The sample letter with its figures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core.database import Database, opened
from petition.core.settings import Process, load
from tests import rows
from tests.moderation.desk import Bench
from tests.running import environment, have_published


@pytest.fixture
async def database(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Database]:
    """Give a database with the sample letter."""
    async with opened(database_url, max_size=16) as database:
        await have_published(load(environment(tmp_path, database_url, 8000), role=Process.WEB), database)
        yield database


@pytest.fixture
async def bench(database: Database) -> Bench:
    """Give what signatories and moderators do."""
    async with database.connection() as conn:
        return Bench(database, await rows.letter(conn))
