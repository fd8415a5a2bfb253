"""The log: append-only by the database's own word, and closed to whatever somebody typed."""

import pytest

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.ids import LetterId, OrganizerId


async def test_a_row_says_who_what_and_from_where_to_where(conn: Connection) -> None:
    await audit_log.record(
        conn,
        OrganizerId(1),
        LetterId(2),
        "signature.remove",
        ids=[3, 4],
        before="confirmed",
        after="removed",
        reason="fake",
    )
    row = await conn.fetchrow("SELECT organizer, letter, act, ids, before, after, reason FROM log")
    assert row is not None
    assert tuple(row) == (1, 2, "signature.remove", [3, 4], "confirmed", "removed", "fake")


@pytest.mark.parametrize("statement", ["UPDATE log SET act = 'xx'", "DELETE FROM log", "TRUNCATE log"])
async def test_nobody_changes_or_deletes_a_row(conn: Connection, statement: str) -> None:
    await audit_log.record(conn, None, None, "letter.open")
    with pytest.raises(Exception, match="append-only"):
        await conn.execute(statement)
    assert await conn.fetchval("SELECT count(*) FROM log") == 1


@pytest.mark.parametrize("typed", ["Vera Novak", "Вера", "vera@letters.example", "a b", "<b>", "line\nline"])
@pytest.mark.parametrize("column", ["act", "before", "after", "reason"])
async def test_it_takes_no_typed_text(conn: Connection, typed: str, column: str) -> None:
    given = {"act": "letter.open", "before": "", "after": "", "reason": "fake"} | {column: typed}
    act, before, after, reason = given.values()
    with pytest.raises(Exception, match="check constraint"):
        await audit_log.record(conn, None, None, act, before=before, after=after, reason=reason)


async def test_it_outlives_what_it_tells_of(conn: Connection) -> None:
    letter = await conn.fetchval("INSERT INTO letter (slug, rules_version) VALUES ('gone', 1) RETURNING id")
    await audit_log.record(conn, None, letter, "letter.open")
    await conn.execute("DELETE FROM letter")
    assert await conn.fetchval("SELECT count(*) FROM log") == 1
