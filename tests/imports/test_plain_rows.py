"""What the quick way makes of a row is what the careful way makes of it, and most rows go the quick way."""

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.formats import csv_blocks, csv_rows
from petition.formats.dates import DateOrder
from petition.formats.tables import Line
from petition.imports import plain_rows, row_reading
from petition.imports.column_mapping import Mapper, Plan
from petition.imports.plain_rows import PlainRows
from petition.imports.row_reading import RowReader, Target
from petition.imports.same_names import NameComparison
from petition.signatures.model import Visibility

NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
KEYS = LetterKeys(b"d" * 32, b"n" * 32)
TARGET = Target(LetterId(1), KEYS, 1)
SEED = 20_261_130
# By field; each list begins with what most rows have.
CELLS = {
    "name": [
        *(
            "Иван Иванов",
            "Анна-Мария Ёлкина",
            "Vera Crowd",
            "Ли",
            "не указано",
            "No Data",
            "Null",
            "Итого",
            "Total sum",
        ),
        *("O'Brien", "  Анна  Эк ", "Name", "Anna\u200bEk", "a" * 101, "А" * 201, "", "-", "12", "x.com", "Ä Ö", "=A1"),
        *("&quot;Ann&quot;", "'=Ann", "Ann\\Ek", "Ann\ufffd", "Ё", "и о", "n/a", "Ann  Ek", "Ann- Ek", "Smith\tAnn"),
    ],
    "first": ["Иван", "Ann", "", "-", "Null", "Мария Анна"],
    "last": ["Иванов", "Ek", "", "—", "null", "Eks-Ek"],
    "email": [
        *("Vera.Crowd+x@letters.example", "a@gmail.com", "a.b+c@googlemail.com", "И@почта.рф", "a@b", "", "нет", "n/a"),
        *(
            "Vera <a@letters.example>",
            "a@letters.example; b@letters.example",
            "a@LETTERS.Example",
            "no address",
            "a@a.b-",
        ),
        *("anna@x.fastmail.com", "'a@letters.example", "a&amp;b@letters.example", "postmaster@letters.example"),
        *(f"{'a' * 65}@letters.example", "a@sub.letters.example", "-@letters.example", "a..b@letters.example"),
    ],
    "affiliation": [
        "МГУ",
        "",
        "-",
        'ООО "Рога"',
        "a@letters.example",
        "https://x.org",
        "'=1",
        "Back\\slash",
        "a\tb",
        "к" * 201,
    ],
    "city": ["Нижний Новгород", "", "  Москва ", "н/д", "A&amp;B", "\u202eabc", "q" * 300],
    "country": ["Россия", "", "de", "NO", "Narnia", "Germany, DE", "-"],
    "signed_at": [
        *("2022/03/05 10:00:07 AM GMT+3", "2022/03/05 10:00:59 PM GMT+3", "2022-03-05", "5.3.2022 14:23", "", "n/a"),
        *(
            "2026-06-01 12:00:31",
            "2026-06-01 12:00:29",
            "2027-01-01 00:00:00",
            "05.03.22 14:23:61",
            "31.02.2022 10:00:00",
        ),
        *(
            "0000-00-00 00:00:00",
            "44625.5",
            "Sat, 05 Mar 2022 14:23:11 +0300",
            "2022-03-05T14:23:11.123Z",
            "10:11:12 5.3.2022",
        ),
        *(
            "5 марта 2022 г., 14:23:11",
            "2022-03-05 14:23:11 (MSK)",
            "14:23:11",
            "2022-03-05 14:23:11:12",
            "2022-03-05 24:00:01",
        ),
    ],
    "visibility": ["да", "нет", "", "public", "organizers", "anonymous", "maybe", "out"],
    "": ["", "some remark", "with \0 in it", "Итого: 5", "&nbsp;"],
    "kind": ["person", "organization", "", "what"],
    "organization": ["", "Letters Inc"],
}
PLANS = [
    ("signed_at", "name", "email", "city", "country"),
    ("name", "email"),
    ("name",),
    ("last", "first", "", "email", "visibility", "signed_at"),
    ("", "name", "affiliation", "city", "country", "email", "visibility"),
    ("name", "city", "city", "email"),
    ("kind", "name", "email"),
    ("name", "organization", "email"),
    ("first", "email"),
]


def lines_of(columns: tuple[str, ...], chance: random.Random, odd: float) -> Iterator[Line]:
    yield 1, [name.capitalize() or "Remark" for name in columns]
    for line in range(2, 100):
        cells = [CELLS[name][0] if chance.random() > odd else chance.choice(CELLS[name]) for name in columns]
        if chance.random() < odd / 5:
            cells = cells[: chance.randrange(len(cells) + 1)] or ["", "", "", "", "", "", "", "x"]
        yield line, "a broken row" if chance.random() < 0.01 else cells


def read(plan: Plan, lines: list[Line], *, compared: bool, dry_run: bool, quick: bool) -> tuple[object, ...]:
    mapper = Mapper(plan, [DateOrder.DAY] * len(plan.columns), NOW, ("en", "ru"))
    names = NameComparison(KEYS, add=False) if compared else None
    reader = RowReader(TARGET, NOW, skip=True, names=names, dry_run=dry_run, keep=dry_run)
    rows = plain_rows.mapped(mapper, iter(lines), 1) if quick else mapper.rows(iter(lines))
    staged = list(reader.rows(rows))
    return staged, reader.read, reader.problems, reader.left_out, reader.notes.as_json()


@pytest.mark.parametrize("columns", PLANS)
@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_plain_row_is_what_the_careful_way_makes_of_it(
    columns: tuple[str, ...], visibility: Visibility, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(f"{SEED} {columns} {visibility}")
    monkeypatch.setattr(row_reading, "_random_ids", lambda: iter(range(10_000)))
    monkeypatch.setattr(LetterKeys, "encrypt", lambda _, content: content)  # without a nonce, so that both are equal
    plan = Plan(columns, visibility=visibility, header=1)
    for odd in (0.1, 0.6):
        lines = list(lines_of(columns, chance, odd))
        for dry_run, compared in ((True, True), (True, False), (False, True)):
            both = [read(plan, lines, compared=compared, dry_run=dry_run, quick=quick) for quick in (True, False)]
            assert both[0] == both[1]


@pytest.mark.parametrize("columns", PLANS[:5])
def test_most_rows_of_a_usual_list_are_plain(columns: tuple[str, ...]) -> None:
    mapper = Mapper(Plan(columns, visibility=Visibility.PUBLIC), [DateOrder.DAY] * len(columns), NOW, ("en", "ru"))
    rows = PlainRows(mapper, 1)
    assert rows.is_possible
    assert rows.row(2, [CELLS[name][0] for name in columns]) is not None


def test_blocks_of_a_file_are_what_its_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any bytes, cut anywhere: the cells and the numbers of lines are those of reading row by row."""
    chance = random.Random(SEED)
    pieces = ["a", "б", '"', '""', ",", ";", " ", "\n", "\r\n", "\r", "\\", "x,y", ' "', "\n\n", "\0", "\x85", "\x0b"]
    plain_weights = [9.0, 9.0, 0.4, 0.2, 9.0, 1.0, 3.0, 6.0, 3.0, 0.1, 1.0, 3.0, 0.2, 1.0, 0.1, 0.2, 0.2]
    monkeypatch.setattr(csv_blocks, "BLOCK", 37)
    contents = []
    for number in range(1500):
        weights = plain_weights if number % 2 else None
        text = "".join(chance.choices(pieces, weights, k=chance.randrange(90)))
        mark, end = ("\ufeff" if number % 10 == 0 else ""), (b"\xff\n,a" if number % 20 == 0 else b"")
        contents.append((mark + text).encode() + end)
    in_blocks = [list(csv_rows.rows(io.BytesIO(content))) for content in contents]
    monkeypatch.setattr(csv_rows, "plain_rows", lambda _block, _delimiter: None)
    assert in_blocks == [list(csv_rows.rows(io.BytesIO(content))) for content in contents]
