"""No statement returns or changes another letter's rows, on plain tables and on partitioned ones."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

import petition
from petition.core import partitions, resources
from petition.core.database import connect
from tests.conftest import fresh_database
from tests.test_queries import PREPARED, STATEMENTS

if TYPE_CHECKING:
    from tests.conftest import Conn

SOURCES = (Path(petition.__file__).parent, resources.folder("migrations"))
# Row addresses compared with something: they repeat between the partitions of a table.
COMPARED = re.compile(r"(?:\w+\.)?\bctid\s*(?:=|<|>|IN\b)|(?:=|<|>)\s*(?:\w+\.)?ctid\b", re.IGNORECASE)
# Statements about the layout, and about the server and its log at this moment.
OF_THE_SERVER = ("petition.core.partitions.", "petition.core.replicas.", "petition.cli.check_pooler.")
OF_ONE_LETTER = re.compile(r"\bletter = \$\d+\s+AND\s+$")


def without_letter(text: str) -> list[str]:
    """Return each comparison of row addresses before which no letter stands."""
    return [
        found[0]
        for found in COMPARED.finditer(text)
        if not OF_ONE_LETTER.search(text, max(0, found.start() - 60), found.start())
    ]


@pytest.mark.parametrize(
    ("text", "is_bound"),
    [
        ("DELETE FROM note WHERE ctid = ANY (ARRAY(SELECT ctid FROM note WHERE letter = $1))", False),
        ("DELETE FROM note WHERE letter = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM note WHERE letter = $1))", True),
        ("FROM best JOIN signature s ON s.ctid = best.place", False),
        ("FROM best JOIN signature s ON best.place = s.ctid AND s.letter = $1", False),
        ("FROM best JOIN signature s ON s.letter = $1 AND s.ctid = best.place", True),
        ("UPDATE note SET at = now() WHERE ctid IN (SELECT ctid FROM note WHERE letter = $1)", False),
    ],
)
def test_what_counts_as_bound(text: str, is_bound: bool) -> None:
    assert (without_letter(text) == []) is is_bound


def test_no_row_address_without_its_letter() -> None:
    files = [file for folder in SOURCES for suffix in ("*.py", "*.sql") for file in folder.rglob(suffix)]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    assert sum(bool(COMPARED.search(text)) for text in texts.values()) >= 2, "the expression finds none"
    assert {name: found for name, text in texts.items() if (found := without_letter(text))} == {}


SEED = Path(__file__).with_name("three_letters.sql")
OWN, NUMBER = 1, 3  # the letter that statements are about; partitions
BOUND = re.compile(r"\bletter = (?:\$\d|ANY ?\(\$\d)")
OF_ANOTHER = re.compile(r"\bof [23]\b")
# Times of the seed stand still; what a statement writes by the clock is another moment in each database.
CLOCK = re.compile(r"(?!2026-01-0)\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00(?::00)?)?")
LONG = 1_000_000  # seconds
# Numbers of transactions.
BY_TRANSACTION = ["added_in", "taken"]

VALUES: dict[str, Any] = {
    "int2": 1, "int4": 1, "int8": 1, "float8": 1.0, "float4": 1.0, "numeric": 1, "bool": True, "bytea": b"\1",
    "jsonb": {}, "date": date(2030, 1, 1), "timestamptz": datetime(2030, 1, 1, tzinfo=UTC), "interval": timedelta(),
    "kind": "person", "signature_state": "confirmed", "visibility": "public", "letter_state": "open",
    "desk_role": "owner", "party_role": "initiator",
}  # fmt: skip

# Rows changed by this session and not reported yet, by table; partitions count as their table.
CHANGES = """
SELECT coalesce(parent.relname, s.relname)::text AS name, sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del) AS changes
FROM pg_stat_xact_user_tables s
LEFT JOIN pg_inherits i ON i.inhrelid = s.relid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
GROUP BY 1 HAVING sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del) > 0
"""
WITH_LETTER = """
SELECT DISTINCT table_name::text FROM information_schema.columns
WHERE table_schema = 'public' AND column_name = 'letter' AND left(table_name, 10) <> 'published_'
"""


@dataclass(frozen=True)
class Outcome:
    """What a statement did: the rows it returned or the class of its error, and the tables it changed."""

    rows: Counter[str]
    error: str
    tables: dict[str, Counter[str]]


@dataclass
class Layouts:
    """The same three letters in plain tables and in partitions, and the rows of the two that must stay."""

    plain: "Conn"
    divided: "Conn"
    others: dict[str, Counter[str]]


async def rows_in(conn: "Conn", table: str) -> list[tuple[int | None, str]]:
    """Return every row of a table: its letter if it has one, and the row as text."""
    query = f"SELECT to_jsonb(t) ->> $1, (to_jsonb(t) - $2::text[])::text FROM {table} t"
    rows = await conn.fetch(query, "id" if table == "letter" else "letter", BY_TRANSACTION)
    return [(int(row[0]) if row[0] else None, CLOCK.sub("now", row[1])) for row in rows]


async def of_others(conn: "Conn", table: str) -> Counter[str]:
    return Counter(line for letter, line in await rows_in(conn, table) if letter not in {None, OWN})


@pytest.fixture(scope="module")
async def both(cluster: str, admin: "Conn", template: str) -> AsyncIterator[Layouts]:
    """Give connections to both layouts, filled alike; nothing is committed to them afterwards."""
    async with fresh_database(cluster, admin, template) as plain, fresh_database(cluster, admin, template) as divided:
        await partitions.divide(divided, NUMBER)
        connections = [await connect(url) for url in (plain, divided)]
        for conn in connections:
            await conn.execute(SEED.read_text(encoding="utf-8"))
            await conn.execute("ANALYZE")
        tables = [row[0] for row in await connections[0].fetch(WITH_LETTER)] + ["letter"]
        others = {table: await of_others(connections[0], table) for table in tables}
        yield Layouts(connections[0], connections[1], others)
        for conn in connections:
            await conn.close()


def value_of(kind: str, number: int, statement: str) -> Any:
    """Return a made-up argument: ids and letters are 1, limits are large, texts are words that the names have."""
    if re.search(rf"LIMIT \${number}\b", statement):
        return 1000
    if kind.endswith("[]"):
        return [value_of(kind[:-2], number, statement)]
    if kind in {"text", "name", "varchar"}:
        if "name_words(" in statement:
            return "'1:anna'"
        return "anna" if "tsquery" in statement or "word" in statement else "letter-1" if "slug" in statement else "en"
    return VALUES.get(kind)


def arguments(parameters: Sequence[asyncpg.Type], statement: str) -> list[Any]:
    return [value_of(parameter.name, i, statement) for i, parameter in enumerate(parameters, 1)]


async def changes(conn: "Conn") -> dict[str, int]:
    return {row["name"]: row["changes"] for row in await conn.fetch(CHANGES)}


async def outcome(conn: "Conn", statement: str) -> Outcome:
    """Carry a statement out and roll it back."""
    rows: Counter[str] = Counter()
    error, tables = "", {}
    transaction = conn.transaction()
    await transaction.start()
    before = await changes(conn)
    try:
        prepared = await conn.prepare(statement)
        records = await prepared.fetch(*arguments(prepared.get_parameters(), statement), timeout=60)
        rows = Counter(CLOCK.sub("now", repr(tuple(map(plainly, record.values())))) for record in records)
        await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name, number in (await changes(conn)).items():
            if number != before.get(name):
                tables[name] = Counter(line for _, line in await rows_in(conn, name))
    except (asyncpg.PostgresError, asyncpg.DataError) as failure:
        error = type(failure).__name__
    finally:
        await transaction.rollback()
    return Outcome(rows, error, tables)


def plainly(value: object) -> object:
    """Return a value with times as text, as ``CLOCK`` reads them, and without the seconds since then."""
    if isinstance(value, float | Decimal):
        return "long" if abs(float(value)) > LONG else value
    return value.isoformat(" ") if isinstance(value, datetime) else value


def faults_of(statement: str, plain: Outcome, divided: Outcome, others: dict[str, Counter[str]]) -> list[str]:
    """Return what is wrong with a statement."""
    faults = []
    if plain != divided:
        faults.append(f"the layouts differ: {plain} and {divided}"[:600])
    if BOUND.search(statement):
        if any(OF_ANOTHER.search(row) for row in divided.rows):
            faults.append(f"returns rows of others: {list(divided.rows)}"[:600])
        for table, lines in divided.tables.items():
            if others.get(table, Counter()) - lines:
                faults.append(f"changes others' rows in {table}")
    return faults


async def test_no_statement_returns_or_changes_what_is_another_letters(both: Layouts) -> None:
    faults: dict[str, list[str]] = {}
    done = changing = returning = 0
    for place, statement in STATEMENTS.items():
        if not PREPARED.match(statement) or place.startswith(OF_THE_SERVER):
            continue
        plain, divided = await outcome(both.plain, statement), await outcome(both.divided, statement)
        if wrong := faults_of(statement, plain, divided, both.others):
            faults[place] = wrong
        done += not plain.error
        changing += bool(plain.tables)
        returning += bool(plain.rows)
    assert not faults, "\n".join(f"{place}: {wrong}" for place, wrong in faults.items())
    assert (done > 800, changing > 140, returning > 300) == (True, True, True), (done, changing, returning)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM signature WHERE ctid = ANY (ARRAY(SELECT ctid FROM signature WHERE letter = $1 AND id = 1))",
        "SELECT name FROM (SELECT ctid AS at FROM signature WHERE letter = $1) b JOIN signature s ON s.ctid = b.at",
        "UPDATE contact c SET sealed = 'x' FROM signature s WHERE s.letter = $1 AND c.signature = s.id",
    ],
)
async def test_faults_of_this_kind_are_found(both: Layouts, statement: str) -> None:
    plain, divided = await outcome(both.plain, statement), await outcome(both.divided, statement)
    assert faults_of(statement, plain, divided, both.others)
