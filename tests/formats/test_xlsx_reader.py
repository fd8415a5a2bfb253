"""Workbooks as rows of text, and the process that parses them: it has no secrets, and it ends."""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from datetime import date, datetime, timedelta
from datetime import time as daytime
from pathlib import Path
from typing import Any

import pytest

from petition.core.errors import ImportRefused
from petition.formats import workbook_limits, xlsx_process, xlsx_reader
from tests.formats import books

LINUX = sys.platform == "linux"
ROOT = Path(__file__).parents[2]


def rows(content: bytes) -> list[tuple[int, list[str] | str]]:
    return list(xlsx_reader.rows(io.BytesIO(content)))


CELLS: list[tuple[Any, str]] = [
    ("Vera", "Vera"),
    (datetime(2022, 3, 5, 10, 30), "2022-03-05T10:30:00"),  # noqa: DTZ001 - a cell has no zone
    (datetime(2022, 3, 5, 10, 30, 0, 600_000), "2022-03-05T10:30:01"),  # noqa: DTZ001
    (date(2022, 3, 5), "2022-03-05"),
    (daytime(12, 15), "1899-12-30T12:15:00"),
    (timedelta(hours=36), "1899-12-31T12:00:00"),
    (timedelta(days=1), "1899-12-31"),
    (True, "TRUE"),
    (False, "FALSE"),
    (3471.0, "3471"),
    (79_161_234_567.0, "79161234567"),
    (1_234_567_890_123_456.0, "1234567890123456"),
    (0.1 + 0.2, "0.3"),
    (-1.5, "-1.5"),
    (1e20, "1e+20"),
    ("a" * 40_000, "a" * 32_767),
]


@pytest.mark.parametrize(("cell", "text"), CELLS, ids=[str(cell)[:20] for cell, _ in CELLS])
def test_a_cell_as_text(cell: Any, text: str) -> None:
    assert xlsx_process._text(cell) == text


def test_a_whole_workbook() -> None:
    table: list[list[Any]] = [
        ["Name", "Phone", "When"],
        [],
        ["Вера", 79161234567, datetime(2022, 3, 5, 10, 30), None, True],  # noqa: DTZ001
        ["Ann", 3471.0, date(2022, 3, 6), "", "x"],
    ]
    assert rows(books.book(table)) == [
        (1, ["Name", "Phone", "When"]),
        (3, ["Вера", "79161234567", "2022-03-05T10:30:00", "", "TRUE"]),
        (4, ["Ann", "3471", "2022-03-06", "", "x"]),
    ]
    hidden, shown = xlsx_reader.outline(io.BytesIO(books.book(table, hidden_first=True)))
    assert (hidden.name, hidden.is_hidden, shown.name, shown.is_hidden, shown.rows) == ("notes", True, "list", False, 3)


def test_cells_stand_where_their_address_says() -> None:
    sheet = books.sheet(
        '<row r="3"><c r="C3"><v>1</v></c></row><row r="4"/>'
        '<row r="7"><c r="B7" t="e"><v>#N/A</v></c><c r="D7"><v>2</v></c></row>'
    )
    assert rows(books.raw(sheet)) == [(3, ["", "", "1"]), (7, ["", "", "", "2"])]


def test_cells_beyond_the_limit_are_dropped() -> None:
    ((_, cells),) = rows(books.book([[f"c{n}" for n in range(300)]]))
    assert len(cells) == workbook_limits.MAX_CELLS


def test_many_rows() -> None:
    table = [[f"Имя {n}", "x" * 50] for n in range(5000)]
    assert rows(books.book(table)) == [(n, row) for n, row in enumerate(table, 1)]


@pytest.mark.skipif(not LINUX, reason="only Linux limits addresses")
def test_a_sheet_too_large_for_memory_is_refused() -> None:
    sheet = books.sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    with pytest.raises(ImportRefused, match="too large"):
        rows(books.raw(sheet))


PROBE = """
    import importlib.util, json, os, socket, sys
    sys.path += sys.argv[2:4]
    spec = importlib.util.spec_from_file_location("real", {program!r})
    real = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(real)
    real._confine(int(sys.argv[1]))
    found = {{"environ": sorted(os.environ), "files": [n for n in range(64) if os.path.exists(f"/proc/self/fd/{{n}}")]}}
    for name, act in (("open", lambda: open({program!r})), ("fork", os.fork), ("socket", socket.socket)):
        try:
            act()
            found[name] = True
        except OSError:
            found[name] = False
    print(json.dumps(found), json.dumps(""), sep="\\n")
"""
DEAF = "import time\ntime.sleep(600)\n"
ENDLESS = "import sys\nwhile True: sys.stdout.write('[1,[\"x\"]]\\n')\n"


def replaced(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(program))
    monkeypatch.setattr(xlsx_process, "__file__", str(path))


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_the_process_has_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for parsers")
    with (tmp_path / "secret").open("w") as open_file:
        os.set_inheritable(open_file.fileno(), True)
        replaced(monkeypatch, tmp_path, PROBE.format(program=xlsx_process.__file__))
        (found,) = xlsx_reader._messages(io.BytesIO(b""))
    assert not set(found["environ"]) - {"LC_CTYPE", *xlsx_reader._ENVIRONMENT}
    assert (found["open"], found["fork"], found["socket"]) == (False, False, False)


def ended(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return False
    return True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the ids of the processes that the reader has started."""
    ids: list[int] = []
    popen = subprocess.Popen

    def noting(*args: Any, **kwargs: Any) -> Any:
        process = popen(*args, **kwargs)
        ids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", noting)
    return ids


def test_it_ends_when_the_reader_stops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: list[int]) -> None:
    replaced(monkeypatch, tmp_path, ENDLESS)
    reading = xlsx_reader.rows(io.BytesIO(b""))
    assert next(reading) == (1, ["x"])
    assert not ended(started[0])
    del reading
    assert ended(started[0])


def test_it_is_killed_when_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: list[int]
) -> None:
    replaced(monkeypatch, tmp_path, DEAF)
    monkeypatch.setattr(xlsx_reader, "MAX_WAIT", 0.5)
    with pytest.raises(ImportRefused, match="too large"):
        rows(bytes(1_000_000))
    assert ended(started[0])


def test_it_is_killed_when_it_writes_too_much(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: list[int]
) -> None:
    replaced(monkeypatch, tmp_path, ENDLESS)
    monkeypatch.setattr(xlsx_reader, "MAX_OUTPUT", 10_000)
    with pytest.raises(ImportRefused, match="too large"):
        rows(b"")
    assert ended(started[0])


def test_a_program_that_fails_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replaced(monkeypatch, tmp_path, "raise SystemExit(1)")
    with pytest.raises(RuntimeError):
        rows(books.book([["a"]]))


PARENT = """
import io, os, sys
from petition.formats import xlsx_reader
started = xlsx_reader._started()
process = started.__enter__()
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not LINUX, reason="only Linux ends a process with its parent")
def test_it_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        time.sleep(1.0)
        os.kill(process, signal.SIGTERM)  # it ends with its parent, not when the service is stopped
        time.sleep(0.2)
        assert not ended(process)
        parent.kill()
    deadline = time.monotonic() + 10
    while not ended(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended(process)


def test_the_library_is_found_where_only_the_parent_finds_it() -> None:
    """``python -I`` ignores PYTHONPATH: a virtual environment's own interpreter would hide that."""
    base = getattr(sys, "_base_executable", sys.executable)
    libraries = Path(str(importlib.util.find_spec("python_calamine").origin)).parents[1]  # type: ignore[union-attr]
    program = (
        "import sys, io; from petition.formats import xlsx_reader; "
        "print(list(xlsx_reader.rows(io.BytesIO(sys.stdin.buffer.read()))))"
    )
    done = subprocess.run(
        [base, "-c", program],
        input=books.book([["Name"], ["Vera"]]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(libraries)))},
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.decode() == "[(1, ['Name']), (2, ['Vera'])]\n"
