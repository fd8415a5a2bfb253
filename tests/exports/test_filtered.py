"""Exported lists: filters, columns, formats, the log; no cell that a spreadsheet would run."""

import asyncio
import csv
import gc
import io
import json
import warnings
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import pytest

from petition.core.database import Database
from petition.exports import filtered, writers
from petition.exports.writers import Format
from petition.formats import xlsx_reader
from petition.formats.xlsx_writer import Workbook
from petition.moderation.model import Filter
from petition.web.desk import exports
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

EXPORT = f"/organizer/{SLUG}/export"
ALL = {f"c_{name}": "1" for name in filtered.COLUMNS}


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


def read(content: bytes, form: str) -> list[dict[str, str]]:
    if form == "json":
        return [{key: value or "" for key, value in row.items()} for row in json.loads(content)]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    head, *body = [cells for _, cells in xlsx_reader.rows(io.BytesIO(content)) if isinstance(cells, list)]
    names = {title[0].upper() + title[1:]: name for name, title in filtered.COLUMNS.items()}
    return [
        dict(zip([names.get(title, title) for title in head], row + [""] * (len(head) - len(row)), strict=True))
        for row in body
    ]


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
async def test_everybody_in_every_form(site: Installation, bench: Bench, form: str) -> None:
    await bench.sign("Zoya Novak", city="Ufa", country="RU")
    await bench.sign("Тайный Пётр", visibility="organizers")
    await bench.sign("Nobody", visibility="counted")
    held = await bench.sign_for("North Pier", organization_ru="Северный пирс", website="https://northpier.example")
    async with people.at_desk(site, "moderator") as client:
        assert (await client.get(EXPORT)).status_code == 200
        answer = await client.post(EXPORT, data={"form": form, "back": "", **ALL})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        records = read(answer.content, form)
        by_name = {row["name"]: row for row in records}
        assert list(records[0]) == list(filtered.COLUMNS)
        assert len(records) == 4
        assert by_name["Zoya Novak"]["city"] == "Ufa"
        assert by_name["Тайный Пётр"]["visibility"] == "organizers"
        assert by_name["North Pier"]["name_ru"] == "Северный пирс"
        assert by_name["North Pier"]["representative"] == "Anna Berg"
        assert by_name["North Pier"]["state"] == "held"
        assert "letters.example" not in answer.text
        only = await client.post(
            EXPORT, data={"form": form, "back": "kind=person&q=novak", "c_name": "1", "c_city": "1"}
        )
        assert read(only.content, form) == [{"name": "Zoya Novak", "city": "Ufa"}]
        assert await bench.states(held) == ["held"]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_formulas_are_harmless(site: Installation, form: str) -> None:
    bad = ("=1+1 x", "+cmd x", "-x y", "@sum x", "\uff1d1 x", "\uff0bx y", "\uff0dx y", "\uff20sum x")
    column = {"csv": "'", "xlsx": "'"}[form]
    export = writers.writer(Format(form), ["name"], bom=True)
    content = export.begin() + export.rows([{"name": name} for name in bad]) + export.end()
    assert [row["name"] for row in read(content, form)] == [column + name for name in bad]


async def test_a_csv_comes_back_in_as_it_went_out(site: Installation, bench: Bench) -> None:
    from petition.imports import column_guessing

    assert column_guessing.guess(filtered.CHOSEN[:8]) == filtered.CHOSEN[:8]


async def test_the_file_is_named_in_both_scripts(site: Installation) -> None:
    async with people.at_desk(site, "owner", lang="ru") as client:
        answer = await client.post(EXPORT, data={"form": "csv", "c_name": "1"})
        named = answer.headers["content-disposition"]
        assert named.startswith(f'attachment; filename="{SLUG}-20')
        assert "filename*=UTF-8''" in named
        assert unquote(named.partition("''")[2]).endswith(".csv")


async def test_the_log_tells_who_and_how_many_and_nothing_typed(site: Installation, bench: Bench) -> None:
    await bench.sign("Zoya Novak", country="FJ")
    async with people.at_desk(site, "moderator") as client:
        await client.post(EXPORT, data={"form": "csv", "back": "country=FJ&q=Zoya", "c_name": "1"})
        while not (log := await rows.rows_of(site.database, "SELECT * FROM log WHERE act = 'export.end'")):
            await asyncio.sleep(0.01)
        (begun,) = await rows.rows_of(site.database, "SELECT * FROM log WHERE act = 'export.list'")
        assert begun["before"] == "form:csv,country:fj,q:yes"
        assert begun["organizer"] is not None
        assert (log[0]["ids"], log[0]["after"], log[0]["reason"]) == ([begun["id"]], "rows:1", None)
        assert "export started" in (await client.get(f"/organizer/{SLUG}/log")).text


async def test_a_download_that_is_broken_off_holds_nothing_and_is_noted(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.crowd(3000)
    monkeypatch.setattr(filtered, "SLICE", 10)
    slices = filtered.Export._slices

    async def slowly(self: filtered.Export):  # type: ignore[no-untyped-def]
        async for batch in slices(self):
            yield batch
            await asyncio.sleep(0.05)

    monkeypatch.setattr(filtered.Export, "_slices", slowly)
    async with people.at_desk(site, "moderator") as client:
        async with client.stream("POST", EXPORT, data={"form": "csv", "c_name": "1"}) as answer:
            async for content in answer.aiter_bytes():
                if b"crowd" in content.lower():
                    break
        while not (log := await rows.rows_of(site.database, "SELECT * FROM log WHERE act = 'export.end'")):
            await asyncio.sleep(0.02)
        assert log[0]["reason"] == "broken_off"
        assert 0 < int(log[0]["after"].removeprefix("rows:")) < 3000


async def test_rare_ones_among_many_and_slices(
    site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from petition.moderation import queue_queries

    monkeypatch.setattr(filtered, "SLICE", 7)
    monkeypatch.setattr(queue_queries, "STEP_SCAN", 20)
    await bench.sign("Zinaida Rare")
    await bench.crowd(90)
    await bench.sign("Zinaida Late")
    records = await exported(site.database, bench, Filter(q="zinaida"))
    assert [row["name"] for row in records] == ["Zinaida Late", "Zinaida Rare"]
    assert len(await exported(site.database, bench, Filter())) == 92
    assert await exported(site.database, bench, Filter(q="***")) == []


async def exported(database: Database, bench: Bench, filter: Filter) -> list[dict[str, str]]:
    order = filtered.ExportOrder(bench.letter.id, filter, ("name",), Format.JSON)
    export = filtered.Export(database, bench.letter.keys, order)
    return read(b"".join([piece async for piece in export.pieces()]), "json")


def test_a_full_sheet_is_followed_by_another() -> None:
    book = Workbook(["name"], max_rows=2)
    for name in ("Anna", "Bo", "Vera\x01\ufffe"):
        book.write([name])
    book.close()
    with zipfile.ZipFile(io.BytesIO(book.take())) as packed:
        assert packed.testzip() is None
        first, second = (packed.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2))
        assert packed.read("xl/workbook.xml").count(b"<sheet ") == 2
    assert first.count("<row>") == 3
    assert "Vera\ufffd\ufffd" in second


async def test_the_workbook_is_selected_first(site: Installation, bench: Bench) -> None:
    async with people.at_desk(site, "moderator") as client:
        page = (await client.get(EXPORT)).text
    assert [form for form in Format if f'value="{form}" checked' in page] == [Format.XLSX]


async def test_no_cell_of_a_file_is_a_formula_where_semicolons_separate(site: Installation, bench: Bench) -> None:
    await bench.sign("Ann;=1+2;x", affiliation="Pier | =HYPERLINK(A1)", city="Riga; @x")
    async with people.at_desk(site, "moderator") as client:
        answer = await client.post(EXPORT, data={"form": "csv", "back": "", **ALL})
    text = answer.content.decode("utf-8-sig")
    assert not text.startswith("sep="), "Excel then forgets the byte order mark"
    cells = [cell.lstrip() for separator in ";|\t" for line in text.splitlines() for cell in line.split(separator)]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@")]
    (row,) = read(answer.content, "csv")
    assert row["name"] == "Ann;'=1+2;x"


async def test_a_workbook_is_made_for_people(site: Installation, bench: Bench) -> None:
    await bench.sign("Zoya Novak")
    async with people.at_desk(site, "moderator", lang="ru") as client:
        answer = await client.post(EXPORT, data={"form": "xlsx", "back": "", "c_name": "1", "c_signed_at": "1"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
        styles = packed.read("xl/styles.xml").decode()
        assert b"/xl/styles.xml" in packed.read("[Content_Types].xml")
    assert ">Имя<" in sheet
    assert ">Когда подписано (UTC)<" in sheet
    assert '<autoFilter ref="A1:B2"/>' in sheet
    assert '<col min="1" max="1" width="34" customWidth="1"/>' in sheet
    assert 'state="frozen"' in sheet
    assert 'formatCode="yyyy\\-mm\\-dd\\ hh:mm"' in styles
    rows_read = [cells for _, cells in xlsx_reader.rows(io.BytesIO(answer.content)) if isinstance(cells, list)]
    signed_at = datetime.fromisoformat(rows_read[1][1].replace("Z", "+00:00")).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - signed_at) < timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "cell"),
    [
        (datetime(1900, 3, 1, tzinfo=UTC), '<c s="1"><v>61.00000000</v></c>'),
        (datetime(2026, 3, 5, 12, 0, tzinfo=UTC), '<c s="1"><v>46086.50000000</v></c>'),
        (datetime(2026, 3, 5, 15, 0, tzinfo=timezone(timedelta(hours=3))), '<c s="1"><v>46086.50000000</v></c>'),
        (datetime(1899, 5, 1, tzinfo=UTC), ">1899-05-01 00:00<"),
    ],
)
def test_times_are_times(moment: datetime, cell: str) -> None:
    book = Workbook(["signed_at"])
    book.write([moment])
    book.close()
    with zipfile.ZipFile(io.BytesIO(book.take())) as packed:
        assert cell in packed.read("xl/worksheets/sheet1.xml").decode()


async def test_a_download_broken_off_leaves_no_open_archive(site: Installation, bench: Bench) -> None:
    await bench.crowd(5)
    order = filtered.ExportOrder(bench.letter.id, Filter(), ("name",), Format.XLSX)
    pieces = filtered.Export(site.database, bench.letter.keys, order).pieces()
    assert await anext(pieces)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await pieces.aclose()
        del pieces
        gc.collect()
    assert caught == []


@pytest.mark.parametrize(
    "form", [{}, {"form": "csv"}, {"form": "pdf", "c_name": "1"}, {"c_name": "1"}, {"form": "csv", "c_x": "1"}]
)
async def test_what_is_refused(site: Installation, form: dict[str, str]) -> None:
    async with people.at_desk(site, "moderator") as client:
        assert (await client.post(EXPORT, data=form)).status_code == 422
        assert not await rows.rows_of(site.database, "SELECT FROM log WHERE act LIKE 'export.%'")


async def test_who_may_not(site: Installation) -> None:
    form = {"form": "csv", "c_name": "1"}
    async with people.stranger(site) as stranger:
        assert (await stranger.get(EXPORT)).status_code == 303
        assert (await stranger.post(EXPORT, data=form)).status_code == 401
    async with people.at_desk(site, "viewer") as viewer:
        assert (await viewer.get(EXPORT)).status_code == 403
        assert (await viewer.post(EXPORT, data=form)).status_code == 403
    async with people.at_desk(site, None, email="other@letters.example") as other:
        assert (await other.post(EXPORT, data=form)).status_code == 404


async def test_the_queue_leads_here_with_its_filter(site: Installation) -> None:
    async with people.at_desk(site, "moderator") as client:
        page = await client.get(f"/organizer/{SLUG}/queue?state=held&country=FJ")
        assert f"{EXPORT}?state=held&amp;country=FJ" in page.text
        assert "Fiji" in (await client.get(f"{EXPORT}?state=held&country=FJ")).text
        assert exports.TYPES.keys() == set(Format)


async def test_what_is_no_language_is_not_in_the_log(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera")
    async with people.at_desk(site, "moderator") as client:
        answer = await client.post(EXPORT, data={"form": "csv", "back": "lang=яя", **ALL})
        assert answer.status_code == 400
    assert await rows.rows_of(site.database, "SELECT before FROM log WHERE act = 'export.list'") == []


async def test_no_one_takes_every_connection(site: Installation, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.sign("Vera")
    going = asyncio.Event()
    slices = filtered.Export._slices

    async def waiting(self: filtered.Export):  # type: ignore[no-untyped-def]
        await going.wait()
        async for batch in slices(self):
            yield batch

    monkeypatch.setattr(filtered.Export, "_slices", waiting)
    form = {"form": "csv", "c_name": "1"}
    async with (
        people.at_desk(site, "moderator", email="greedy@letters.example") as greedy,
        people.at_desk(site, "moderator", email="other@letters.example") as other,
    ):
        requests = [asyncio.create_task(greedy.post(EXPORT, data=form)) for _ in range(10)]
        while sum(request.done() for request in requests) < 10 - exports.MAX_AT_ONCE:
            await asyncio.sleep(0.02)
        last = asyncio.create_task(other.post(EXPORT, data=form))
        going.set()
        answers = [await request for request in requests]
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 7
        assert "You are already downloading three lists" in next(
            answer.text for answer in answers if answer.status_code == 429
        )
        assert (await last).status_code == 200
        assert (await greedy.post(EXPORT, data=form)).status_code == 200
    assert len(await rows.rows_of(site.database, "SELECT FROM log WHERE act = 'export.list'")) == 5
