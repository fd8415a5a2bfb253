"""What is exported as CSV: no cell is a formula anywhere, and all of it comes back."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.formats import csv_rows
from petition.formats.cells import is_placeholder
from petition.signatures import countries, names
from petition.signatures.csv_format import Entry, Row
from petition.signatures.model import Kind, Visibility
from tests.exports.lines import csv_file
from tests.signatures.test_csv_format import rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def written(*entries: Entry) -> str:
    """Return an export."""
    return csv_file(entries)


def test_an_export() -> None:
    people = Entry(
        Kind.PERSON,
        Visibility.PUBLIC,
        name='Ann "A", Lee',
        email="ann@example.org",
        city="=1+1",
        country="RU",
        signed_at=datetime(2022, 3, 5, 12, tzinfo=timezone(timedelta(hours=3))),
    )
    sole = Entry(Kind.ORGANIZATION, Visibility.PUBLIC, name_en="Ромашка", city="-", affiliation="'@")
    assert written(people, sole) == (
        "kind,name,name_ru,email,affiliation,city,country,signed_at,visibility\r\n"
        'person,"Ann ""A"", Lee",,ann@example.org,,\'=1+1,RU,2022-03-05T09:00:00Z,public\r\n'
        "organization,,Ромашка,,''@,'-,,,public\r\n"
    )


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\ta", "\ra", "'=1", "''@", "'a", "''", "a=1", ""])
def test_no_cell_is_a_formula_and_none_is_changed(cell: str) -> None:
    (cells,) = csv.reader(io.StringIO(csv_rows.format_row([cell, "x"]), newline=""))
    assert not cells[0] or cells[0][0] not in "=+-@\t\r"
    assert csv_rows.unguard(cells[0]) == cell


SIGNS = "=+-@＝＋－＠﹢﹣﹦﹫"
IGNORED = " '\"\u00a0\u3000\u200b\ufeff\0\x1f"  # spreadsheets drop these in front, or take them for a beginning
CELLS = st.text("=+-@＝﹣;|\t\r\n\v\u2028'\", \u00a0abя1", max_size=14)


def has_formula(cell: str) -> bool:
    """Return whether a spreadsheet may run a cell: an apostrophe in front makes it a text, all else is dropped."""
    begin = cell.lstrip(IGNORED.replace("'", "") + "\t\r\n\v\f")
    return begin[:1] in tuple(SIGNS)


def split_by_excel(line: str, separator: str) -> list[str]:
    """Return the cells that a spreadsheet of another region makes of a file, quotes of any kind included."""
    lenient = csv.reader(io.StringIO(line, newline=""), delimiter=separator)
    plain = [cell for row in re.split(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", line) for cell in row.split(separator)]
    return [*(cell for row in lenient for cell in row), *plain]


@pytest.mark.parametrize(
    "cell",
    [
        "Ann;=1+2;x",
        "Анна;=HYPERLINK(A1)",
        'x;"=1+2"',
        "x;'=1+2",
        "a\n=1",
        "a| \u00a0@b",
        "a\t+1",
        "a;;;-2",
        'a\r\n"=1',
        "x;＝1",
    ],
)
def test_no_cell_is_a_formula_where_another_separator_splits_it(cell: str) -> None:
    line = csv_rows.format_row(["person", cell, "x", cell])
    for separator in ";\t|,":
        assert not [part for part in split_by_excel(line, separator) if has_formula(part)], separator
    assert csv_rows.unguard(csv_rows.guard(cell)) == cell
    text = io.StringIO(newline="")
    csv.writer(text).writerow(["person", cell, "x"])
    assert "'" in cell or any(
        has_formula(part) for separator in ";\t|" for part in split_by_excel(text.getvalue(), separator)
    )


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_no_row_has_a_formula_in_any_region_and_all_of_it_comes_back(cells: list[str]) -> None:
    line = csv_rows.format_row(cells)
    for separator in ";\t|,":
        assert not [part for part in split_by_excel(line, separator) if has_formula(part)], separator
    (row,) = csv.reader(io.StringIO(line, newline=""))
    assert [csv_rows.unguard(cell) for cell in row] == cells


@given(CELLS)
def test_a_guarded_cell_can_be_guarded_again(cell: str) -> None:
    """A cell that was typed with an apostrophe goes out and comes back as it is."""
    twice = csv_rows.guard(csv_rows.guard(cell))
    assert csv_rows.unguard(csv_rows.unguard(twice)) == cell


def test_hostile_cells_take_linear_time() -> None:
    for unit in ("\n", "; ", "'", ";'\" ", "\t"):
        cell = unit * 200_000  # of quadratic time, this would take minutes
        assert csv_rows.unguard(csv_rows.guard(cell + "=")) == cell + "="


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.text("=+-@'\", /abабя\u200c«»#;|", max_size=12)
PEOPLE = TEXTS.map(names.clean).filter(lambda name: names.problem_of_person(name) is None and not is_placeholder(name))
ORGANIZATIONS = TEXTS.map(names.clean).filter(
    lambda name: names.problem_of_organization(name) is None and not is_placeholder(name)
)
DETAILS = st.none() | TEXTS.map(names.clean).filter(
    lambda text: text and names.problem_of_detail(text) is None and not is_placeholder(text)
)
COMMON = {
    "email": st.none() | st.just("ann+x@example.org"),
    "affiliation": DETAILS,
    "city": DETAILS,
    "country": st.none() | st.sampled_from(sorted(countries.codes())),
    "signed_at": st.none() | st.datetimes(datetime(1000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
}
SHOWN = st.sampled_from([Visibility.PUBLIC, Visibility.ORGANIZERS])
ENTRIES = st.one_of(
    st.builds(Entry, st.just(Kind.PERSON), SHOWN, name=PEOPLE, **COMMON),
    st.builds(
        Entry,
        st.just(Kind.PERSON),
        st.just(Visibility.COUNTED),
        country=COMMON["country"],
        email=COMMON["email"],
        signed_at=COMMON["signed_at"],
    ),
    st.builds(
        Entry,
        st.just(Kind.ORGANIZATION),
        SHOWN,
        **COMMON,
        name_en=ORGANIZATIONS,
        name_ru=st.none() | ORGANIZATIONS,
    ),
    st.builds(Entry, st.just(Kind.ORGANIZATION), SHOWN, **COMMON, name_ru=ORGANIZATIONS),
)


def entries(text: str) -> Iterator[Entry]:
    """Yield what an export holds; nothing of it may be refused."""
    for result in rows(text):
        assert isinstance(result, Row), result
        yield result.entry


@given(st.lists(ENTRIES, max_size=4))
def test_what_is_exported_holds_no_formula_and_is_imported_and_exported_the_same(exported: list[Entry]) -> None:
    text = written(*exported)
    imported = list(entries(text))
    assert written(*imported) == text
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    for one, other in zip(exported, imported, strict=True):
        if one.kind is Kind.PERSON or (one.name_en and one.name_ru):
            assert other == one
