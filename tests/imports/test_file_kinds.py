"""What is opened, and what is named instead: archives, pages, other programs' files, OpenDocument."""

import io
import zipfile

import pytest

from petition.formats import tables, xlsx_reader
from tests.formats import books
from tests.imports.test_lists_of_others import ANSWERS, PUBLIC, stored
from tests.imports.test_steering import carrying
from tests.running import Installation

PAGE = """<html><meta charset=utf-8><style>td { color: red }</style><table>
<tr><th>Отметка времени<th>ФИО
<tr><td>2022-03-05 11:23:11<td>Вера <b>Новак</b></table>"""


def packed(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        packed(answers__csv=ANSWERS.encode()),
        packed(answers__csv=ANSWERS.encode(), __MACOSX_x=b"", DS_Store__=b""),
        packed(answers__xlsx=books.book([["Отметка времени", "ФИО"], ["2022-03-05 11:23:11", "Вера Новак"]])),
        PAGE.encode(),
        b"sep=;\r\n" + '="2022-03-05 11:23:11";"Вера Новак"\r\n'.join(["Отметка времени;ФИО\r\n", ""]).encode(),
    ],
    ids=["csv in zip", "clutter", "xlsx in zip", "html", "excel text"],
)
async def test_wrappers_are_opened(site: Installation, content: bytes) -> None:
    async with carrying(site) as one:
        await one.bring(content, "answers.xls", PUBLIC)
        (row,) = await stored(one, "name, signed_at")
        assert (row[0], row[1].isoformat()) == ("Вера Новак", "2022-03-05T11:23:11+00:00")


def with_mimetype(kind: str, **parts: str) -> bytes:
    return books.archive({"mimetype": f"application/vnd.oasis.opendocument.{kind}", **parts})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed(a__csv=b"name\nA\n", b__csv=b"name\nB\n"), xlsx_reader.SEVERAL),
        (packed(a__png=b"x"), xlsx_reader.NO_TABLE),
        (packed(a__csv=b"name\n" + b"A\n" * 90_000_000), xlsx_reader.TOO_LARGE),
        (books.archive({"word/document.xml": "<x/>"}), xlsx_reader.DOCUMENT),
        (with_mimetype("text", **{"content.xml": "<x/>"}), xlsx_reader.DOCUMENT),
        (books.archive({"Index/Document.iwa": "x"}), xlsx_reader.NUMBERS),
        (books.archive({"xl/workbook.bin": "x"}), xlsx_reader.BINARY_BOOK),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", tables.PDF),
        (b"{\\rtf1\\ansi Name}", xlsx_reader.DOCUMENT),
        (b'[{"name": "Vera"}]', tables.JSON),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', tables.XML),
        (b"\x1f\x8b\x08\x00", tables.PACKED),
        (b"BEGIN:VCARD\nVERSION:3.0\n", tables.CONTACTS),
        (b"<html><p>Sign in to download your answers</p></html>", xlsx_reader.NO_SHEET),
    ],
    ids=["two", "none", "bomb", "docx", "odt", "numbers", "xlsb", "pdf", "rtf", "json", "xml", "gzip", "vcard", "page"],
)
async def test_other_files_are_named(site: Installation, content: bytes, reason: str) -> None:
    async with carrying(site) as one:
        await one.upload(content, "list.xlsx")
        await one.work()
        job = await one.newest()
        assert (job.state, job.failure) == ("failed", reason)


# Without spaces between elements, as programs write it: calamine does not take them.
ODS = (
    '<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="List"><table:table-row>{}</table:table-row>'
    '<table:table-row table:visibility="filter">{}</table:table-row><table:table-row>{}</table:table-row>'
    "</table:table></office:spreadsheet></office:body></office:document-content>"
)
MANIFEST = """<?xml version="1.0"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2"/>"""


def ods_cells(*texts: str) -> str:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    return "".join(map(cell.format, texts))


async def test_opendocument_is_read(site: Installation) -> None:
    content = ODS.format(ods_cells("Name", "City"), ods_cells("Ann Ek", "Ufa"), ods_cells("Vera Novak", "Riga"))
    async with carrying(site) as one:
        parts = {"content.xml": content, "META-INF/manifest.xml": MANIFEST}
        await one.bring(with_mimetype("spreadsheet", **parts), "a.ods", {**PUBLIC, "hidden": "out"})
        assert await stored(one) == [("Vera Novak", "Riga")]
