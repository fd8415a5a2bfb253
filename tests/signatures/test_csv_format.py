"""Signatories as CSV: read with every problem named, written so that it can be read again."""

import io
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.errors import ImportRefused
from petition.formats import csv_rows
from petition.signatures import csv_format, names
from petition.signatures.csv_format import COLUMNS, CellNote, Entry, Problem, Row, read
from petition.signatures.model import Kind, Visibility

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEADER = ",".join(COLUMNS) + "\n"


def rows(text: str | bytes) -> list[Row | Problem]:
    """Return everything that reading yields."""
    return list(read(text.encode() if isinstance(text, str) else text, NOW))


def entry(cells: str) -> Entry:
    """Return the entry of the one row under the full header."""
    (row,) = rows(HEADER + cells + "\n")
    assert isinstance(row, Row), row
    assert row.line == 2
    return row.entry


def problem(cells: str) -> tuple[str, str]:
    """Return what is wrong with the one row under the full header."""
    (row,) = rows(HEADER + cells + "\n")
    assert isinstance(row, Problem), row
    assert row.line == 2
    return row.column, row.reason


def test_a_person() -> None:
    cells = "person,Ann Lee,,Ann@Example.org,IT.Partners,Москва,РФ,2022-03-05T12:00:00+03:00,public"
    assert entry(cells) == Entry(
        Kind.PERSON,
        Visibility.PUBLIC,
        name="Ann Lee",
        email="Ann@example.org",
        affiliation="IT.Partners",
        city="Москва",
        country="RU",
        signed_at=datetime(2022, 3, 5, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("cells", "english", "russian"),
    [
        ("Access Now,", "Access Now", None),
        (",Ромашка", None, "Ромашка"),
        ("Daisy,Ромашка", "Daisy", "Ромашка"),
        ("Ромашка,", None, "Ромашка"),
        ("Ромашка // Daisy,", "Daisy", "Ромашка"),
        (",Daisy // Ромашка", "Daisy", "Ромашка"),
        ("A // Б,В", "A // Б", "В"),
        ("a/b,", "a/b", None),
        ('ООО "Ромашка,', None, 'ООО "Ромашка'),
        ('"ООО ""Ромашка""",', None, 'ООО "Ромашка"'),
        ('"""Ромашка",', None, '"Ромашка'),
        ("Ромашка»),", None, "Ромашка»)"),
        ("ИП Иванов И.И.,", None, "ИП Иванов И.И."),
        ("я" * 200 + " // " + "a" * 200 + ",", "a" * 200, "я" * 200),
    ],
)
def test_organizations(cells: str, english: str | None, russian: str | None) -> None:
    signatory = entry(f"organization,{cells}")
    assert signatory == Entry(Kind.ORGANIZATION, Visibility.PUBLIC, name_en=english, name_ru=russian)


def test_nobody_asked_these_people() -> None:
    assert entry("person,Ann").visibility is Visibility.ORGANIZERS
    assert entry("organization,Daisy").visibility is Visibility.PUBLIC
    assert entry("organization,Daisy,,,,,,,organizers").visibility is Visibility.ORGANIZERS


def test_of_who_is_only_counted_nothing_is_kept() -> None:
    signatory = entry("person,Ann,,ann@example.org,Fund,Rome,Italy,2022-03-05,counted")
    moment = datetime(2022, 3, 5, tzinfo=UTC)
    assert signatory == Entry(
        Kind.PERSON, Visibility.COUNTED, email="ann@example.org", country="IT", signed_at=moment
    )  # fmt: skip
    assert entry("person,,,,,,,,counted") == Entry(Kind.PERSON, Visibility.COUNTED)


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        (",Ann", "kind", csv_format.MISSING),
        ("robot,Ann", "kind", csv_format.NO_KIND),
        ("person", "name", csv_format.MISSING),
        ("person, \u200b", "name", csv_format.MISSING),
        ("person,ann@example.org", "name", names.ADDRESS),
        ("person,12", "name", names.NO_LETTERS),
        ("person,Ann\x07", "name", names.HIDDEN),
        ("person,Ann,Анна", "name_ru", csv_format.FOR_ORGANIZATIONS),
        ("organization", "name", csv_format.MISSING),
        ("organization,https://x", "name", names.LINK),
        ("organization,Daisy,a@b.org", "name_ru", names.ADDRESS),
        ("organization,A // Б,В" + "в" * 200, "name_ru", names.TOO_LONG),
        ("organization," + "a" * 201, "name", names.TOO_LONG),
        ("organization,Daisy,,,,,,,counted", "visibility", csv_format.COUNTED_ORGANIZATION),
        ("person,Ann,,,,,,,everyone", "visibility", csv_format.NO_VISIBILITY),
        ("person,Ann,,,,,,,affiliation", "visibility", csv_format.NO_VISIBILITY),  # a list proves no employer
        ("person,-", "name", csv_format.NOT_A_NAME),
        ("person,NULL", "name", csv_format.NOT_A_NAME),
        ("organization,n/a", "name", csv_format.NOT_A_NAME),
        ("person,Ann,,,,,,,,more", "", csv_format.TOO_MANY_CELLS),
        ("person,Ann\0", "", csv_format.NULL),
        ('person,"Ann', "", csv_rows.BAD_QUOTES),
        ('person,"Ann"a', "", csv_rows.BAD_QUOTES),
        ("person," + "a" * 50_000, "", csv_rows.TOO_LONG),
        ("person," + "я" * 21_000, "", csv_rows.TOO_LONG),
    ],
)
def test_every_problem_has_its_reason(cells: str, column: str, reason: str) -> None:
    assert problem(cells) == (column, reason)


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ("person,Ann,,ann", "email", csv_format.NO_ADDRESS),
        ("person,Ann,,ann@@example.org", "email", csv_format.NO_ADDRESS),
        ("person,Ann,,,www.x", "affiliation", names.LINK),
        ("person,Ann,,,,www.x", "city", names.LINK),
        ("person,Ann,,," + "a" * 201, "affiliation", names.TOO_LONG),
        ("person,Ann,,,,,Atlantis", "country", csv_format.NO_COUNTRY),
        ("person,Ann,,,,,,yesterday", "signed_at", csv_format.NO_TIME),
        ("person,Ann,,,,,,2022-02-30", "signed_at", csv_format.NO_TIME),
        ("person,Ann,,,,,,0001-01-01T00:00+14:00", "signed_at", csv_format.NO_TIME),
        ("person,Ann,,,,,,2026-11-22", "signed_at", csv_format.FUTURE),
        ("person,Ann,,,,,,2026-11-21T12:00:01Z", "signed_at", csv_format.FUTURE),
    ],
)
def test_what_is_optional_and_cannot_be_read_is_left_out(cells: str, column: str, reason: str) -> None:
    (row,) = rows(HEADER + cells + "\n")
    assert isinstance(row, Row)
    assert row.entry == Entry(Kind.PERSON, Visibility.ORGANIZERS, name="Ann")
    assert row.notes == (CellNote(column, reason),)


@pytest.mark.parametrize("cell", ["-", "—", ".", "нет", "n/a", "NULL", "None", "#N/A", "не указано", "(пусто)", "NaN"])
def test_placeholders_are_empty(cell: str) -> None:
    (row,) = rows(HEADER + f"person,Ann,,{cell},{cell},{cell},{cell},{cell}\n")
    assert row == Row(2, Entry(Kind.PERSON, Visibility.ORGANIZERS, name="Ann"))


def test_codes_that_look_like_placeholders_are_countries() -> None:
    assert [entry(f"person,Ann,,,,,{code}").country for code in ("NA", "NO")] == ["NA", "NO"]


@pytest.mark.parametrize(
    ("cell", "address", "is_noted"),
    [
        ("Ann Lee <ann@example.org>", "ann@example.org", False),
        ("mailto:ann@example.org?subject=x", "ann@example.org", False),
        ("ann@example.org.", "ann@example.org", False),
        ("\u2068ann@example.org\u2069", "ann@example.org", False),
        ("ann@example.org; lee@example.org", "ann@example.org", True),
        ("ann @ example", None, True),
    ],
)
def test_addresses_among_other_text(cell: str, address: str | None, is_noted: bool) -> None:
    (row,) = rows(HEADER + f"person,Ann,,{cell}\n")
    assert isinstance(row, Row)
    assert (row.entry.email, bool(row.notes)) == (address, is_noted)


def test_what_programs_make_of_cells() -> None:
    cells = 'person,O&#039;Brien &amp; Co,,,"=""0123""",\u200eRiga\u200f,,'
    read_entry = entry(cells)
    assert (read_entry.name, read_entry.affiliation, read_entry.city) == ("O'Brien & Co", "0123", "Riga")
    assert entry("person,AT&T; Ann &copy Lee").name == "AT&T; Ann &copy Lee"


def test_what_is_said_of_a_problem() -> None:
    assert str(Problem(7, csv_format.NO_KIND, "kind")) == "line 7: kind: This must be person or organization."
    assert str(Problem(7, csv_format.NULL)) == "line 7: This row contains a null character."


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    text = (
        "\ufeffkind,name,city\r\n"
        "person,Ann,Rome\r\n"
        "\r\n"
        ",,\r\n"
        'person,"Bob\r\nLee",Rome\r\n'
        "robot,Eve,Rome\r\n"
        'person,"Dan,Rome\r\n'
        "person,Zoe,Rome\r\n"
        f"person,{'x' * 90_000},Rome\r\n"
        "person,Max,Rome"
    )
    results = rows(text)
    assert [(type(result).__name__, result.line) for result in results] == [
        ("Row", 2), ("Row", 5), ("Problem", 7), ("Problem", 8), ("Row", 9), ("Problem", 10), ("Row", 11),
    ]  # fmt: skip
    assert [result.entry.name for result in results if isinstance(result, Row)] == ["Ann", "Bob Lee", "Zoe", "Max"]


def test_bytes_that_are_no_utf8_are_found_in_their_row() -> None:
    results = rows(b"kind,name\nperson,Ann\nperson,\xc0\xed\xed\xe0\nperson,Bob\n")
    assert [result.line for result in results if isinstance(result, Row)] == [2, 4]
    assert results[1] == Problem(3, csv_format.NOT_UTF8, "name")


def test_bad_bytes_in_an_optional_cell_cost_only_the_cell() -> None:
    (row,) = rows(b"kind,name,city\nperson,Ann,\xc0\xed\n")
    assert row == Row(
        2, Entry(Kind.PERSON, Visibility.ORGANIZERS, name="Ann"), (CellNote("city", csv_format.NOT_UTF8),)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "empty"),
        (b"kind,name,surname\n", "no column 'surname'"),
        (b"kind,name,name\n", "name appears twice"),
        (b"name,email\n", "column kind is missing"),
        (b"\n", "column kind is missing"),
        (b"kind;name\n", "separated by commas"),
        (b"kind\tname\n", "separated by commas"),
        (b'"kind,name\n', "header cannot be read"),
        ("kind,name\n".encode("utf-16"), "no column"),
        (b"\xff\xff,kind\n", "no column"),
    ],
)
def test_a_header_that_is_not_ours(text: bytes, problem: str) -> None:
    with pytest.raises(ImportRefused, match=problem):
        rows(text)


def test_headers_are_read_kindly() -> None:
    (row,) = rows(" Name ,KIND,,\nAnn,Person,,\n")
    assert isinstance(row, Row)
    assert row.entry.name == "Ann"


def test_countries_in_a_third_language() -> None:
    text = (HEADER + "person,Ann,,,,,Österreich\n").encode()
    (row,) = read(text, NOW, ("en", "ru", "de"))
    assert isinstance(row, Row)
    assert row.entry.country == "AT"


class Endless(io.RawIOBase):
    """Rows that are made as they are asked for."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.header = HEADER.encode()

    def read(self, _size: int | None = -1, /) -> bytes:
        """Return the next piece, a line."""
        self.left -= 1
        chunk, self.header = self.header or b"person,Ann Lee,,," + b"Fund" * 45 + b",Rome,,,\n", b""
        return chunk if self.left >= 0 else b""


def test_the_file_is_not_held_whole() -> None:
    assert sum(isinstance(result, Row) for result in read(Endless(11), NOW)) == 10  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        count = sum(isinstance(result, Row) for result in read(Endless(3_001), NOW))  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 3_000
    assert peak < 300_000  # all of it would be twice that at the least


def test_an_unclosed_quote_does_not_swallow_the_file() -> None:
    results = rows('kind,name\nperson,"Ann\n' + "person,Bob\n" * 6_000)
    assert results[0] == Problem(2, csv_rows.TOO_LONG)
    assert [result.line for result in results[1:]] == list(range(3, 6_003))


@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(str.encode)
    | st.text("pers,on\"\n\r'", max_size=80).map(str.encode)
)
def test_any_bytes_are_rows_or_problems_in_order(content: bytes) -> None:
    results = rows(HEADER.encode() + b"person,Ann\n" + content)
    assert results[0] == Row(2, Entry(Kind.PERSON, Visibility.ORGANIZERS, name="Ann"))
    numbers = [result.line for result in results]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= 3 + content.count(b"\n") + content.count(b"\r")


LINES = st.lists(st.text("ab", min_size=1, max_size=300), min_size=1, max_size=300)


@given(LINES, st.sampled_from(["\r", "\n", "\r\n"]), st.booleans())
def test_lines_end_in_any_way(lines: list[str], end: str, ended: bool) -> None:
    content = end.join(lines) + (end if ended else "")
    assert list(csv_rows.rows(io.BytesIO(content.encode()))) == [(n, [x]) for n, x in enumerate(lines, 1)]


def test_a_file_of_an_old_mac_is_not_held_whole() -> None:
    content = b"Ann Ek,Ufa\r" * 200_000
    tracemalloc.start()
    number = sum(1 for _ in csv_rows.rows(io.BytesIO(content)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 200_000
    assert peak < 2_000_000
