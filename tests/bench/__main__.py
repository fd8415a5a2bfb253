"""``python -m tests.bench``: measure, print a table, write JSON to ``bench-results/``."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from petition import postgres
from tests.bench import apart, report, rounds
from tests.bench.figures import Figures, Size
from tests.bench.place import Place

RESULTS = Path("bench-results")


def main() -> int:
    """Return 0 if everything that was measured reached what is wanted, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all?")
    parser.add_argument("--only", choices=(*rounds.NAMES, *apart.PARTS), default=None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="signatures of the big letter")
    parser.add_argument("--readers", type=int, default=100_000, help="of the update that is mailed")
    parser.add_argument("--letters", type=int, default=20_000, help="of the installation that is idle")
    parser.add_argument("--listeners", type=int, default=50_000, help="to the count of one letter")
    parser.add_argument("--people", type=int, default=1_000_000, help="who sign and confirm, of --only million")
    parser.add_argument("--seconds", type=float, default=1200.0, help="of all that people do, of --only mixed")
    parser.add_argument("--data", type=Path, default=None, help="keep the filled databases here for the next run")
    options = parser.parse_args()
    size = Size(
        *(options.rounds, options.rows),
        readers=options.readers,
        letters=options.letters,
        listeners=options.listeners,
        people=options.people,
        mixed=options.seconds,
    )
    if options.quick:
        size = Size(
            *(1, min(options.rows, 20_000)),
            seconds=1,
            forms=800,
            searches=80,
            mails=400,
            readers=2000,
            letters=min(options.letters, 3000),
            idle=5,
            listeners=min(options.listeners, 1000),
            looks=5,
        )
    folder = options.data or Path(tempfile.mkdtemp(prefix="petition-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)  # the server's account enters it
    try:
        with postgres.running(folder) as url:
            return asyncio.run(_measure(url, folder, size, options.only))
    finally:
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str, folder: Path, size: Size, only: str | None) -> int:
    on = await report.machine(url)
    place = Place(url, folder)
    print("filling the databases", flush=True)
    await place.prepare(size.rows, only)
    if only in apart.PARTS:
        figures = Figures()
        await apart.PARTS[str(only)](place, size, figures)
    else:
        figures = await rounds.run(place, size, only)
    found = report.lines(figures, size)
    print(report.table(found, figures, on))
    print(f"written to {report.write(RESULTS, found, figures, on, size)}")
    return int(any(line.holds is False for line in found))


if __name__ == "__main__":
    sys.exit(main())
