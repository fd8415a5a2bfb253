"""One run: people come, faults happen, everything settles, and the checker judges."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import faults
from tests.chaos.checker import ACTS, Outcome, Rules, judge
from tests.chaos.ledger import LATER, TAKEN, Answer, Ledger, Span, percentile, statuses
from tests.chaos.stage import Stage, staged
from tests.running import on_this_machine

SETTLING = 120.0  # seconds until everyone is through, when all faults are over


@dataclass(frozen=True)
class Plan:
    """What is to happen: faults by their names, people a second, seconds of calm around each fault."""

    faults: Sequence[str]
    rate: float
    seed: int
    calm: float
    own_disk: bool = False
    seconds: float = 5.0  # that a lasting fault lasts


@dataclass
class Report:
    """What came of it."""

    ledger: Ledger
    wrong: list[str]
    calm: float

    def table(self) -> str:
        """Return a line for each fault, and one for all the rest."""
        lines = [
            f"{'fault':24} {'303':>6} {'503':>5} {'none':>5} {'longest act':>12} {'reads':>6} {'503':>4} {'p99':>8}"
        ]
        for fault in self.ledger.faults:
            lines.append(_line(fault.name, self.ledger.during(fault.start, fault.end + self.calm / 2)))
        lines.append(_line("the whole run", self.ledger.answers))
        people = self.ledger.people.values()
        confirmed = sum(person.confirmed_at is not None for person in people)
        again = sum(max(0, len(person.mailed_at) - 1) for person in people)
        lines.append(f"{len(people)} people, {confirmed} confirmed, {sum(p.left_at is not None for p in people)} left;")
        lines.append(
            f"{again} mails came again; {len(self.ledger.sights)} counts and {len(self.ledger.snapshots)} snapshots"
        )
        return "\n".join(lines)


def _line(name: str, answers: Sequence[Answer]) -> str:
    acts = [answer for answer in answers if answer.what in ACTS]
    reads = [answer for answer in answers if answer.what in {"read", "count"}]
    of_acts, of_reads = statuses(acts), statuses(reads)
    return (
        f"{name:24} {of_acts[TAKEN]:6} {of_acts[LATER]:5} {of_acts[0]:5} {percentile(acts, 100):9.0f} ms"
        f" {of_reads[200]:6} {of_reads[LATER]:4} {percentile(reads, 99):5.0f} ms"
    )


async def carry_out(folder: Path, plan: Plan) -> Report:
    """Set an installation up below ``folder``, do what ``plan`` says, and judge."""
    async with staged(folder, rate=plan.rate, seed=plan.seed, own_disk=plan.own_disk) as stage:
        stage.seconds = plan.seconds
        failed: list[str] = []
        async with stage.crowd.coming():
            await asyncio.sleep(plan.calm)
            for name in plan.faults:
                failed += await _happen(stage, name)
                await asyncio.sleep(min(on_this_machine(plan.calm), 3 * plan.calm))
        await stage.crowd.finish(SETTLING)
        await _until_counted(stage)
        total, names = await stage.crowd.listed()
        rules = Rules(lag=on_this_machine(2.5), recovery=on_this_machine(5))
        wrong = judge(stage.ledger, Outcome(total, names), rules)
        return Report(stage.ledger, failed + wrong, plan.calm)


async def _happen(stage: Stage, name: str) -> list[str]:
    start = stage.ledger.now()
    wrong = []
    try:
        await faults.ALL[name](stage)
    except TimeoutError:
        wrong.append(f"{name}: what it waits for did not come")
    except subprocess.CalledProcessError as error:
        wrong.append(f"{name} did not happen: {error}")
    stage.ledger.faults.append(Span(name, start, stage.ledger.now()))
    print(f"{stage.ledger.now():6.0f} s  {name}", flush=True)
    return wrong


async def _until_counted(stage: Stage) -> None:
    """Wait until the pages have seen the last act."""
    await asyncio.sleep(on_this_machine(2.5))
