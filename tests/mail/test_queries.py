"""Every statement of mail fits the schema, and the hot ones use their indexes."""

import json

from petition.core.database import Connection
from petition.mail import queries


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
