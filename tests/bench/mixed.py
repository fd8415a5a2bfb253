"""Twenty minutes of all that people do, at a pace the machine carries: no process may grow.

People sign and confirm by the link in their mail, others read and search, some listen to the count, moderators are at
the desk and take the signatures away as a file. Web and worker are judged by their resident memory, PostgreSQL by the
memory that its processes do not share: its shared buffers fill up, as they should.
"""

import asyncio
import random
import re
import statistics
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2

from petition.core.database import connect
from tests.bench import desk_fill, desk_pages, listeners, load, million
from tests.bench.crowd_forms import Crowded
from tests.bench.flat import ADD_ORGANIZER
from tests.bench.load import Order
from tests.bench.place import Place, Web
from tests.bench.visitors import Visitors, get
from tests.running import SLUG, free_port

SIGNING, READING, DESK = 40.0, 200.0, 2.0  # people, pages, and pages of the desk, a second
READERS, MODERATORS, LISTENERS, SEARCHES = 32, 2, 500, 200
LOOK_EVERY, EXPORT_EVERY = 2.0, 30.0  # seconds
RIGHT = {"200", "404"}
EXPORT = {"form": "csv", "c_name": "1", "c_city": "1"}
READ = (
    *(f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/signatories", "/versions", "/updates")),
    *(f"/{lang}/" for lang in ("en", "ru")),
    *(f"/api/v1/letters/{SLUG}{path}" for path in ("", "/count", "/history", "/signatories")),
    *(f"/badge/{SLUG}.svg", f"/badge/{SLUG}.svg?lang=ru", f"/embed/{SLUG}", f"/ru/{SLUG}/text", "/ru/no-such-letter"),
)
PRIVATE = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)


async def run(place: Place, url: str, seconds: float) -> dict[str, float]:
    """Let it all happen for so long; return the memory of each process (MiB), by quarter, and how exact all was."""
    people = int(SIGNING * seconds)
    own = million.Run(place, url, people)
    sink_port = free_port()
    async with million.running(own, sink_port, million.WEB) as web:
        visitors = Visitors(web.letter)
        cookie = await _enter(web)
        looks: list[Mapping[str, float]] = []
        exports: Counter[str] = Counter()  # answers by status

        async def look() -> None:
            looks.append(await asyncio.to_thread(memory, own.processes))

        reading = Order(web.port, _reads(web, visitors), READERS, seconds=seconds, rate=READING)
        desk = Order(web.port, _desk(web, cookie), MODERATORS, seconds=seconds, rate=DESK)
        crowd = Crowded(web.port, sink_port, people, visitors, SIGNING)
        listening = _again(1.0, partial(_listen, web))
        async with listening, _again(LOOK_EVERY, look), _again(EXPORT_EVERY, partial(_export, web, exports)):
            read, moderated, _ = await asyncio.gather(load.send(reading), load.send(desk), million.send(crowd, own))
        print(f"read: {read.statuses}, p99 {read.p99:.0f} ms; desk: {moderated.statuses}, p99 {moderated.p99:.0f} ms")
        exact = await million.compared(own, web)
    print(f"exports: {dict(exports)}")
    answers = [read.statuses, moderated.statuses, exports]
    wrong = sum(number for tally in answers for status, number in tally.items() if status not in RIGHT)
    figures = {f"mixed {name}": value for name, value in exact.items()} | {"mixed errors": float(wrong)}
    return figures | {"mixed reading p99": read.p99, "mixed desk p99": moderated.p99} | grown(looks)


def _reads(web: Web, visitors: Visitors) -> list[bytes]:
    """Return requests for pages of all kinds, one in five a search, in no order."""
    pages = [get(web.port, path) for path in READ * (4 * SEARCHES // len(READ))]
    requests = pages + visitors.searching(SEARCHES, web.port)
    random.Random(1).shuffle(requests)
    return requests


def _desk(web: Web, cookie: str) -> list[bytes]:
    """Return requests for each page of the desk that needs no more than the letter, but files."""
    paths = [
        desk_pages.quoted(desk_pages.address(path, look, {"slug": SLUG}))
        for path, looks in desk_pages.PAGES.items()
        for look in looks
        if "{" not in path.replace("{slug}", "") + look.query and ".csv" not in path and ".pdf" not in path
        if look.entered and look.status == 200
    ]
    line = f"Cookie: desk={cookie}\r\n"
    return [get(web.port, path, line) for path in paths]


async def _listen(web: Web) -> None:
    """Have people listen to the count, in a process of their own, until the first stream has had its 8 KB."""
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.listeners", str(web.port), listeners.PATH, str(LISTENERS)),
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        await crowd.wait()
    finally:
        if crowd.returncode is None:
            crowd.terminate()
            await crowd.wait()


@asynccontextmanager
async def _again(every: float, act: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do ``act`` every so many seconds until the block ends. Raises what ``act`` does, at the end."""

    async def do() -> None:
        while True:
            await act()
            await asyncio.sleep(every)

    task = asyncio.create_task(do())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _enter(web: Web) -> str:
    conn = await connect(web.url)
    await conn.execute(ADD_ORGANIZER, desk_fill.ORGANIZER)
    cookie = await desk_pages.enter(conn, web.letter.id)
    await conn.close()
    return cookie


async def _export(web: Web, answers: Counter[str]) -> None:
    """Take all signatures away as a file, as one does who has just entered; count the answer by its status."""
    cookie = await _enter(web)
    headers = {"Cookie": f"desk={cookie}", "Origin": f"http://localhost:{web.port}", "Sec-Fetch-Site": "same-origin"}
    async with (
        httpx2.AsyncClient(base_url=f"http://localhost:{web.port}", headers=headers, timeout=60) as client,
        client.stream("POST", f"/organizer/{SLUG}/export", data=EXPORT) as answer,
    ):
        answers[str(answer.status_code)] += 1
        async for _ in answer.aiter_bytes():
            pass


def memory(processes: Mapping[str, int]) -> dict[str, float]:
    """Return the MiB of each: resident, of PostgreSQL what its processes do not share."""
    server = processes["postgresql"]
    return {
        **{name: million.resident(pid) for name, pid in processes.items() if pid != server},
        "postgresql": sum(map(_private, [server, *million.children_of(server)])),
    }


def _private(pid: int) -> float:
    try:
        found = PRIVATE.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it has ended
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def grown(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median memory of each process in the first and in the last quarter, and their ratio."""
    quarter = len(looks) // 4
    figures: dict[str, float] = {}
    for name in looks[0]:
        first, last = (statistics.median(look[name] for look in part) for part in (looks[:quarter], looks[-quarter:]))
        figures |= {
            f"mixed {name} MiB first": first,
            f"mixed {name} MiB last": last,
            f"mixed {name} growth": last / first,
        }
    return figures
