"""A letter that very many sign within the hour, end to end on one machine: the form, the mail through ``petition
worker`` to a sink, the link out of the mail, and the row in the list.

No DKIM, as where the relay signs. At the end the answers that people got are compared with the database.
"""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from petition.core import email_addresses
from petition.core.database import Connection, connect
from petition.core.receiving_providers import PROVIDERS_BY_NAME
from petition.core.relay_urls import MAX_PER_MINUTE
from petition.letters.model import Letter
from tests.bench import mail
from tests.bench.crowd_forms import Crowded, Tally
from tests.bench.crowd_people import email_of
from tests.bench.place import MANY, PATIENCE, Place, Web, cpu_of
from tests.bench.visitors import Visitors
from tests.running import PRIVATE_KEY, SLUG, environment, free_port

PROGRESS = Path("bench-results") / "million-progress.json"
PROGRESS_EVERY = 60.0  # seconds
STEADY = 0.1, 0.3, 0.5, 0.7, 0.9  # of all people: in between all stages run, and from each mark to the next a quarter
# A relay of one's own, which paces what it hands on to the large providers, and signs.
UNLIMITED = "&".join(f"{provider}={MAX_PER_MINUTE}" for provider in PROVIDERS_BY_NAME)
MAIL = {
    "BASE_URL": "https://letters.example",  # elsewhere than on loopback no DKIM key is made
    "MX_RESOLVER": "off",
    "CONTROLLER": "North Pier Network, post@letters.example",
    "MAIL_FROM": "Open letters <post@letters.example>",
    "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
}
# No one waits for a moderator: one in fifty has one and the same domain, whose ceiling is 20 otherwise.
WEB = {"LIMIT_MAILBOX": MANY, "LIMIT_DOMAIN": MANY}
STORED = """
SELECT (SELECT count(*) FROM signature) AS signatures, (SELECT count(DISTINCT digest) FROM signature) AS mailboxes,
       (SELECT people FROM count) AS counted, (SELECT count(*) FROM signature WHERE state = 'held') AS held,
       (SELECT count(*) FROM pending) AS pending,
       (SELECT count(*) FROM outbox WHERE purpose = 'sign') AS outbox,
       (SELECT count(*) FROM signature WHERE state = 'confirmed' AND visibility = 'public' AND name IS NOT NULL)
         AS listed,
       (SELECT hidden FROM count) AS hidden, pg_database_size(current_database()) AS bytes
"""
MISSING = """
SELECT count(*) FROM person p
WHERE NOT EXISTS (SELECT FROM signature s
                  WHERE s.digest = p.digest AND s.kind = 'person' AND s.state IN ('confirmed', 'held'))
"""


@dataclass
class Usage:
    """Seconds of processor time by process, and of wall-clock time, when so many had confirmed."""

    confirmed: int
    at: float
    seconds: dict[str, float]


@dataclass
class Run:
    """What is measured, and how far it is."""

    place: Place
    url: str
    people: int
    processes: dict[str, int] = field(default_factory=dict)  # by name
    usages: list[Usage] = field(default_factory=list)  # at the beginning, at each mark of ``STEADY``, at the end
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.perf_counter)

    def note_usage(self) -> None:
        seconds = {name: cpu_of(pid) for name, pid in self.processes.items() if name != "postgresql"}
        seconds["postgresql"] = cpu_with_children(self.processes["postgresql"])
        seconds["generator and sink"] = self.tally.cpu
        self.usages.append(Usage(self.tally.confirmed, time.perf_counter(), seconds))

    def take(self, tally: Tally) -> None:
        """Note what the generator says."""
        self.tally = tally
        marks = [self.people * part for part in STEADY]
        if tally.is_last or (len(self.usages) <= len(marks) and tally.confirmed >= marks[len(self.usages) - 1]):
            self.note_usage()

    def figures(self) -> dict[str, float]:
        """Return what is known so far. Processor time is in µs for a signatory, between the marks of ``STEADY``."""
        figures = {"million minutes": self.tally.seconds / 60, "million confirmed": float(self.tally.confirmed)}
        quarters = {f"million quarter {number}": (number, number + 1) for number in range(1, len(STEADY))}
        pairs = {"million": (1, len(STEADY)), "million in all": (0, -1)} | quarters
        for name, (first, last) in pairs.items():
            if len(self.usages) > max(first, last, 1):
                figures |= _between(name, self.usages[first], self.usages[last])
        return figures

    def write(self) -> None:
        """Write how far it is, so that a run that is interrupted says something as well."""
        PROGRESS.parent.mkdir(exist_ok=True)
        whole = {"people": self.people, "statuses": self.tally.statuses, "mails": self.tally.mails, **self.figures()}
        PROGRESS.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def _between(name: str, first: Usage, last: Usage) -> dict[str, float]:
    people = max(1, last.confirmed - first.confirmed)
    used = {part: (last.seconds[part] - first.seconds[part]) / people * 1e6 for part in last.seconds}
    wall = (last.at - first.at) / people * 1e6
    figures = {f"{name} {part} cpu": cpu for part, cpu in used.items()}
    return figures | {f"{name} cpu": sum(used.values()), f"{name} wall": wall, f"{name} rate": 1e6 / wall}


async def run(place: Place, url: str, people: int, limits: Mapping[str, str] = WEB) -> dict[str, float]:
    """Have so many sign and confirm under ``limits`` of the web process; return the figures by name."""
    own = Run(place, url, people)
    sink_port = free_port()
    try:
        async with running(own, sink_port, limits) as web:
            own.note_usage()
            await send(Crowded(web.port, sink_port, people, Visitors(web.letter)), own)
            return own.figures() | {f"million {name}": value for name, value in (await compared(own, web)).items()}
    finally:
        own.write()


@asynccontextmanager
async def running(own: Run, sink_port: int, limits: Mapping[str, str]) -> AsyncIterator[Web]:
    """Run a web process and a worker whose relay listens at ``sink_port``."""
    async with own.place.over(own.url, limits) as web:
        more = MAIL | {"SMTP_URLS": f"smtp://127.0.0.1:{sink_port}?{UNLIMITED}"}
        with mail.worker(own.place.folder, environment(own.place.folder, own.url, web.port) | more) as worker:
            postmaster = await postmaster_of(own.url)
            own.processes = {"web": web.process.pid, "worker": worker.pid, "postgresql": postmaster}
            await until_mailing(own.url)
            yield web


async def until_mailing(url: str) -> None:
    """Wait until the worker has started, as it notes in the database. Raises ``TimeoutError``."""
    conn = await connect(url)
    async with asyncio.timeout(PATIENCE):
        while not await conn.fetchval("SELECT EXISTS (SELECT FROM mail_worker)"):
            await asyncio.sleep(0.1)
    await conn.close()


async def send(order: Crowded, own: Run) -> None:
    """Have the generator, a process of its own, carry out ``order``; note what it says. Raises ``RuntimeError``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.crowd_forms"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(pickle.dumps(order))
        process.stdin.close()
        said_at = time.perf_counter()
        async for line in process.stdout:
            own.take(Tally(**json.loads(line)))
            if time.perf_counter() - said_at >= PROGRESS_EVERY:
                said_at = time.perf_counter()
                _say(own)
        if await process.wait() or not own.tally.is_last:
            raise RuntimeError("the generator failed")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    tally = own.tally
    print(f"answers: {tally.statuses}; mails {tally.mails}, different links {tally.links}", flush=True)


def _say(own: Run) -> None:
    tally = own.tally
    rate = tally.confirmed / tally.seconds if tally.seconds else 0.0
    memory = ", ".join(f"{name} {resident(pid):.0f} MiB" for name, pid in own.processes.items())
    print(
        f"{tally.seconds / 60:.1f} min: sent {tally.sent:,}, mailed {tally.mails:,}, confirmed {tally.confirmed:,}"
        f" ({rate:.0f} a second); {memory}",
        flush=True,
    )
    own.write()


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def compared(own: Run, web: Web) -> dict[str, float]:
    """Compare what was answered with what is stored. Raises ``RuntimeError`` if an answer was none of success."""
    tally, people = own.tally, own.people
    if tally.statuses != {"sign 303": people, "confirm 303": people}:
        raise RuntimeError(f"answers were {tally.statuses}")
    conn = await connect(own.url)
    row = await conn.fetchrow(STORED, timeout=600)
    missing = await _missing(conn, web.letter, people)
    await conn.close()
    assert row is not None
    shown = await asyncio.to_thread(_count_on_page, web.port, people - row["held"])
    print(f"stored: {dict(row)}; people who are missing {missing}; the count is {shown}", flush=True)
    held = row["held"]  # stored, and counted when a moderator approves: late, not lost
    lost = {
        "people": missing,
        "signatures": people - row["signatures"],
        "counted": people - held - row["counted"],
        "counted, as shown": people - held - shown,
        "listed or hidden": people - held - row["listed"] - row["hidden"],
        "links": people - tally.links,
    }
    doubled = row["signatures"] - row["mailboxes"] + row["pending"] + row["outbox"] + tally.mails - tally.links
    return {
        "lost": sum(map(abs, lost.values())),
        "doubled": doubled,
        "held": held,
        "bytes": row["bytes"] / people,
    }


async def _missing(conn: Connection, letter: Letter, people: int) -> int:
    """Return how many of those who signed have no confirmed signature under their mailbox's digest."""
    await conn.execute("CREATE TEMPORARY TABLE person (digest bytea PRIMARY KEY)")
    await conn.copy_records_to_table("person", records=_digests(letter, people), columns=["digest"])
    missing: int = await conn.fetchval(MISSING, timeout=600)
    return missing


def _digests(letter: Letter, people: int) -> Iterator[tuple[bytes]]:
    domains = email_addresses.Domains()
    for number in range(people):
        mailbox = domains.parse(email_of(number))
        yield (letter.keys.digest(email_addresses.canonical(mailbox, letter.rules_version)),)


def _count_on_page(port: int, people: int) -> int:
    """Return the people that the letter's count says: the web looks for changes twice a second."""
    shown, patience = 0, time.monotonic() + 10
    while shown != people and time.monotonic() < patience:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/letters/{SLUG}/count", timeout=10) as answer:
            shown = json.load(answer)["people"]
    return shown


def cpu_with_children(parent: int) -> float:
    """Return what all processes of a server have used so far, those included that have ended."""
    return cpu_of(parent) + sum(map(cpu_of, children_of(parent)))


def children_of(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    return [pid for pid in _pids() if _parent_of(pid) == parent]


async def postmaster_of(url: str) -> int:
    """Return the number of the server's first process."""
    conn = await connect(url)
    folder = Path(await conn.fetchval("SHOW data_directory"))
    await conn.close()
    return int((folder / "postmaster.pid").read_text().split()[0])


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
