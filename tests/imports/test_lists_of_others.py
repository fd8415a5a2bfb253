"""Lists as other programs and people make them: read, or asked about; what cannot be read is named for what it is."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import xlsxwriter

from petition.imports import column_mapping
from petition.imports.model import ImportJob
from tests import rows
from tests.formats import books
from tests.imports.desk import IMPORT, Carrier, text_of
from tests.imports.test_steering import carrying
from tests.running import Installation

PUBLIC = {"visibility": "public"}
ANSWERS = "Отметка времени,ФИО\n2022/03/05 2:23:11 PM GMT+3,Вера Новак\n"


async def tried(one: Carrier, content: bytes, name: str = "list.csv", more: Mapping[str, str] = PUBLIC) -> Any:
    """Upload a file, check it, and return the import."""
    assert (await one.upload(content, name)).status_code == 303
    await one.work()
    answer = await one.check(more)
    assert answer.status_code == 303, text_of(answer)
    return await one.newest()


def plan_of(job: ImportJob) -> column_mapping.Plan:
    assert job.plan is not None
    return job.plan


async def stored(one: Carrier, columns: str = "name, city") -> list[tuple[Any, ...]]:
    found = await rows.rows_of(one.site.database, f"SELECT {columns} FROM signature ORDER BY name")
    return [tuple(row.values()) for row in found]


def reasons(job: Any) -> dict[str, int]:
    """Return what was left out or put right, by reason, with the number of rows."""
    return {group["reason"]: group["rows"] for group in job.notes["groups"]}


async def test_placeholders_and_odd_cells_cost_no_row(site: Installation) -> None:
    text = (
        "name,email,city,country\nA One,-,—,\nB Two,нет,нет,\nC Three,n/a,NULL,\nD Four,NULL,None,\n"
        'E Five,,Riga,"Atlantis, Nowhere"\nF Six,f6@example.org,Riga,Untold Empire\n'
        "G Seven,G Seven <g7@example.org>,Riga,\nH Eight,h8@example.org; h88@example.org,Riga,\n"
        "I Nine,mailto:i9@example.org,Riga,\nJ Ten,j10@example.org.,Riga,\nK Eleven,ivan@@post.example,Riga,\n"
    )
    async with carrying(site) as one:
        job = await tried(one, text.encode())
        assert (job.report["people"], job.problems) == (11, 0)
        assert reasons(job) == {
            "We do not know this country.": 2,
            "There are several addresses here; the first one is used.": 1,
            "This is not an e-mail address.": 1,
        }
        page = text_of(await one.see())
        assert "2 × country: We do not know this country. lines 6, 7" in page
        await one.do("start")
        assert (await stored(one))[:4] == [("A One", None), ("B Two", None), ("C Three", None), ("D Four", None)]


async def test_one_bad_byte_does_not_change_the_encoding(site: Installation) -> None:
    good = "".join(f"Вера Новак {n},Рига\n" for n in "абвгдежз")
    content = "ФИО,Город\n".encode() + good.encode() + "Иван Петр".encode()[:-1] + ",Томск\n".encode()
    async with carrying(site) as one:
        job = await tried(one, content)
        assert job.encoding == "utf-8"
        assert (job.report["people"], job.problems) == (8, 1)
        assert "10 Иван Пет� name This contains bytes that are no text." in text_of(await one.see())


async def test_direction_marks_of_phones_are_taken_off(site: Installation) -> None:
    text = "name,city\nVera\u200f Novak,Riga\n\u2068Ahmed Ali\u2069,Riga\n"
    text += "\u202aИван Петров\u202c,Riga\nMoshe Levi\u200e,Haifa\n"
    async with carrying(site) as one:
        await one.bring(text.encode(), more=PUBLIC)
        assert [name for name, _ in await stored(one)] == ["Ahmed Ali", "Moshe Levi", "Vera Novak", "Иван Петров"]


TITLED: list[list[Any]] = [
    ["Подписи под письмом", None, None],
    [],
    ["ФИО", "Город", "E-mail"],
    ["Вера Новак", "Рига", "v@example.org"],
]


@pytest.mark.parametrize(
    "content",
    [
        "Подписи под письмом,,\n,,\nФИО,Город,E-mail\nВера Новак,Рига,v@example.org\n".encode(),
        "Подписи под письмом\n\nФИО,Город,E-mail\nВера Новак,Рига,v@example.org\n".encode(),
        books.book(TITLED),
        books.book([["Отчёт", "2022", None], *TITLED]),
        books.book([["Контакты", None, None], ["ФИО", "Город", "E-mail"], ["Вера Новак", "Рига", "v@example.org"]]),
    ],
    ids=["padded", "not padded", "workbook", "two titles", "grouped"],
)
async def test_a_title_above_the_header(site: Installation, content: bytes) -> None:
    async with carrying(site) as one:
        await one.bring(content, more=PUBLIC)
        assert await stored(one, "name, city, digest IS NOT NULL") == [("Вера Новак", "Рига", True)]


def with_sheets(**sheets: Sequence[Sequence[Any]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as workbook:
        for name, table in sheets.items():
            sheet = workbook.add_worksheet(name.strip("_"))
            for number, row in enumerate(table):
                sheet.write_row(number, 0, [cell for cell in row if cell is not None])
            if name.startswith("_"):
                sheet.very_hidden()
    return out.getvalue()


async def test_a_cover_sheet_in_front(site: Installation) -> None:
    content = with_sheets(
        Cover=[["Open letter"], ["Exported on 5 March 2022"], ["by the city library"]],
        List=[["Name", "City"], ["Vera Novak", "Riga"], ["Ann Ek", "Ufa"]],
        _Secret=[["Name", "City", "E-mail"], ["Hidden Person", "Oslo", "h@example.org"], ["Other", "Oslo", ""]],
    )
    async with carrying(site) as one:
        await one.upload(content, "a.xlsx")
        await one.work()
        page = text_of(await one.see())
        assert "Cover · 3 rows" in page
        assert "List · 3 rows" in page
        assert "Secret · 3 rows · hidden" in page
        await one.do("", {"again": "0"})
        assert "Exported on 5 March 2022" in (await one.see()).text
        await one.do("", {"again": "1"})
        await one.check(PUBLIC)
        await one.do("start")
        assert await stored(one) == [("Ann Ek", "Ufa"), ("Vera Novak", "Riga")]


async def test_another_header_can_be_chosen(site: Installation) -> None:
    text = "first,second\nName,City\nVera Novak,Riga\nAnn Ek,Ufa\n"
    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        reading = {"encoding": "utf-8", "delimiter": ","}
        await one.do("", {"again": "", "header": "1", **reading})
        job = await one.newest()
        assert plan_of(job).header == 1
        # Another row chosen and “check” pressed: the columns on the page belong to another header.
        await one.do("check", {"header": "2", "c0": "city", "c1": "name", **reading})
        job = await one.newest()
        assert (job.state, plan_of(job).header, plan_of(job).columns) == ("mapping", 2, ("name", "city"))
        await one.check({**PUBLIC, "header": "2"})
        await one.do("start")
        assert await stored(one) == [("Ann Ek", "Ufa"), ("Vera Novak", "Riga")]


def with_hidden_rows() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("List")
        for number, row in enumerate(
            (["Name", "Notes", "City"], ["Vera", "x", "Riga"], ["Ann", "y", "Ufa"], ["Bob", "z", "Oslo"])
        ):
            sheet.write_row(number, 0, row)
        sheet.set_row(2, options={"hidden": True})
        sheet.set_column(2, 2, options={"hidden": True})
    return out.getvalue()


@pytest.mark.parametrize(("answer", "names"), [("out", ["Bob", "Vera"]), ("in", ["Ann", "Bob", "Vera"])])
async def test_hidden_rows_and_columns_are_asked_about(site: Installation, answer: str, names: list[str]) -> None:
    async with carrying(site) as one:
        await one.upload(with_hidden_rows(), "a.xlsx")
        await one.work()
        assert "1 row is hidden in the workbook" in text_of(await one.see())
        refused = await one.check(PUBLIC)
        assert refused.status_code == 422
        assert column_mapping.HIDDEN_ROWS in text_of(refused)
        assert plan_of(await one.newest()).columns == ("name", "", "")
        await one.check({**PUBLIC, "hidden": answer})
        await one.do("start")
        assert await stored(one) == [(name, None) for name in names]


@pytest.mark.parametrize(
    "text",
    [
        "ФИО;Город\nВера Новак;Рига\nИтого:;\nВсего подписей: 1;\n",
        "ФИО;Город\nВера Новак;Рига\nИТОГО;1\n;Всего: 1 чел.\n",
        "№;ФИО;Город\n1;Вера Новак;Рига\n;Total signatures;1\n;Grand total: 1;\n",
    ],
)
async def test_totals_are_no_people(site: Installation, text: str) -> None:
    async with carrying(site) as one:
        job = await tried(one, text.encode())
        assert (job.report["people"], job.report["left_out"], job.problems) == (1, 2, 0)
        assert re.search(r"line 3: (·|Итого:|ИТОГО · 1|Total signatures · 1) ", text_of(await one.see()))
        assert column_mapping.TOTAL in text_of(await one.see())
        await one.do("start")
        assert await stored(one) == [("Вера Новак", "Рига")]


async def test_an_organization_may_be_called_total(site: Installation) -> None:
    async with carrying(site) as one:
        job = await tried(one, b"name,city\nTotal Relief,Riga\nTotal,Paris\nSum Ting,Oslo\n")
        assert (job.report["people"], job.report["left_out"]) == (3, 0)


async def test_entities_are_characters(site: Installation) -> None:
    text = "name,city\nO&#039;Brien,Cork\nAnna &amp; Ivan,Riga\n&quot;Клуб&quot;,&nbsp;Рига\n"
    text += "Ann &amp;#039;X&amp;#039;,Rome\n"
    async with carrying(site) as one:
        await one.bring(text.encode(), more=PUBLIC)
        assert await stored(one) == [
            ('"Клуб"', "Рига"),
            ("Ann 'X'", "Rome"),
            ("Anna & Ivan", "Riga"),
            ("O'Brien", "Cork"),
        ]


async def test_values_are_asked_about_once(site: Installation) -> None:
    text = "Вы подписываете,Имя,Можно ли показать ваше имя?\n"
    text += "".join(f"От себя лично,Вера Новак {letter},1\n" for letter in "абвг")
    text += (
        "От имени организации,Сеть «Пирс»,Да\nПо поручению бабушки,Анна Ёлкина,0\nПо поручению бабушки,Пётр Орлов,\n"
    )
    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        page = text_of(await one.see())
        assert "«От себя лично» ×4" in page
        assert "«По поручению бабушки» ×2" in page
        refused = await one.check()
        assert refused.status_code == 422
        assert column_mapping.UNKNOWN_VALUES in text_of(refused)
        assert 'id="v0-1" name="v0-1" aria-invalid=true' in refused.text
        await one.check({"v0-1": "out"})
        job = await one.newest()
        assert (job.report["people"], job.report["organizations"], job.report["left_out"]) == (4, 1, 2)
        await one.do("back")
        await one.check({"v0-1": "person"})
        job = await one.newest()
        assert (job.report["people"], job.report["hidden"], job.problems) == (6, 2, 0)


async def test_a_mapping_is_kept_for_the_next_file(site: Installation) -> None:
    text = "Выгрузка,,\nКто,Подписал,Как подписал\n{},5 марта 2022 г.,по зову сердца\n"
    async with carrying(site) as one:
        await one.upload(text.format("Вера Новак").encode())
        await one.work()
        chosen = {
            "c0": "name",
            "c1": "signed_at",
            "c2": "kind",
            "v2-0": "person",
            "visibility": "public",
            "header": "2",
        }
        await one.do("", {"again": "", "header": "2", "encoding": "utf-8", "delimiter": ","})
        await one.check({**chosen, "mapping": "Вендор"})
        await one.do("start")
        await one.upload(text.format("Анна Ёлкина").replace("\nКто", "\nещё строка,,\nКто").encode())
        await one.work()
        page = text_of(await one.see())
        assert "Columns and values are chosen as in “Вендор”." in page
        job = await one.newest()
        assert (plan_of(job).columns, plan_of(job).header) == (("name", "signed_at", "kind"), 3)
        await one.check({"visibility": "public", "header": "3", "v2-0": "person"})
        await one.do("start")
        assert [name for (name,) in await stored(one, "name")] == ["Анна Ёлкина", "Вера Новак"]
        kept = await rows.rows_of(site.database, "SELECT id, fields FROM import_mapping")
        assert "зову".encode() not in kept[0]["fields"]
        assert "Вендор" in (await one.client.get(IMPORT)).text
        await one.client.post(f"{IMPORT}/mappings", data={"mapping": str(kept[0]["id"])})
        assert not await rows.rows_of(site.database, "SELECT FROM import_mapping")


async def test_problems_can_be_repaired_and_sent_in(site: Installation) -> None:
    text = "Name,City,Remark\nVera Novak,Riga,=1+1\n12,Ufa,second\n,Oslo,third\n"
    async with carrying(site) as one:
        job = await tried(one, text.encode())
        assert job.problems == 2
        file = await one.client.get(f"{IMPORT}/{job.number}/problems.csv")
        assert file.text.splitlines()[1:] == [
            '12,Ufa,second,"3, name: The name must contain letters."',
            ',Oslo,third,"4, name: This is empty."',
        ]
        await one.do("start", {"skip": "1"})
        sealed = await rows.rows_of(site.database, "SELECT cells FROM intake_problem")
        assert all(b"Oslo" not in row["cells"] for row in sealed)
        repaired = file.text.replace("12,Ufa", "Ann Ek,Ufa").replace("\n,Oslo", "\nBob Ek,Oslo")
        await one.bring(repaired.encode(), more=PUBLIC)
        assert await stored(one) == [("Ann Ek", "Ufa"), ("Bob Ek", "Oslo"), ("Vera Novak", "Riga")]


async def test_what_is_left_of_a_cancelled_import(site: Installation) -> None:
    async with carrying(site) as one:
        await tried(one, b"name,city\n12,Ufa\nVera,Riga\n", "Список подписей.csv")
        await one.do("cancel")
        assert not await rows.rows_of(site.database, "SELECT FROM intake_problem")
        page = text_of(await one.client.get(IMPORT))
        assert "Список подписей.csv" in page
        assert "cancelled, nothing imported" in page
        (row,) = await rows.rows_of(site.database, "SELECT file FROM intake")
        assert "Список".encode() not in row["file"]
