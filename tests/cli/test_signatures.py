"""`petition signatures …`: what it says, and that it keeps its memory small."""

import asyncio
import io
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.cli import signatures
from petition.cli.approve import approve_and_say
from petition.core.database import Connection, Database, opened
from petition.core.errors import ImportRefused, NotFound, PetitionError
from petition.letters import switch_actions
from petition.letters.switches import OFF, ON, Switch
from tests.formats.books import book
from tests.imports.test_adding import FILE
from tests.signatures.people import WRAPPER, letter
from tests.signatures.test_approval import wait


@pytest.fixture
async def db(database_url: str, conn: Connection) -> AsyncIterator[Database]:
    """Give a database with an empty letter, ``north``."""
    await letter(conn, "north")
    async with opened(database_url, max_size=2) as database:
        yield database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file of signatories."""
    path = tmp_path / "signatories.csv"
    path.write_text(FILE, encoding="utf-8")
    return path


async def test_an_import_says_what_it_did(
    db: Database, conn: Connection, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await signatures.import_file(db, WRAPPER, "north", file, dry_run=True)
    dry_run = capsys.readouterr().out
    assert "would take 4 people (3 of them without a public name)" in dry_run
    assert await conn.fetchval("SELECT count(*) FROM signature") == 0
    await signatures.import_file(db, WRAPPER, "north", file)
    printed = capsys.readouterr()
    assert printed.out == dry_run.replace("would take", "took")
    assert printed.err == ""  # no progress without a terminal
    await signatures.import_file(db, WRAPPER, "north", file)
    assert "6 rows were imported before" in capsys.readouterr().out


async def test_progress_is_shown_on_a_terminal(
    db: Database, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    await signatures.import_file(db, WRAPPER, "north", file)
    assert capsys.readouterr().err == "\r6 rows read\n"


async def test_a_file_that_cannot_be_taken_in_is_refused(db: Database, file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await signatures.import_file(db, WRAPPER, "south", file)
    with pytest.raises(ImportRefused, match="cannot be read"):
        await signatures.import_file(db, WRAPPER, "north", tmp_path / "nothing.csv")
    with pytest.raises(ImportRefused, match="cannot be read"):
        await signatures.import_file(db, WRAPPER, "north", tmp_path)
    with file.open("a", encoding="utf-8") as more:
        more.write("person,,,,,,,,\n")
    with pytest.raises(ImportRefused, match="1 of 7 rows") as refused:
        await signatures.import_file(db, WRAPPER, "north", file)
    assert len(refused.value.problems) == 1


async def test_an_export_goes_where_it_is_sent(db: Database, file: Path) -> None:
    await signatures.import_file(db, WRAPPER, "north", file)
    out = io.BytesIO()
    await signatures.export(db, WRAPPER, "north", "csv", out)
    assert out.getvalue().count(b"\r\n") == 7
    out = io.BytesIO()
    await signatures.export(db, WRAPPER, "north", "json", out)
    assert len(json.loads(out.getvalue())) == 6
    out = io.BytesIO()
    await signatures.export(db, WRAPPER, "north", "xlsx", out)
    assert out.getvalue()[:2] == b"PK"


async def test_a_closed_pipe_is_no_lost_database(db: Database, file: Path) -> None:
    await signatures.import_file(db, WRAPPER, "north", file)

    class Closed(io.BytesIO):
        def write(self, _data: object) -> int:
            raise BrokenPipeError

    for form in ("csv", "json", "xlsx"):
        with pytest.raises(BrokenPipeError):
            await signatures.export(db, WRAPPER, "north", form, Closed())


async def test_a_workbook_is_not_written_to_a_terminal(db: Database) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    with pytest.raises(PetitionError, match="terminal"):
        await signatures.export(db, WRAPPER, "north", "xlsx", Terminal())


async def test_what_waits_has_no_names_while_all_are_hidden_or_their_key_is_gone(
    db: Database, conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    about, keys = await letter(conn, "south")
    place = await wait(conn, about, keys, organization_en="North Pier", organization_ru="Пирс")
    await switch_actions.set_switch(conn, None, about, Switch.HIDE_LIST, 0, ON, {})
    await signatures.held(db, WRAPPER, "south")
    printed = capsys.readouterr()
    assert printed.out.split("\t")[:4] == [str(place), "-", "-", "-"]
    assert "all names are hidden" in printed.err
    await switch_actions.set_switch(conn, None, about, Switch.HIDE_LIST, 1, OFF, {})
    await signatures.held(db, WRAPPER, "south")
    assert "North Pier" in capsys.readouterr().out
    await conn.execute("UPDATE letter SET wrapped_name_key = NULL")
    await signatures.held(db, WRAPPER, "south")
    assert capsys.readouterr().out.split("\t")[:4] == [str(place), "-", "-", "-"]


async def test_what_waits_is_told_and_let_in(
    db: Database, conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await signatures.held(db, WRAPPER, "north")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "no organizations are waiting\n")
    about, keys = await letter(conn, "south")
    place = await wait(conn, about, keys, organization_en="North Pier", organization_ru="Пирс")
    await signatures.held(db, WRAPPER, "south")
    cells = capsys.readouterr().out.rstrip("\n").split("\t")
    assert cells[:4] == [str(place), "North Pier // Пирс", "-", "Anna Ek, Director"]
    with pytest.raises(NotFound, match=f"there is no signature 5, {2**70}, -1"):
        await approve_and_say(db, WRAPPER, [place, 5, 2**70, -1])
    assert capsys.readouterr().out == ""
    await approve_and_say(db, WRAPPER, [place])
    assert capsys.readouterr().out == f"{place}: approved\n"
    await approve_and_say(db, WRAPPER, [place])
    assert "is not waiting" in capsys.readouterr().out
    assert await conn.fetchval("SELECT organizations FROM count WHERE letter = $1", about) == 1


MEASURED = """
import asyncio, re, resource, sys
from pathlib import Path
from petition.core.database import opened
from petition.cli import signatures as commands
from tests.signatures.people import WRAPPER

def peak():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: on Linux it remembers the process that started this one.
    return int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]) * 1024

async def main():
    async with opened(sys.argv[1], max_size=2) as db:
        for path in sys.argv[2:]:
            await commands.import_file(db, WRAPPER, "north", Path(path))
            with open("/dev/null", "wb") as out:
                for form in ("csv", "json", "xlsx"):
                    await commands.export(db, WRAPPER, "north", form, out)
            print(peak())

asyncio.run(main())
"""


async def test_a_larger_file_needs_hardly_more_memory(db: Database, database_url: str, tmp_path: Path) -> None:
    """100,000 rows are to fit into 200 MB: there is room for 1,500 bytes a row above what the program takes."""
    files = [_file(tmp_path, rows) for rows in (500, 8_500)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = (sys.executable, "-c", MEASURED, database_url, *files)
    process = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    before, after = (int(line) for line in out.split(b"\n") if line.isdigit())
    assert after < 200e6
    assert (after - before) / 8_000 < 1_500, (before, after)


def _file(folder: Path, rows: int) -> str:
    path = folder / f"{rows}.csv"
    lines = [f"person,Person {'x' * (i % 9)},p{i}@letters.example,{'y' * 150},public" for i in range(rows)]
    path.write_text("\n".join(["kind,name,email,affiliation,visibility", *lines]), encoding="utf-8")
    return str(path)


async def test_a_workbook_is_taken_in_like_the_same_csv(
    db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "signatories.xlsx"
    path.write_bytes(book([["kind", "name", "country"], ["person", "Vera Novak", "Latvia"], ["organization", "Pier"]]))
    await signatures.import_file(db, WRAPPER, "north", path)
    assert "took 1 people" in capsys.readouterr().out
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ImportRefused, match="not an XLSX workbook"):
        await signatures.import_file(db, WRAPPER, "north", path)
