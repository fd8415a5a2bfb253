"""What a large import and a large export take: ``python -m tests.bench.in_and_out [ROWS] [import|export]``.

The promises, medians of three rounds: importing 100,000 rows takes at most twice as long as a COPY of the finished
rows, and 200 MB; exporting 1,000,000 as CSV takes at most three times as long as a bare COPY, and in each form lets the
process grow by at most 50 MB. Times are of the clock and, in brackets, of the processors: this process's and
PostgreSQL's, by which the promises are judged, as other work on the machine does not count there. Each figure is
printed as soon as it is there, and a part that fails leaves the others theirs. Exits with 1 if a promise is broken or a
part has failed.
"""

import asyncio
import io
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from petition import postgres
from petition.core import i18n
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database, migrate, opened
from petition.core.encryption import Wrapper
from petition.core.settings import Process, Settings, load
from petition.drafts import publishing
from petition.exports.filtered import CHOSEN, Export, ExportOrder
from petition.exports.writers import Format
from petition.imports import column_guessing, file_adding, steering, worker
from petition.imports.file_info import FileInfo
from petition.imports.row_reading import Target
from petition.imports.steering import MailboxRights
from petition.letters.model import Letter
from petition.moderation.model import Filter
from tests import rows
from tests.bench.desk_pages import ADD_MEMBER
from tests.bench.place import cpu_of
from tests.crowd import Crowd
from tests.running import KEY, SAMPLE, SLUG, environment

RIGHTS = MailboxRights(is_owner=True, is_fresh=True)
IMPORT_MOST = 200.0  # MB, the whole process
EXPORT_MOST = 50.0  # MB more than before
IMPORT_OVER_COPY, EXPORT_OVER_COPY = 2.0, 3.0
ROUNDS = 3
HEADER = "Timestamp,Full name,E-mail,City,Country\n"
ORGANIZER = """
INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', uuid_send(gen_random_uuid()), '') RETURNING id
"""
FILL = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, name, name_key, country, read_lang)
SELECT $1, n, now(), now() - n * interval '1 second', 'person', 'confirmed', 'public', 'Vera Crowd ' || n, 'vera crowd',
       'LV', 'en'
FROM generate_series($2::bigint, $3::bigint) AS n
"""
COPIED = """
SELECT kind, name, NULL AS name_ru, affiliation, city, country, signed_at, visibility, NULL AS website,
       NULL AS representative, "position", import FROM signature WHERE letter = $1 ORDER BY listed_at DESC, id DESC
"""
IMPORTED = "SELECT * FROM signature WHERE letter = $1"
EVERY = 10.0  # seconds between two signs of life
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


Part = tuple[Callable[[Database, Settings, Path, int], Awaitable[bool]], int]  # and with how many rows


class WrongNumber(Exception):
    """Not all rows came, or went."""


def resident() -> float:
    """Return how much memory this process has now, in MB."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


@dataclass(frozen=True)
class Time:
    """Seconds of the clock, and of the processors: this process's and PostgreSQL's."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> "Time":
        return cls(time.monotonic(), cpu_of(os.getpid()) + sum(map(cpu_of, _servers())))

    def __sub__(self, other: "Time") -> "Time":
        return Time(self.clock - other.clock, self.processor - other.processor)

    def over(self, other: "Time") -> "Time":
        return Time(self.clock / other.clock, self.processor / max(other.processor, 0.01))

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.processor:.1f} s)"


def _servers() -> list[int]:
    """Return the processes of PostgreSQL: the postmaster, which has the time of those that ended, and its children."""
    postmaster = POSTMASTER[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


POSTMASTER: list[int] = []


@dataclass
class Measured:
    """What something took: MB before and at its highest, seconds."""

    before: float
    peak: float
    time: Time


async def measured(work: Awaitable[object]) -> Measured:
    """Do something, and watch the process's memory meanwhile."""
    before, begin = resident(), Time.now()
    peak, over = [before], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], resident())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        await work
    finally:
        over.set()
        watching.join()
    return Measured(before, max(*peak, resident()), Time.now() - begin)


async def bring(database: Database, settings: Settings, folder: Path, number_of_rows: int) -> bool:
    """Import a file of so many people by the command and by the desk, each round into new letters."""
    by_command, by_desk, kept = [], [], []
    for number in range(ROUNDS):
        letter = await _letter(database, settings, folder, f"command-{number}")
        took = await _by_command(database, letter, number_of_rows)
        copied = await _copied_in(database, letter)
        by_command.append(took.over(copied))
        say(f"import by command: {took}, COPY of the finished rows {copied}")
        letter = await _letter(database, settings, folder, f"desk-{number}")
        took, is_kept = await _by_desk(database, letter, number_of_rows)
        copied = await _copied_in(database, letter)
        by_desk.append(took.over(copied))
        kept.append(is_kept)
        say(f"import by desk in all: {took}, COPY of the finished rows {copied}")
    ways = ("command", by_command), ("desk", by_desk)
    return all([*kept, *(_judge(f"import by {way}", ratios, IMPORT_OVER_COPY) for way, ratios in ways)])


def _judge(what: str, ratios: Sequence[Time], limit: float) -> bool:
    clock, processor = median(one.clock for one in ratios), median(one.processor for one in ratios)
    say(f"{what}: {clock:.2f} times a COPY ({processor:.2f} by processor time), at most {limit} (medians)")
    return processor <= limit


async def _letter(database: Database, settings: Settings, folder: Path, slug: str) -> Letter:
    content = shutil.copytree(SAMPLE, folder / "letters" / slug)
    toml = content / "letter.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace(SLUG, slug), encoding="utf-8")
    languages = tuple(i18n.load(settings.locales_dir))
    await publishing.import_folder(database, Wrapper(settings.secret_keys), content, languages, publish=True)
    async with database.connection() as conn:
        return await rows.letter(conn, slug)


async def _by_command(database: Database, letter: Letter, number_of_rows: int) -> Time:
    content = b"".join([piece async for piece in _file(number_of_rows)])
    begin = Time.now()
    async with database.transaction() as conn:
        target = Target(letter.id, letter.keys, letter.rules_version)
        await file_adding.add_rows(conn, target, io.BytesIO(content))
    took = Time.now() - begin
    await _check(database, letter, number_of_rows)
    return took


async def _check(database: Database, letter: Letter, number_of_rows: int) -> None:
    async with database.connection() as conn:
        counted = await rows.check_count(conn, letter)
    if counted["people"] != number_of_rows:
        raise WrongNumber(f"{counted['people']} of {number_of_rows} people were imported")


async def _by_desk(database: Database, letter: Letter, number_of_rows: int) -> tuple[Time, bool]:
    """Print what each step takes; return what all take, and whether the promise on memory is kept."""
    async with database.transaction() as conn:
        actor = Actor(await conn.fetchval(ORGANIZER), letter.id)
        await conn.execute(ADD_MEMBER, letter.id, actor.organizer_id)
        number = await steering.begin(conn, actor)
    await steering.store(database, actor, letter.keys, number, _file(number_of_rows))
    async with database.transaction() as conn:
        await steering.finish_upload(conn, actor, letter.keys, number, "bench.csv")
    begin = Time.now()
    kept = [await _imported(database, "reading", number_of_rows)]
    async with database.transaction() as conn:
        await steering.advance(conn, actor, letter.keys, number, await _chosen(conn, letter, number), RIGHTS)
    kept.append(await _imported(database, "trying", number_of_rows))
    async with database.transaction() as conn:
        await steering.advance(
            conn, actor, letter.keys, number, {"step": "start"} | await _guard(conn, letter, number), RIGHTS
        )
    kept.append(await _imported(database, "importing", number_of_rows))
    took = Time.now() - begin
    await _check(database, letter, number_of_rows)
    return took, all(kept)


async def _imported(database: Database, step: str, number_of_rows: int) -> bool:
    following = asyncio.create_task(_follow(database, step))
    try:
        took = await measured(_step(database))
    finally:
        following.cancel()
    say(f"import, {step}: {number_of_rows:,} rows, {took.peak:.0f} MB at most, {took.time}")
    return took.peak <= IMPORT_MOST


async def _follow(database: Database, step: str) -> None:
    while True:
        await asyncio.sleep(EVERY)
        async with database.connection() as conn:
            say(f"  {step}: {await conn.fetchval('SELECT max(progress) FROM intake'):,} rows so far")


async def _chosen(conn: Connection, letter: Letter, number: int) -> dict[str, str]:
    about = FileInfo.decrypt((await steering.load(conn, letter.id, number)).about, letter.keys)
    columns = {f"c{place}": name for place, name in enumerate(column_guessing.guess(about.header))}
    choice = {"step": "check", "kind": "person", "visibility": "public"}
    return columns | choice | await _guard(conn, letter, number)


async def _guard(conn: Connection, letter: Letter, number: int) -> dict[str, str]:
    return {"changed": str((await steering.load(conn, letter.id, number)).changed)}


async def _step(database: Database) -> None:
    if not await worker.step(database, Wrapper([KEY]), ("en", "ru")):
        raise WrongNumber("there was nothing to do")


async def _file(number_of_rows: int) -> AsyncIterator[bytes]:
    yield HEADER.encode()
    names = Crowd().names()
    for first in range(0, number_of_rows, 1000):
        lines = (
            f"2022/03/05 10:00:00 AM GMT+3,{next(names)},p{n}@letters.example,Нижний Новгород,Россия\n"
            for n in range(first, min(first + 1000, number_of_rows))
        )
        yield "".join(lines).encode()


async def take_out(database: Database, settings: Settings, folder: Path, number_of_rows: int) -> bool:
    """Export so many rows in every form; print what each took, tell whether the promises are kept."""
    letter = await _letter(database, settings, folder, "export")
    async with database.connection() as conn:
        for first in range(1, number_of_rows + 1, 100_000):
            last = min(first + 99_999, number_of_rows)
            await conn.execute(FILL, letter.id, first, last, timeout=600)
            say(f"  {last:,} rows to export so far")
        await conn.execute("VACUUM ANALYZE signature", timeout=600)
    kept, ratios = [], []
    for form in (*[Format.CSV] * ROUNDS, Format.JSON, Format.XLSX):
        copied = await _copied_out(database, letter, number_of_rows) if form is Format.CSV else None
        took = await measured(_drain(database, letter, form, number_of_rows))
        grown = took.peak - took.before
        say(f"export, {form.value}: {number_of_rows:,} rows, {grown:+.1f} MB, {took.time}")
        kept.append(grown <= EXPORT_MOST)
        if copied:
            say(f"  a bare COPY of the same columns: {copied}")
            ratios.append(took.time.over(copied))
    return all([*kept, _judge("export as CSV", ratios, EXPORT_OVER_COPY)])


async def _copied_out(database: Database, letter: Letter, number_of_rows: int) -> Time:
    """Return the time that PostgreSQL takes to copy the columns of an export out, into nothing."""

    async def drop(_piece: bytes) -> None:
        return None

    begin = Time.now()
    async with database.connection() as conn:
        status = await conn.copy_from_query(COPIED, letter.id, output=drop, format="csv", timeout=600)
    if status != f"COPY {number_of_rows}":
        raise WrongNumber(f"{status} instead of {number_of_rows} rows")
    return Time.now() - begin


async def _copied_in(database: Database, letter: Letter) -> Time:
    """Return the time that a COPY of the imported rows takes into the table, indexes and checks included."""
    with tempfile.NamedTemporaryFile() as file:  # in the memory they would count as the import's
        async with database.connection() as conn:
            await conn.copy_from_query(IMPORTED, letter.id, output=Path(file.name), format="binary", timeout=600)
            transaction = conn.transaction()
            await transaction.start()
            await conn.execute("DELETE FROM signature WHERE letter = $1", letter.id, timeout=600)
            begin = Time.now()
            await conn.copy_to_table("signature", source=Path(file.name), format="binary", timeout=600)
            took = Time.now() - begin
            await transaction.rollback()
    return took


async def _drain(database: Database, letter: Letter, form: Format, number_of_rows: int) -> None:
    export, told = Export(database, letter.keys, ExportOrder(letter.id, Filter(), CHOSEN, form)), time.monotonic()
    async for _ in export.pieces():
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            say(f"  {form.value}: {export.rows:,} rows so far")
    if export.rows != number_of_rows:
        raise WrongNumber(f"{export.rows} of {number_of_rows} rows were exported")


async def run(url: str, folder: Path, parts: Sequence[Part]) -> bool:
    """Measure each part and print it; tell whether the promises are kept."""
    await migrate(url)
    settings = load(environment(folder, url, 8000), role=Process.WEB)
    kept = []
    async with opened(url, max_size=4) as database:
        async with database.connection() as conn:
            POSTMASTER[:] = [_parent_of(await conn.fetchval("SELECT pg_backend_pid()"))]
        for part, number_of_rows in parts:
            try:
                kept.append(await part(database, settings, folder, number_of_rows))
            except Exception:  # noqa: BLE001 - the figures of the other part are figures all the same
                traceback.print_exc()
                kept.append(False)
    return all(kept)


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def say(text: str) -> None:
    """Print a line at once, whoever reads it."""
    print(text, flush=True)


def main() -> None:
    """Run with so many rows for both, or with as many as were promised; or only one of both."""
    rows = next((int(each) for each in sys.argv[1:] if each.isdecimal()), 0)
    parts: dict[str, Part] = {"import": (bring, rows or 100_000), "export": (take_out, rows or 1_000_000)}
    wanted = [parts[each] for each in sys.argv[1:] if each in parts] or list(parts.values())
    with tempfile.TemporaryDirectory(prefix="petition-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        with postgres.running(folder, fast=True) as url:
            kept = asyncio.run(run(url, folder, wanted))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
