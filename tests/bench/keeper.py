"""How long POST sign waits for the keeper: a web process that writes that down, beside a keeper of its own.

``python -m tests.bench.keeper FILE serve …`` is ``petition serve …``, and FILE gets the milliseconds of each form.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from petition.cli.main import main
from petition.core.keeper import FormDigests, KeeperClient
from tests.bench.load import Order, send
from tests.bench.place import PATIENCE, Place, Web
from tests.bench.visitors import Visitors
from tests.keeper import keepers
from tests.keeper.keepers import RunningKeeper

RATE = 200  # forms a second
SIGNERS = 64
TIMES = "keeper-times"


@asynccontextmanager
async def kept(place: Place, beside: Web) -> AsyncIterator[tuple[Web, Path]]:
    """Run a web process over the same database, which needs a keeper from now on; give the file of its times too."""
    times = place.folder / TIMES
    command = [sys.executable, "-m", "tests.bench.keeper", str(times), "serve"]
    async with keepers.a_folder() as folder, keepers.process(RunningKeeper(folder)):
        keeper = RunningKeeper(folder)
        await place.petition("keeper adopt", beside.url, keeper.settings)
        async with place.beside(beside, command, keeper.settings) as web:
            yield web, times


async def measure(web: Web, times: Path, visitors: Visitors, seconds: int) -> float:
    """Return the 95th percentile of the milliseconds that forms waited for the keeper."""
    times.write_text("")
    forms = visitors.signing(RATE * seconds, web.port)
    tally = await send(Order(web.port, forms, SIGNERS, rate=RATE))
    if set(tally.statuses) != {"303"}:
        raise RuntimeError(f"keeper: answers were {tally.statuses}")
    async with asyncio.timeout(PATIENCE):
        while len(waited := [float(line) for line in times.read_text().split()]) < len(forms):
            await asyncio.sleep(0.05)
    return sorted(waited)[len(waited) * 95 // 100]


def _write_down(file: int) -> None:
    """Have each form's question be timed."""
    ask = KeeperClient.of_form

    async def timed(*arguments: object, **named: object) -> FormDigests:
        began = time.perf_counter()
        digests = await ask(*arguments, **named)  # type: ignore[arg-type]
        os.write(file, b"%.3f\n" % (1000 * (time.perf_counter() - began)))
        return digests

    KeeperClient.of_form = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    _write_down(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    sys.exit(main(sys.argv[2:]))
