"""What organizers do with names that are not public leaves no trace of them: every table, log and file is searched.

The files are watched while web and worker, real processes, handle them: what is decrypted never touches a disk.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from petition.core.database import opened
from petition.core.settings import Process, load
from petition.formats.xlsx_writer import Workbook
from tests import rows
from tests.exports.test_address_lists import ADDRESSES, REGISTER, wait_three_days
from tests.faults.processes import PATIENCE, command, web, worker_environ
from tests.faults.server import Server
from tests.imports.desk import Carrier
from tests.leaks.columns import dump
from tests.leaks.search import found, squeezed
from tests.mail.post_office import PostOffice
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation, environment, free_port, publish

HIDDEN, HELD, REPRESENTATIVE = "Радомир Любомудров", "Товарищество Неразглашения", "Всеволод Тихомиров"
IMPORTED = ("Crispin Overimport", "Philippa Bouncebrook", "Мстислава Заоблачная")
WRITTEN = ("quillwortnote", "barkentinemessage", "overtypedname")  # in a note, a message, and a search
PUBLIC = "Wendelgard Abendstern"
SECRETS = {word for text in (HIDDEN, HELD, REPRESENTATIVE, *IMPORTED, *WRITTEN) for word in text.split()}
ADDRESS = "voice1@letters.example"  # of the signatory who asked for updates
DESK = f"/organizer/{SLUG}"


class Watch:
    """Every state that a file below the folders was seen in."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._seen: set[tuple[Path, int, int]] = set()
        self.contents: list[bytes] = []

    def look(self) -> None:
        for path in (path for folder in self._folders for path in folder.rglob("*")):
            with contextlib.suppress(OSError):
                state = path.stat()
                key = (path, state.st_mtime_ns, state.st_size)
                if path.is_file() and key not in self._seen:
                    self._seen.add(key)
                    self.contents.append(path.read_bytes())

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async def watch() -> None:
            while True:
                self.look()
                await asyncio.sleep(0.005)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            self.look()


def workbook() -> bytes:
    book = Workbook(["Full name", "City"], widths=[30, 10])
    for name in IMPORTED:
        book.write([name, "Riga"])
    book.close()
    return book.take()


class Desk(Carrier):
    """An organizer whose files a worker process handles."""

    async def work(self) -> None:
        """Wait until the worker has done what was asked for."""
        async with asyncio.timeout(PATIENCE):
            while (await self.newest()).state in {"reading", "checking", "importing", "undoing", "redoing"}:
                await asyncio.sleep(0.02)


async def act(client: httpx2.AsyncClient, path: str, **form: str) -> httpx2.Response:
    answer = await client.post(f"{DESK}/{path}", data=form)
    assert answer.status_code in {200, 303}, (path, answer.status_code)
    return answer


async def use_the_desk(site: Installation, bench: Bench, client: httpx2.AsyncClient) -> None:
    """Do each thing that handles names, with signatories whose names are not public."""
    await bench.sign(PUBLIC)
    (hidden,) = await bench.sign(HIDDEN, visibility="organizers", updates="1")
    held = await bench.sign_for(HELD, REPRESENTATIVE, website="https://northpier.example", visibility="organizers")
    desk = Desk(site, client)
    listed = "Full name;City\n" + "".join(f"{name};Riga\n" for name in IMPORTED)
    for content, name in ((listed.encode(), f"{IMPORTED[0]}.csv"), (workbook(), f"{IMPORTED[0]}.xlsx")):
        assert (await desk.upload(content, name)).status_code == 303
        await desk.work()
        await desk.check({"visibility": "organizers", "mapping": "Kept"})
        await desk.work()
        assert IMPORTED[0] in (await desk.see()).text
        for step in ("start", "undo", "redo") if name.endswith("csv") else ("cancel",):
            await desk.do(step)
            await desk.work()
    for path in ("queue?wait=all", f"queue?wait=all&q={IMPORTED[1].split()[0]}", f"signatures/{hidden}", "log", ""):
        assert (await client.get(f"{DESK}/{path}")).status_code == 200
    await client.get(f"{DESK}/queue?wait=all&q={WRITTEN[2]}")
    await act(client, f"signatures/{held}", act="note", text=WRITTEN[0])
    await act(client, f"signatures/{held}", act="message", message=WRITTEN[1])
    await act(client, f"signatures/{hidden}", act="remove", reason="fake", seen="0")
    await act(client, f"signatures/{hidden}", act="back")
    made = await act(client, "campaigns", act="remove", back=f"kind=person&q={PUBLIC.split()[0]}")
    campaign = made.headers["location"].rpartition("/")[2]
    assert (await client.get(f"{DESK}/campaigns/{campaign}")).status_code == 200
    for form in ("csv", "json", "xlsx"):
        await act(client, "export", form=form, c_name="1", c_city="1", back="state=confirmed")
    await act(client, "addresses", **REGISTER)
    await act(client, "addresses", step="ask", key=str(await wait_three_days(site)))
    async with asyncio.timeout(PATIENCE):
        while not (jobs := await rows_of(site.database, "SELECT id FROM address_job WHERE state = 'done'")):
            await asyncio.sleep(0.02)
    assert (await client.post(f"{ADDRESSES}/{jobs[0]['id']}")).status_code == 200


async def test_no_name_is_left_in_the_clear(server: Server, post: PostOffice, tmp_path: Path) -> None:
    data, temporary, port = tmp_path / "data", tmp_path / "temporary", free_port()
    temporary.mkdir()
    environ = environment(data, server.url, port, BASE_URL=f"http://localhost:{port}", TMPDIR=str(temporary))
    logs = [tmp_path / "web.log", tmp_path / "worker.log"]
    settings = load(environ, role=Process.WEB)
    watch = Watch(data, temporary)
    async with opened(server.url, max_size=4) as database:
        await publish(settings, database)
        async with database.connection() as conn:
            bench = Bench(database, await rows.letter(conn))
        async with (
            web(environ, port, logs[0]) as process,
            command("worker", worker_environ(environ, post.port), logs[1]),
            watch.watching(),
        ):
            site = Installation(environ, settings, database, process.client)
            async with people.at_desk(site, "owner") as client:
                (temporary / "seen").write_text("for a moment", encoding="utf-8")
                await use_the_desk(site, bench, client)
                (temporary / "seen").unlink()
        stored = await dump(database)
    await server.end(signal.SIGKILL)
    assert b"for a moment" in watch.contents  # files that come and go are seen
    written = [squeezed(content) for content in watch.contents] + [squeezed(log.read_bytes()) for log in logs]
    written.append(squeezed("".join(server.said).encode()))
    assert found(set(PUBLIC.split()), [stored]) == set(PUBLIC.split())  # the search does find what is there
    assert found(SECRETS | {ADDRESS}, [stored]) == set()
    assert found(SECRETS | {ADDRESS} | set(PUBLIC.split()), written) == set()
    # PostgreSQL's own files, with what was written and deleted again.
    assert found(SECRETS | {ADDRESS}, [squeezed(path.read_bytes()) for path in server.files()]) == set()
