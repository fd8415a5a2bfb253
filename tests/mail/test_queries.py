"""Every statement of mail fits the schema, and the hot ones use their indexes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from petition.core.database import Connection
from petition.core.ids import SignatureId
from petition.mail import queries
from petition.mail.model import MailboxNote
from tests.mail.installation import Installation, settings


def statements() -> dict[str, str]:
    """Return every SQL constant by name."""
    return {name: value for name, value in vars(queries).items() if name.isupper() and isinstance(value, str)}


async def test_every_statement_fits_the_schema(conn: Connection) -> None:
    assert len(statements()) > 10
    for statement in statements().values():
        await conn.prepare(statement)


async def test_a_mailboxs_signatures_are_found_by_index(conn: Connection) -> None:
    await conn.execute("SET enable_seqscan = off")
    plan = json.dumps(await (await conn.prepare(queries.SIGNATURES)).explain(1, b"digest"))
    assert "signature_one_per_mailbox" in plan
    assert "Filter" not in plan.replace("Index Cond", "") or "digest = " not in plan.split("Filter")[-1]


async def test_the_outbox_is_read_by_index(conn: Connection) -> None:
    await conn.execute("SET enable_seqscan = off")
    lease = queries.LEASE.replace("$1", "8").replace("$2", "1").replace("$3", "'5 min'").replace("$4", "2")
    plan = json.dumps(await conn.fetchval(f"EXPLAIN (FORMAT JSON) {lease}"))
    assert plan.count("outbox_priority") == 2


# As long as what visitors leave.
ADD_PENDING = """
INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang, network,
                     provider)
SELECT $1, n, 'person', substr(sha256(n::text::bytea), 1, 16), sha256('') || sha256('') || sha256('') || sha256(''),
       sha256('') || sha256(''), 1, 1, 'ru', 'ru', substr(sha256(n::text::bytea), 1, 16), $4
FROM generate_series($2::integer, $3) AS n
"""

UPDATES = """
SELECT sum(n_tup_upd)::integer, sum(n_tup_hot_upd)::integer FROM pg_stat_xact_user_tables WHERE relname LIKE 'pending%'
"""


async def test_a_note_reads_its_own_row_however_many_were_noted(conn: Connection, tmp_path: Path) -> None:
    letter = await Installation(conn, settings(tmp_path, "postgresql://localhost/none")).letter()
    await conn.execute(ADD_PENDING, letter.id, 501, 3000, "large")
    await conn.execute("ANALYZE pending")
    await conn.execute(ADD_PENDING, letter.id, 1, 500, None)  # mail that waits
    ids, nothing = list(range(1, 51)), [None] * 50
    notes = [letter.id] * 50, ids, nothing, nothing, ["large"] * 50, list[int](), list[bytes]()
    (plan,) = json.loads(await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.NOTE_MAILBOXES}", *notes))
    assert max(_pairs_compared(plan["Plan"])) < 3000
    assert await conn.fetchval("SELECT count(*) FROM pending WHERE provider IS NULL") == 450


async def test_a_note_writes_no_index(conn: Connection, tmp_path: Path) -> None:
    letter = await Installation(conn, settings(tmp_path, "postgresql://localhost/none")).letter()
    async with conn.transaction():
        await conn.execute(ADD_PENDING, letter.id, 1, 200, None)
        notes = [MailboxNote(letter.id, SignatureId(id), None, None, "large", []) for id in range(1, 201)]
        await queries.note_mailboxes(conn, notes)
        assert [tuple(row) for row in await conn.fetch(UPDATES)] == [(200, 200)]


def _pairs_compared(node: dict[str, Any]) -> Iterator[int]:
    yield node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from _pairs_compared(child)
