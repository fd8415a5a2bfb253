"""An installation that the tests of one file share, and a clock that stands still for those who count hours."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

import pytest

from tests.conftest import fresh_database
from tests.running import Installation, installation

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
async def shared(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Give a running web server with the sample letter, for tests that do not mind each other's signatures."""
    async with (
        fresh_database(cluster, admin, template) as url,
        installation(url, tmp_path_factory.mktemp("shared")) as running,
    ):
        yield running


EMPTY = """
TRUNCATE pending, signature, organization, contact, outbox, bar, name_word, count_hour, limit_use, used_challenge,
         statistics_change, statistics_hour, statistics_total
CASCADE
"""


@pytest.fixture
async def clean(shared: Installation) -> Installation:
    """Give the shared installation as if nobody had signed yet; its letter must be left as it is."""
    async with shared.database.transaction() as conn:
        await conn.execute(EMPTY)
        await conn.execute("UPDATE count SET people = 0, organizations = 0, hidden = 0, imported = 0")
    return shared


@pytest.fixture
def one_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock of the limits stand still, so that no hour ends in the middle of a test."""
    noon = datetime.now(UTC).replace(minute=30)

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Still":
            return cls.fromtimestamp(noon.timestamp(), tz)

    monkeypatch.setattr("petition.core.quotas.datetime", Still)
