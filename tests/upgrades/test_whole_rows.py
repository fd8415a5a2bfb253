"""A new column does not change what statements return that sign, confirm and count: a prepared one would fail."""

from typing import TYPE_CHECKING

from tests.test_queries import PREPARED, STATEMENTS

if TYPE_CHECKING:
    from tests.conftest import Conn

HOT = (
    "petition.signatures.queries",
    "petition.signatures.counting",
    "petition.signatures.signing",
    "petition.signatures.confirming",
    "petition.core.quotas",
)
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


async def columns(conn: "Conn", hot: dict[str, str]) -> dict[str, list[str]]:
    return {
        place: [column.name for column in (await conn.prepare(text)).get_attributes()] for place, text in hot.items()
    }


async def test_a_new_column_changes_no_result(conn: "Conn") -> None:
    hot = {place: text for place, text in STATEMENTS.items() if place.startswith(HOT) and PREPARED.match(text)}
    assert len(hot) >= 8
    before = await columns(conn, hot)
    for row in await conn.fetch(TABLES):
        await conn.execute(f"ALTER TABLE {row[0]} ADD COLUMN of_the_next_release integer")
    after = await columns(conn, hot)
    assert [place for place in hot if before[place] != after[place]] == []
    (found,) = (await columns(conn, {"all": "SELECT * FROM count"})).values()
    assert "of_the_next_release" in found
