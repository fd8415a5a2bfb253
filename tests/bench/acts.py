"""What reading, searching and confirming cost in processor time, of this process and of the database together.

For a machine on which others work as well: rates and times to the first byte say little there, and the time for which
the kernel had a process on a core (``/proc/PID/schedstat``) is the same. Without HTTP and templates.
"""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from petition.core import database
from petition.core.database import Connection, Database, connect
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.letters import published
from petition.letters.model import Letter
from petition.moderation import queue_queries
from petition.moderation.model import Filter
from petition.signatures import listing
from petition.signatures.confirming import Confirmation, Confirming, ConfirmRequest, ConfirmResult
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind
from petition.web.api import queries as api_queries
from tests.bench.figures import Figures, Size
from tests.bench.flat import SEARCHES
from tests.bench.place import FEW, Place
from tests.bench.rounds import MIDDLE
from tests.bench.visitors import PENDING_COLUMNS, Visitors
from tests.running import KEY

BATCH = 64  # confirmations in one transaction
TIMES = 10  # each act in a round
TOP = datetime.max.replace(tzinfo=UTC), 2**63 - 1
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"


@dataclass
class Signed:
    """A letter that very many or few have signed."""

    letter: Letter
    db: Database
    conn: Connection
    middle: Cursor
    visitors: Visitors

    async def cost(self, act: Callable[[], Awaitable[object]]) -> float:
        """Carry an act out; return the milliseconds of processor time."""
        pids = [row["pid"] for row in await self.conn.fetch(BACKENDS)]
        before = time.process_time() + _seconds(pids)
        await act()
        return 1000 * (time.process_time() + _seconds(pids) - before)

    def reading(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Return the acts that change nothing."""
        conn, letter_id = self.conn, self.letter.id
        return {
            "first": lambda: listing.page(conn, letter_id, Kind.PERSON),
            "middle": lambda: listing.page(conn, letter_id, Kind.PERSON, self.middle),
            "history": lambda: api_queries.history(conn, letter_id, "day", None, 100),
            "queue": lambda: queue_queries.page(conn, letter_id, Filter(), TOP, 40),
            "queue by country": lambda: queue_queries.page(conn, letter_id, Filter(country="KZ"), TOP, 40),
        }

    async def confirm(self) -> float:
        """Confirm a batch; return the milliseconds of processor time for each."""
        rows = self.visitors.waiting(BATCH)
        await self.conn.copy_records_to_table("pending", records=rows, columns=PENDING_COLUMNS)
        confirming = Confirming(self.db)
        requests = [ConfirmRequest(self.letter.id, row[1], self.letter.keys) for row in rows]
        results: list[Confirmation] = []

        async def submit() -> None:
            results.extend(await asyncio.gather(*map(confirming.submit, requests)))

        used = await self.cost(submit)
        assert {result.result for result in results} == {ConfirmResult.CONFIRMED}
        return used / BATCH

    async def search(self, q: str) -> float:
        """Search; return the milliseconds of processor time."""
        return await self.cost(lambda: listing.search(self.conn, self.letter.id, Kind.PERSON, q))


def _seconds(pids: Iterable[int]) -> float:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


@contextlib.asynccontextmanager
async def _signed(place: Place, rows: int) -> AsyncIterator[Signed]:
    url = place.url(f"letters_{rows}")
    conn = await connect(url)
    async with database.opened(url, max_size=2) as db:
        letter = await published.read(conn, Wrapper([KEY]), LetterId(1))
        row = await conn.fetchrow(MIDDLE, rows // 2, timeout=600)
        assert row is not None
        yield Signed(letter, db, conn, Cursor(row["listed_at"], row["id"]), Visitors(letter))
    await conn.close()


async def measure(place: Place, size: Size, figures: Figures) -> None:
    """Compare a letter of ``FEW`` signatures with a large one, act by act in turn, and search the large one."""
    async with _signed(place, FEW) as few, _signed(place, size.rows) as many:
        letters = {"few": few, "many": many}
        for number in range(size.rounds + 1):
            print(f"round {number} of {size.rounds}: acts", flush=True)
            used = defaultdict[str, list[float]](list)
            for _ in range(TIMES):
                for name, signed in letters.items():
                    for what, act in signed.reading().items():
                        used[f"{what} {name}"].append(await signed.cost(act))
                    used[f"confirm {name}"].append(await signed.confirm())
            letters = dict(reversed(letters.items()))
            for kind, typed in SEARCHES.items():
                used[f"search {kind}"] = [await many.search(q) for q in typed]
            if number:  # the first is a warm-up
                for name, values in used.items():
                    figures.values[f"{name} ms"].append(statistics.median(values))
                searches = itertools.chain(*(values for name, values in used.items() if name.startswith("search ")))
                figures.values["search ms, each"].extend(searches)
    every = figures.values.pop("search ms, each")
    figures.values["search ms p95"].append(statistics.quantiles(every, n=20)[-1])
    figures.values["search ms max"].append(max(every))
