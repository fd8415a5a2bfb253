"""One letter with a log, and people on it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from petition.count_log import sequencing
from petition.count_log.entries import Recount
from petition.count_log.reading import LogHead
from tests import rows
from tests.count_log import recounting
from tests.count_log.partner import Partner
from tests.moderation.desk import Bench
from tests.running import Installation


@dataclass
class LogBench(Bench):
    """A letter whose log is written by hand."""

    async def take(self) -> bool:
        """Let the worker look at all letters once; return whether it has more to do."""
        return await sequencing.step(self.database, recounting.WRAPPER, recounting.BASE_URL)

    async def log(self) -> LogHead:
        """Return the head of the log."""
        return (await recounting.log_of(self.database, self.letter.id))[0]

    async def files(self) -> dict[str, bytes]:
        """Return the files of the log."""
        return (await recounting.log_of(self.database, self.letter.id))[1]

    async def check_log(self) -> Recount:
        """Take all that waits, and fail unless the log says what the count says."""
        return await recounting.check_log(self.database, self.letter.id)

    async def waiting(self) -> int:
        """Return how many entries wait."""
        return len(await self.rows("SELECT FROM count_log_queue WHERE letter = $1"))

    async def change(self, statement: str, *more: object) -> None:
        """Change rows of this letter ($1) behind the application's back."""
        async with self.database.transaction() as conn:
            await conn.execute(statement, self.letter.id, *more)


@pytest.fixture
async def logged(site: Installation) -> AsyncIterator[LogBench]:
    """Give a published letter without a signature."""
    async with site.database.connection() as conn:
        yield LogBench(site.database, await rows.letter(conn))


@pytest.fixture
def partner(site: Installation, tmp_path: Path) -> Partner:
    """Give a partner's machine that has downloaded the witness."""
    there = Partner(tmp_path, site)
    there.install()
    return there
