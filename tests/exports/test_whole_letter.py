"""The export of a whole letter: everything organizers may see, in harmless formats, repeatable."""

import csv
import io
import json
import secrets
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId
from petition.exports import whole_letter
from petition.exports.writers import Format
from petition.signatures import counting
from petition.signatures.model import Counts
from tests.imports.test_adding import FILE, counted, import_text, target
from tests.signatures.people import letter, organization, sign


async def export(conn: Connection, about: tuple[LetterId, LetterKeys], form: Format = Format.CSV) -> bytes:
    out = io.BytesIO()
    async with conn.transaction():
        await whole_letter.write(conn, about[0], about[1], form, out)
    return out.getvalue()


async def test_an_export_imported_elsewhere_counts_the_same_and_is_exported_the_same(conn: Connection) -> None:
    one, other = await letter(conn), await letter(conn)
    await import_text(conn, target(one), FILE)
    await organization(conn, one[0], "South Pier", representatives=[("Boris", "confirmed"), (None, "confirmed")])
    content = await export(conn, one)
    report = await import_text(conn, target(other), content.decode())
    assert (report.people, report.organizations, report.hidden) == (4, 3, 3)
    assert await export(conn, other) == content
    there, here = await counted(conn, other[0]), await counting.counts_from_rows(conn, one[0])
    assert (there.people, there.organizations, there.hidden) == (here.people, here.organizations, here.hidden)


async def test_organizers_get_every_name_that_is_stored(conn: Connection) -> None:
    about = await letter(conn)
    await import_text(conn, target(about), FILE)
    rows = list(csv.DictReader(io.StringIO((await export(conn, about)).decode(), newline="")))
    assert len(rows) == 6
    hidden = next(row for row in rows if row["name"] == "Пётр Иванов")
    assert (hidden["visibility"], hidden["city"], hidden["country"]) == ("organizers", "Казань", "RU")
    nobody = next(row for row in rows if row["visibility"] == "counted")
    assert (nobody["name"], nobody["affiliation"], nobody["city"]) == ("", "", "")
    assert all(row["email"] == "" for row in rows)
    joined = next(row for row in rows if row["name_ru"] == "Сеть «Северный пирс»")
    assert joined["name"] == "North Pier Network"


async def test_only_counted_signatures_are_exported(conn: Connection) -> None:
    about, keys = await letter(conn)
    await sign(conn, about, "Shown", "Removed")
    await conn.execute("UPDATE signature SET state = 'removed' WHERE name = 'Removed'")
    await conn.execute(
        "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, private)"
        " VALUES ($1, 1, now(), 'organization', 'held', 'public', $2)",
        *(about, keys.hide({"organization_en": "Waiting", "visibility": "public"})),
    )
    text = (await export(conn, (about, keys))).decode()
    assert "Shown" in text
    assert "Removed" not in text
    assert "Waiting" not in text


async def test_json_has_representatives_too(conn: Connection) -> None:
    about, keys = await letter(conn)
    organization_id = await organization(conn, about, "North Pier", "Пирс", representatives=[("Anna", "confirmed")])
    await conn.execute(
        "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, organization, private)"
        " VALUES ($1, $2, now(), 'organization', 'confirmed', 'organizers', $3, $4)",
        *(about, secrets.randbits(63), organization_id, keys.hide({"name": "Boris", "position": "Director"})),
    )
    await sign(conn, about, "Vera")
    content = json.loads(await export(conn, (about, keys), Format.JSON))
    assert [row.get("representative") for row in content if row["kind"] == "organization"] == ["Boris", "Anna"]
    assert content[0]["position"] == "Director"
    assert {row["name_en"] for row in content if row["kind"] == "organization"} == {"North Pier"}
    assert [row["name"] for row in content if row["kind"] == "person"] == ["Vera"]


async def test_an_empty_list_is_still_a_file(conn: Connection) -> None:
    about = await letter(conn)
    assert json.loads(await export(conn, about, Format.JSON)) == []
    assert (await export(conn, about)).count(b"\n") == 1
    assert len(cells(await export(conn, about, Format.XLSX))) == 1
    assert await counted(conn, about[0]) == Counts()


def cells(book: bytes) -> list[list[str]]:
    """Return the cells of a workbook's first sheet; only text is read, so a formula would be missing."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    space = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    assert not sheet.findall(".//s:f", space)
    rows = sheet.findall(".//s:row", space)
    return [["".join(text.itertext()) for text in row.findall(".//s:is", space)] for row in rows]


async def test_no_cell_is_a_formula(conn: Connection) -> None:
    about = await letter(conn)
    wild = ["=HYPERLINK(1)A", "+7 Anna", "-Anna", "'=Anna", "'Anna"]
    await sign(conn, about[0], *wild)
    rows = cells(await export(conn, about, Format.XLSX))
    assert [row[1] for row in rows[1:]] == ["'Anna", "''=Anna", "'-Anna", "'+7 Anna", "'=HYPERLINK(1)A"]
    text = (await export(conn, about)).decode()
    assert not any(row["name"].startswith(tuple("=+-@")) for row in csv.DictReader(io.StringIO(text, newline="")))
    other = await letter(conn)
    await import_text(conn, target(other), text)
    names = {row["name"] for row in await conn.fetch("SELECT name FROM signature WHERE letter = $1", other[0])}
    assert names == set(wild)


async def test_once_the_key_is_destroyed_public_names_can_still_be_exported(conn: Connection) -> None:
    about, keys = await letter(conn)
    await import_text(conn, target((about, keys)), FILE)
    before = {row["name"] for row in csv.DictReader(io.StringIO((await export(conn, (about, keys))).decode()))}
    text = (await export(conn, (about, replace(keys, name_key=None)))).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["name"] for row in rows if row["visibility"] == "public"} < before
    assert {row["name"] for row in rows if row["visibility"] == "organizers"} == {""}
    with pytest.raises(KeyDestroyed):
        await export(conn, (about, replace(keys, name_key=bytes(32))))
