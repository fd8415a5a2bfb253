"""Files that are not what they claim, or are built to harm: a clear message, and nothing half-done."""

import random
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import httpx2
import pytest

from petition.formats import encodings, tables, workbook_limits, xlsx_reader
from petition.imports import steering
from petition.imports.model import MAX_BYTES
from tests import rows
from tests.formats import books
from tests.imports.desk import FORM, IMPORT, text_of
from tests.imports.test_steering import carrying
from tests.running import Installation

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 50}">' for a, b in zip("abcdef", "bcdefg", strict=True))
    + "]>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
CELL = '<c t="inlineStr"><is><t>%s</t></is></c>'


def with_doctype(doctype: str) -> bytes:
    return books.raw(books.sheet(f"<row>{CELL % '&g;'}</row>").replace("<worksheet", doctype + "<worksheet", 1))


def locked() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(70_000) + "EncryptedPackage".encode("utf-16-le") + bytes(200)


def many_entries() -> bytes:
    return books.archive({f"xl/{n}": "" for n in range(1200)})


def lies_about_its_size() -> bytes:
    honest = books.raw(books.sheet(f"<row>{CELL % 'name'}</row>"))
    position = honest.rfind(b"PK\x05\x06")
    return honest[: position + 12] + b"\xff\xff\xff\x7f" + honest[position + 16 :]


def cut() -> bytes:
    return books.book([["name"], ["Vera Novak"]])[:-300]


def bomb() -> bytes:
    return books.raw(b" " * 300_000_000)


def steep() -> bytes:
    return books.raw(books.sheet(f"<row>{CELL % 'name'}</row>") + " " * 40_000_000)


def one_endless_cell() -> bytes:
    return books.raw(books.sheet(f"<row>{CELL % ''.join(map(str, range(60_000)))}</row>"))


def strings_that_are_not_there() -> bytes:
    return books.raw(books.sheet('<row><c t="s"><v>7</v></c></row>'))


def noise(size: int) -> str:
    """Return a comment that does not pack well, so that its neighbour may."""
    return f"<!--{random.Random(1).randbytes(size // 2).hex()}-->"


def nested() -> bytes:
    return books.raw("<worksheet>" + noise(60_000) + "<a>" * 2_000_000)


def many_names() -> bytes:
    return books.raw("<worksheet>" + "".join(f"<n{n}/>" for n in range(100_000)) + "</worksheet>")


def endless_attribute() -> bytes:
    return books.raw(f'<worksheet a="{noise(60_000)[4:-3]}{"x" * 4_000_000}"/>')


def endless_string() -> bytes:
    strings = f"<sst>{noise(60_000)}<si><t>{'x' * 4_000_000}</t></si></sst>"
    return books.raw(books.sheet('<row><c t="s"><v>0</v></c></row>'), xl__sharedStrings=strings)


def unknown_encoding() -> bytes:
    return books.raw('<?xml version="1.0" encoding="none-of-ours"?><worksheet/>')


REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("billion laughs", lambda: with_doctype(LAUGHS), xlsx_reader.HOSTILE),
    ("a file from outside", lambda: with_doctype(OUTSIDE), xlsx_reader.HOSTILE),
    ("locked", locked, xlsx_reader.LOCKED),
    ("an old one", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000), xlsx_reader.NOT_A_WORKBOOK),
    (
        "a row without end",
        lambda: books.raw(books.sheet(f'<row r="99999999999">{CELL % "x"}</row>')),
        xlsx_reader.HOSTILE,
    ),
    ("a row twice", lambda: books.raw(books.sheet('<row r="2"/><row r="2"/>')), xlsx_reader.HOSTILE),
    ("many entries", many_entries, xlsx_reader.TOO_LARGE),
    ("a lie", lies_about_its_size, xlsx_reader.NOT_A_WORKBOOK),
    ("cut", cut, xlsx_reader.NOT_A_WORKBOOK),
    ("a bomb", bomb, xlsx_reader.TOO_LARGE),
    ("a steep one", steep, xlsx_reader.TOO_LARGE),
    ("an endless cell", one_endless_cell, xlsx_reader.HOSTILE),
    ("elements in elements", nested, xlsx_reader.NOT_A_WORKBOOK),
    ("names without end", many_names, tables.EMPTY),
    ("an endless attribute", endless_attribute, tables.EMPTY),
    ("an endless string", endless_string, xlsx_reader.HOSTILE),
    ("an unknown encoding", unknown_encoding, xlsx_reader.NOT_A_WORKBOOK),
    ("no strings", strings_that_are_not_there, xlsx_reader.NOT_A_WORKBOOK),
    ("not XML", lambda: books.raw("<worksheet><sheetData><row>"), xlsx_reader.NOT_A_WORKBOOK),
    ("no number", lambda: books.raw(books.sheet('<row r="x"/>')), xlsx_reader.NOT_A_WORKBOOK),
    ("no workbook in it", lambda: books.archive({"readme.txt": "hello"}), tables.ONLY_HEADER),
    ("no sheet", lambda: books.raw("").replace(b"sheet1", b"sheet7"), xlsx_reader.NO_SHEET),
    ("an empty sheet", lambda: books.raw(books.sheet("")), tables.EMPTY),
    ("header only, XLSX", lambda: books.book([["name", "city"]]), tables.ONLY_HEADER),
    ("header only", lambda: b"name,city\r\n\r\n,,\r\n", tables.ONLY_HEADER),
    ("10,000 columns", lambda: b",".join(b"%d" % n for n in range(10_000)) + b"\n1\n", tables.TOO_MANY_COLUMNS),
    ("60 columns", lambda: b",".join(b"%d" % n for n in range(60)) + b"\n1\n", tables.TOO_MANY_COLUMNS),
    ("10,000 columns, XLSX", lambda: books.book([[f"c{n}" for n in range(10_000)], ["x"]]), tables.TOO_MANY_COLUMNS),
    ("a picture", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, encodings.BINARY),
    ("zero bytes", lambda: bytes(5000), encodings.BINARY),
    ("a program", lambda: bytes(range(256)) * 100, encodings.BINARY),
    ("nested quotes", lambda: b'"name"","city"\n' + b'"' * 50_000, tables.NO_HEADER),
    ("too many rows", lambda: b"name\n" + b"a\n" * 200_001, tables.TOO_MANY_ROWS),
]


@pytest.mark.parametrize(
    ("make", "why"), [(make, why) for _, make, why in REFUSED], ids=[name for name, _, _ in REFUSED]
)
async def test_it_is_refused_in_words(site: Installation, make: Callable[[], bytes], why: str) -> None:
    async with carrying(site) as one:
        assert (await one.upload(make())).status_code == 303
        await one.work()
        stands = await one.newest()
        assert (stands.state, stands.failure) == ("failed", why)
        page = await one.see()
        assert page.status_code == 200
        assert why.split("(")[0] in text_of(page).replace("&#39;", "'")
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
        assert (await one.counted())["people"] == 0


async def test_an_empty_file(site: Installation) -> None:
    async with carrying(site) as one:
        refused = await one.upload(b"")
        assert refused.status_code == 422
        assert tables.EMPTY in refused.text
        assert not await rows.rows_of(site.database, "SELECT FROM intake")


async def test_fifty_megabytes_are_refused_with_a_page(site: Installation) -> None:
    async with carrying(site) as one:
        refused = await one.upload(b"PK\x03\x04" + bytes(50 * 1024 * 1024))
        assert refused.status_code == 413
        assert "larger than 32 MB" in refused.text
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
        assert not await rows.rows_of(site.database, "SELECT FROM intake")
        assert MAX_BYTES == 32 * 1024 * 1024
        assert "32 MB" in steering.TOO_LARGE


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/csv", b"name\nVera\n", 415),
        ("multipart/form-data", b"--x\r\n", 415),
        ("multipart/form-data; boundary=" + "x" * 71, b"", 415),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\nsomething\r\n--y--", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a: b\r\n" * 2000, 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--', 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nname\nVera',
            400,
        ),
    ],
)
async def test_what_is_no_upload(site: Installation, content_type: str, body: bytes, status: int) -> None:
    async with carrying(site) as one:
        answer = await one.client.post(IMPORT, content=body, headers={"content-type": content_type})
        assert answer.status_code == status
        assert not await rows.rows_of(site.database, "SELECT FROM intake WHERE state <> 'uploading'")
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")


async def test_bad_bytes_in_a_row_are_that_rows_problem(site: Installation) -> None:
    text = b"name,city\nVera,Ufa\n" + b"Anna\0,Ufa\n" + b'"Petr ""x"" y",Ufa\nOlga "O" N,Ufa\n"broken"x,Ufa\n'
    async with carrying(site) as one:
        await one.upload(text, "list.xlsx")  # the wrong extension does not matter
        await one.work()
        await one.check()
        stands = await one.newest()
        assert (stands.report["people"], stands.problems) == (3, 2)
        records = await rows.rows_of(site.database, "SELECT line FROM intake_problem WHERE line > 0 ORDER BY line")
        assert [row["line"] for row in records] == [3, 6]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1251", "koi8-r", "cp866", "mac-cyrillic"]
)
async def test_every_encoding_is_read(site: Installation, encoding: str) -> None:
    text = "name;city\n" + "".join(f"Анна Ёлкина {letter};Нижний Новгород\n" for letter in "абвгд")
    async with carrying(site) as one:
        await one.bring(text.encode(encoding), more={"visibility": "public"})
        records = await rows.rows_of(site.database, "SELECT name, city FROM signature ORDER BY name")
        assert [row["name"] for row in records] == [f"Анна Ёлкина {letter}" for letter in "абвгд"]
        assert {row["city"] for row in records} == {"Нижний Новгород"}


@pytest.mark.parametrize("is_1904", [False, True])
async def test_a_workbook_with_dates_and_a_hidden_sheet(site: Installation, is_1904: bool) -> None:
    table: list[list[Any]] = [
        ["Отметка времени", "Имя и фамилия", "Город", None],
        [datetime(2022, 3, 5, 10, 30), "Вера Новак", "Уфа"],  # noqa: DTZ001 - a cell has no zone
        [],
        [date(2022, 3, 6), "Anna Ek", 1984.0],
    ]
    async with carrying(site) as one:
        content = books.book(table, hidden_first=True, is_1904=is_1904)
        await one.bring(content, "Форма.xlsx", {"visibility": "public"})
        records = await rows.rows_of(site.database, "SELECT name, city, signed_at FROM signature ORDER BY signed_at")
        cells = [(row["name"], row["city"], row["signed_at"].isoformat()[:16]) for row in records]
        assert cells == [("Вера Новак", "Уфа", "2022-03-05T10:30"), ("Anna Ek", "1984", "2022-03-06T00:00")]


def test_the_bomb_is_small_and_real() -> None:
    content = bomb()
    assert len(content) < 1_000_000
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert sum(entry.file_size for entry in packed.infolist()) > workbook_limits.MAX_UNPACKED


async def test_a_slow_upload_is_broken_off(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio
    from collections.abc import AsyncIterator

    from petition.web.desk import imports

    monkeypatch.setattr(imports, "IDLE_SECONDS", 0.2)

    async def body() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nname\n'
        await asyncio.sleep(1.0)
        yield b"Vera\r\n--x--\r\n"

    async with carrying(site) as one:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer: httpx2.Response = await one.client.post(IMPORT, content=body(), headers=headers)
        assert answer.status_code == 408
        assert not await rows.rows_of(site.database, "SELECT FROM intake")


async def test_a_stray_zero_is_the_problem_of_its_row_only(site: Installation) -> None:
    async with carrying(site) as one:
        await one.upload(b"Name,City\nAnn\0Ek,Ufa\nBob Ek,Riga\n")
        await one.work()
        await one.check()
        stands = await one.newest()
        assert (stands.report["people"], stands.problems) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [
        "Имя\tГород\rВера Новак\tУфа\rПётр Ёлкин\tРига\r".encode(),
        "Имя;Город\r\nВера Новак;Уфа\rПётр Ёлкин;Рига\n".encode("cp1251"),
        b"sep=;\r\n" + "Имя;Город\r\nВера Новак;Уфа\r\nПётр Ёлкин;Рига\r\n".encode(),
        ("Имя,Город\r" * 3 + "Вера Новак,Уфа\rПётр Ёлкин,Рига").encode(),
    ],
    ids=["only CR", "mixed", "sep=", "header again"],
)
async def test_what_programs_write(site: Installation, content: bytes) -> None:
    async with carrying(site) as one:
        await one.upload(content)
        await one.work()
        await one.check({"visibility": "public"})
        await one.do("start", {"skip": "1"})
        named = await rows.rows_of(site.database, "SELECT name, city FROM signature ORDER BY name")
        assert [tuple(row.values()) for row in named] == [("Вера Новак", "Уфа"), ("Пётр Ёлкин", "Рига")]


async def test_an_error_of_the_spreadsheet_is_no_signatory(site: Installation) -> None:
    content = books.raw(
        books.sheet(
            f'<row>{CELL % "Name"}{CELL % "City"}</row><row><c t="e"><v>#N/A</v></c></row>'
            f'<row><c t="e"><v>#REF!</v></c>{CELL % "Ufa"}</row><row>{CELL % "Ann Ek"}<c t="e"><v>#NAME?</v></c></row>'
        )
    )
    async with carrying(site) as one:
        await one.upload(content)
        await one.work()
        await one.check({"visibility": "public"})
        assert ((await one.newest()).report["people"], (await one.newest()).problems) == (1, 1)
        await one.do("start", {"skip": "1"})
        named = await rows.rows_of(site.database, "SELECT name, city FROM signature")
        assert [tuple(row.values()) for row in named] == [("Ann Ek", None)]


async def test_it_is_said_that_other_sheets_are_not_read(site: Installation) -> None:
    import io

    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as workbook:
        for name in ("one", "two"):
            sheet = workbook.add_worksheet(name)
            sheet.write(0, 0, "Name")
            sheet.write(1, 0, f"Ann {name}")
    async with carrying(site) as one:
        await one.upload(out.getvalue())
        await one.work()
        assert "Only one sheet is read" in (await one.see()).text
        await one.upload(books.book([["Name"], ["Ann"]]))
        await one.work()
        assert "Only one sheet" not in (await one.see()).text


async def test_paths_as_some_programs_write_them(site: Installation) -> None:
    parts = {
        "xl\\workbook.xml": books.WORKBOOK,
        "xl\\_rels\\workbook.xml.rels": books.LINKS.replace("worksheets/", "../xl/worksheets/"),
        "xl\\worksheets\\sheet1.xml": books.sheet(f"<row>{CELL % 'Name'}</row><row>{CELL % 'Ann Ek'}</row>"),
    }
    async with carrying(site) as one:
        await one.bring(books.archive(parts))
        assert (await one.counted())["people"] == 1


async def test_a_file_without_a_header_has_no_row_lost(site: Installation) -> None:
    async with carrying(site) as one:
        await one.upload(b"Vera Novak,vera@letters.example\nAnn Ek,ann@letters.example\n")
        await one.work()
        assert 'value="0" checked' in (await one.see()).text
        await one.check({"visibility": "public"})
        await one.do("start")
        named = await rows.rows_of(site.database, "SELECT name FROM signature ORDER BY name")
        assert [row["name"] for row in named] == ["Ann Ek", "Vera Novak"]


async def test_a_first_row_that_may_be_a_signatory_is_asked_about(site: Installation) -> None:
    async with carrying(site) as one:
        await one.upload(b"Vera Novak,Riga\nAnn Ek,Ufa\n")
        await one.work()
        assert "looks like a signatory or a title" in text_of(await one.see())
        await one.upload(FORM.encode())
        await one.work()
        assert "looks like a signatory" not in text_of(await one.see())
