"""``make chaos``: faults one after the other under load, in random order; prints a table and what was wrong.

Options go into ``ARGS``: ``--only disk_full --only overload``, ``--rate 30`` (people a second), ``--seed 7`` (the order
of another run), ``--calm 6`` (seconds between two faults). After all faults comes ``overload``, twice the load that it
can carry. The exit code is 1 if anything was wrong.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import faults, overload
from tests.chaos.run import Plan, carry_out
from tests.chaos.stage import FAKE_TIME

OVERLOAD = "overload"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", choices=sorted({*faults.ALL, OVERLOAD}), help="this fault; may be repeated"
    )
    parser.add_argument("--rate", type=float, default=20.0, help="people a second")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--calm", type=float, default=6.0, help="seconds between two faults")
    options = parser.parse_args()
    chosen = list(options.only or (*faults.ALL, OVERLOAD))
    names = [name for name in chosen if name != OVERLOAD]
    random.Random(options.seed).shuffle(names)
    own_disk = os.geteuid() == 0
    if not own_disk and "disk_full" in names:
        names.remove("disk_full")
        print("disk_full is left out: only root may mount a small disk")
    if FAKE_TIME is None and (clocks := [name for name in names if name.startswith("clock")]):
        names = [name for name in names if name not in clocks]
        print(f"{' and '.join(clocks)} are left out: libfaketime is missing")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is put away
    plan = Plan(names, options.rate, options.seed, options.calm, own_disk=own_disk)
    wrong = _faults(plan) if names else []
    if OVERLOAD in chosen:
        wrong += _overload()
    return _judged(wrong)


def _faults(plan: Plan) -> list[str]:
    print(f"seed {plan.seed}: {', '.join(plan.faults)}", flush=True)
    with _folder() as folder:
        report = asyncio.run(carry_out(folder, plan))
    print(report.table(), flush=True)
    return report.wrong


def _overload() -> list[str]:
    with _folder() as folder:
        measured = asyncio.run(overload.measure(folder))
    for kind in measured:
        print(kind.lines(), flush=True)
    return [sentence for kind in measured for sentence in kind.wrong()]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="petition-chaos-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _judged(wrong: list[str]) -> int:
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    print("nothing was wrong" if not wrong else f"{len(wrong)} things were wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
