"""``python -m tests.cluster.drill``, on the visitors' machine: what happens to whom, and what comes of it."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cluster import checker, hot_page
from tests.cluster.machine_files import NODES
from tests.cluster.network import Network
from tests.cluster.parts import Parts
from tests.cluster.visitors import Visitors, visiting

WARM = 40  # confirmations before and after each fault
CALM = 5.0  # seconds more: whatever still fails then belongs to the outage
MAX_WAIT = 45.0  # seconds for the service to be back
CACHE, ASYNCHRONOUS = "cache", "asynchronous"
ASYNCHRONOUS_FROM = 500_001  # the number of the first person there


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    name: str
    value: str
    limit: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the primary's machine, and how it is undone."""

    name: str
    strike: Callable[[Parts, str], None]
    undo: Callable[[Parts, str], None]


def _kill(parts: Parts, node: str) -> None:
    parts.net.signal(node, signal.SIGKILL, besides="etcd")


def _start_again(parts: Parts, node: str) -> None:
    parts.start_patroni(node)


def _freeze(parts: Parts, node: str) -> None:
    parts.net.signal(node, signal.SIGSTOP, besides="etcd")


def _thaw(parts: Parts, node: str) -> None:
    parts.net.signal(node, signal.SIGCONT, besides="etcd")


def _others(node: str) -> list[str]:
    return [other for other in NODES if other != node]


FAULTS = [
    Fault("killed", _kill, _start_again),
    Fault("frozen", _freeze, _thaw),
    Fault("cable pulled", lambda parts, node: parts.net.unplug(node), lambda parts, node: parts.net.plug_in(node)),
    Fault(
        "cut off from the other two, not from the webs",
        lambda parts, node: parts.net.part(node, _others(node)),
        lambda parts, node: parts.net.join(node, _others(node)),
    ),
]


async def fail_over(parts: Parts, visitors: Visitors, fault: Fault) -> list[Line]:
    """Strike the primary under load; return how long forms were refused, and what else they were answered."""
    await parts.until_whole()
    await visitors.until_confirmed(WARM)
    node, at, before = await parts.leader(), time.monotonic(), len(visitors.answers)
    print(f"{node}, the primary, is {fault.name}", flush=True)
    fault.strike(parts, node)
    try:
        await parts.until("another primary", lambda: _is_other(parts, node), MAX_WAIT)
        elected = time.monotonic() - at
        await visitors.until_confirmed(WARM, MAX_WAIT)
        await asyncio.sleep(CALM)
    finally:
        fault.undo(parts, node)
    seconds = checker.outage(visitors.answers, at)
    odd = checker.odd_answers(visitors.answers[before:])
    return [
        Line(
            f"primary {fault.name}: forms refused or slow for",
            f"{seconds:.1f} s (another primary after {elected:.1f} s)",
            f"<= {checker.MAX_OUTAGE:.0f} s",
            seconds <= checker.MAX_OUTAGE,
        ),
        Line(f"primary {fault.name}: answers but 303, 503", str(dict(odd)) if odd else "0", "0", not odd),
    ]


async def _is_other(parts: Parts, node: str) -> bool:
    states = await asyncio.gather(*(parts.state(other) for other in _others(node)))
    return any(state.get("role") == "master" and state.get("state") == "running" for state in states)


async def behind_a_cache(parts: Parts, visitors: Visitors) -> list[Line]:
    """Have crowds read one page while names on it are hidden, and then while nothing happens."""
    await visitors.until_confirmed(WARM)
    async with hot_page.reading() as readers:
        shown = max([await hot_page.shown_after_hiding(visitors, readers) for _ in range(hot_page.HIDINGS)])
        visitors.is_stopped = True
        await visitors.until_calm()
        share, reads = await hot_page.share_that_reaches_us(parts, readers), readers.reads
    only = readers.statuses == {200}
    share_line = f"{share:.2%} of {reads}", f"<= {hot_page.MAX_SHARE:.0%}", share <= hot_page.MAX_SHARE and only
    shown_line = f"{shown:.1f} s", f"<= {hot_page.MAX_SHOWN:.0f} s", shown <= hot_page.MAX_SHOWN
    return [
        Line("hot page behind Varnish: reads that reached a web", *share_line),
        Line("hot page behind Varnish: a hidden name was handed out for", *shown_line),
    ]


async def under_synchronous_commit(parts: Parts, names: set[str]) -> list[Line]:
    """Run all faults one after the other; return what was seen, and what the checker says in the end."""
    lines: list[Line] = []
    visitors = Visitors()
    await visitors.read_version()
    async with visiting(visitors):
        for fault in FAULTS:
            if not names or fault.name in names:
                lines += await _guarded(f"primary {fault.name}", fail_over(parts, visitors, fault))
        if not names or CACHE in names:
            lines += await _guarded(CACHE, behind_a_cache(parts, visitors))
        people, count = await _in_the_end(parts, visitors)
    wrong = checker.differences(visitors, people, count)
    lines.append(Line("signatures acknowledged", str(len(visitors.confirmed)), "> 0", bool(visitors.confirmed)))
    lines.append(Line("lost, doubled or miscounted", "; ".join(wrong) or "0", "0", not wrong))
    return lines


async def _in_the_end(parts: Parts, visitors: Visitors) -> tuple[list[str], int]:
    """Have everything come to rest; return the list and the count."""
    visitors.is_stopped = True
    await parts.until_whole()
    await visitors.until_calm()
    await asyncio.sleep(2)
    visitors.stop_confirming()  # who confirms while the list is read would be missed in it
    return await checker.listed_people(visitors.client), await checker.counted_people(visitors.client)


async def lose(parts: Parts, fault: Fault, first: int) -> tuple[list[Line], int]:
    """Strike a primary that waits for no replica; return what was lost, and the next person's number.

    It is no fault of ours if something is: the figure is what an operator chooses without synchronous commit.
    """
    visitors = Visitors(first_number=first)
    await visitors.read_version()
    async with visiting(visitors):
        lines = (await fail_over(parts, visitors, fault))[:1]
        people, _ = await _in_the_end(parts, visitors)
    lost, of = checker.lost(visitors, people), len(visitors.confirmed)
    line = Line(f"asynchronous, primary {fault.name}: acknowledged and lost", f"{lost} of {of}", "is said", holds=True)
    return [replace(lines[0], name=f"asynchronous, {lines[0].name}"), line], visitors.next_number


async def under_asynchronous_replication(parts: Parts) -> list[Line]:
    """Say what is lost when commits wait for no replica: at a kill, and by a primary that is cut off."""
    await parts.replicate_asynchronously()
    lines: list[Line] = []
    number = ASYNCHRONOUS_FROM
    for fault in (FAULTS[0], FAULTS[-1]):
        more, number = await lose(parts, fault, number)
        lines += more
    return lines


async def _guarded(name: str, drill: Awaitable[list[Line]]) -> list[Line]:
    try:
        return await drill
    except TimeoutError as error:
        return [Line(name, str(error) or "the service did not come back", "it does", holds=False)]


async def drill(net: Network, folder: Path, names: set[str]) -> list[Line]:
    parts = Parts(net, folder, is_synchronous=True)
    began_at = time.monotonic()
    await parts.start_database()
    parts.start_ways()
    await parts.publish()
    await parts.start_webs()
    print(f"all machines run after {time.monotonic() - began_at:.0f} s", flush=True)
    lines: list[Line] = []
    if names != {ASYNCHRONOUS}:
        lines += await under_synchronous_commit(parts, names)
    if not names or ASYNCHRONOUS in names:
        lines += await _guarded(ASYNCHRONOUS, under_asynchronous_replication(parts))
    return lines


def table(lines: list[Line]) -> str:
    """Return the lines as a table in Markdown."""
    rows = [f"| {line.name} | {line.value} | {line.limit} | {'yes' if line.holds else 'NO'} |" for line in lines]
    return "\n".join(["| what | measured | wanted | holds |", "|---|---|---|---|", *rows])


def main() -> int:
    """Return 0 if everything holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.drill")
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--only", action="append", default=[], choices=[*(fault.name for fault in FAULTS), CACHE, ASYNCHRONOUS]
    )
    options = parser.parse_args()
    lines = asyncio.run(drill(Network(options.owner), options.folder, set(options.only)))
    print(table(lines))
    return int(not all(line.holds for line in lines))


if __name__ == "__main__":
    sys.exit(main())
