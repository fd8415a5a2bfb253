"""Files that people bring: rows of CSV, whole lists, workbooks in their process, forms with files, letter.toml."""

import contextlib
import io
import zipfile
from datetime import UTC, datetime

import xlsxwriter
from hypothesis import strategies as st

from petition.core.errors import ImportRefused, PetitionError
from petition.drafts import letter_toml
from petition.formats import csv_rows, tables, xlsx_reader
from petition.formats.encodings import detect
from petition.signatures import csv_format
from petition.web import multipart
from tests.fuzz.running import BYTES, ROUGH, TEXT, fuzz, lines_of, rounds

NOW = datetime(2026, 11, 30, tzinfo=UTC)
COLUMNS = ("kind", "name", "name_ru", "email", "affiliation", "city", "country", "signed_at", "visibility")
HEADER = ",".join(COLUMNS) + "\r\n"
CELLS = lines_of(
    "person", "organization", "counted", "public", ",", '"', '""', "\r\n", "\n", "//", "=1+2", "2022-03-05", "RU"
)


@fuzz(st.lists(TEXT, min_size=1, max_size=6).filter(lambda cells: cells[0][:1] != "\ufeff"), examples=200)  # no mark
def test_a_row_that_was_written_is_read_again(cells: list[str]) -> None:
    line = csv_rows.format_row(cells)
    (row,) = csv_rows.rows(io.BytesIO(line.encode()))
    assert [csv_rows.unguard(cell) for cell in row[1]] == cells


@fuzz(TEXT)
def test_a_guard_is_there_once_and_can_be_taken_off(cell: str) -> None:
    assert csv_rows.unguard(csv_rows.guard(cell)) == cell


@fuzz(CELLS | ROUGH, st.sampled_from([",", ";", "\t", "|"]), st.booleans(), examples=200)
def test_any_list_is_rows_or_reasons(text: str, delimiter: str, has_header: bool) -> None:
    data = ((HEADER if has_header else "") + text).encode("utf-8", "surrogatepass")
    lines = [number for number, _ in csv_rows.rows(io.BytesIO(data), delimiter)]
    assert lines == sorted(lines)
    assert len(lines) <= len(data) + 1
    try:
        rows = list(csv_format.read(io.BytesIO(data), NOW))
    except ImportRefused:
        return
    assert len(rows) <= len(data) + 1


@fuzz(BYTES, examples=200)
def test_any_bytes_have_a_format_an_encoding_and_a_delimiter(data: bytes) -> None:
    try:
        encoding = detect([data])
    except ImportRefused:
        return
    data.decode(encoding, "replace")
    assert tables.detect_delimiter(lambda: iter([data]), encoding) in set(",;\t|")


TOML = lines_of(
    *(
        'slug = "letter"\n',
        "goal = 5000\n",
        "goals = [1, 2]\n",
        "[[initiators]]\n",
        "[[addressees]]\n",
        'name.en = "A"\n',
    ),
    *(
        "opened_at = 2022-03-05\n",
        "closes_at = 2022-03-05T10:00:00Z\n",
        'url = "https://a.example"\n',
        "= ",
        "[",
        '"""',
        "'''",
    ),
)


@fuzz(TOML, examples=200)
def test_a_letters_settings_are_read_or_refused_and_written_the_same(text: str) -> None:
    settings, problems = letter_toml.loads('slug = "keep-it"\n' + text, ("en", "ru"))
    assert (settings is None) == bool(problems)
    if settings is not None:
        written = letter_toml.dumps(settings)
        assert letter_toml.loads(written, ("en", "ru")) == (settings, [])
        assert letter_toml.dumps(settings) == written


FORM = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n'


@fuzz(BYTES, st.integers(0, len(FORM)), st.integers(0, len(FORM)), examples=200)
def test_any_body_is_a_form_or_none(noise: bytes, start: int, end: int) -> None:
    for body in (FORM[:start] + noise + FORM[end:], noise):
        try:
            form = multipart.parse("multipart/form-data; boundary=b", body)
        except multipart.BadForm:
            continue
        assert sum(map(len, form.fields.values())) <= len(body)
    assert multipart.parse("multipart/form-data; boundary=b", FORM).fields == {"a": "x"}


@fuzz(TEXT)
def test_any_content_type_is_one_or_none(text: str) -> None:
    for content_type in (text, f"multipart/form-data; boundary={text}"):
        with contextlib.suppress(multipart.BadForm):
            multipart.parse(content_type, FORM)


def workbook() -> bytes:
    """Return a small workbook as another program writes it."""
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet("List")
        for number, column in enumerate(COLUMNS):
            sheet.write(0, number, column)
            sheet.write(1, number, "Anna")
    return target.getvalue()


WORKBOOK = workbook()


def with_member(name: str, at: int, noise: bytes) -> bytes:
    """Return the workbook with ``noise`` over a part of one of its members."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as source, zipfile.ZipFile(target, "w") as copy:
        for entry in source.namelist():
            content = source.read(entry)
            at_entry = at % (len(content) + 1)
            copy.writestr(
                entry, content[:at_entry] + noise + content[at_entry + len(noise) :] if entry == name else content
            )
    return target.getvalue()


def test_any_workbook_is_rows_or_one_reason() -> None:
    """Each is read in a process of its own, so few of them in a short run."""
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as archive:
        names = archive.namelist()

    def check(name: str, at: int, noise: bytes, is_whole: bool) -> None:
        data = with_member(name, at, noise) if is_whole else WORKBOOK[: at % len(WORKBOOK)] + noise
        try:
            rows = list(xlsx_reader.rows(io.BytesIO(data)))
        except PetitionError:
            return
        assert all(isinstance(cells, list | str) for _, cells in rows)

    strategies = (st.sampled_from(names), st.integers(0, 4000), st.binary(max_size=40), st.integers(0, 3).map(bool))
    rounds(check, *strategies, examples=12)
