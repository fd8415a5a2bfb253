"""A log that is served, after signatures, and after an installation has rewritten it: what a witness has to notice."""

import asyncio
from collections.abc import Sequence

from petition.core import signing_key
from petition.count_log import merkle, sequencing, tiles, witnesses
from petition.count_log.checkpoints import Checkpoint
from tests.count_log.conftest import LogBench
from tests.count_log.partner import Partner
from tests.count_log.recounting import WRAPPER
from tests.count_log.test_public_pages import take
from tests.running import SLUG, Installation

BUNDLE = "SELECT entries FROM count_log_bundle WHERE letter = $1 ORDER BY number"
REWRITE = """
WITH bundle AS (
  INSERT INTO count_log_bundle (letter, number, entries) VALUES ($1, 0, $2)
  ON CONFLICT (letter, number) DO UPDATE SET entries = excluded.entries
)
UPDATE count_log SET size = $3, edge = $4, checkpoint = $5 WHERE letter = $1
"""


async def sign(site: Installation, logged: LogBench, number: int) -> None:
    """Have so many more sign, all of whom the log has, and readers see."""
    await logged.sign(*["Vera"] * number)
    await take(site, logged)
    await until_shown(site, logged)


async def until_shown(site: Installation, logged: LogBench) -> None:
    """Wait until the web shows the count that the database has."""
    (row,) = await logged.rows("SELECT people FROM count WHERE letter = $1")
    while (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["counts"]["people"] != row["people"]:
        await asyncio.sleep(0.05)


async def entries_of(logged: LogBench) -> list[bytes]:
    return [entry for row in await logged.rows(BUNDLE) for entry in tiles.split_entries(row["entries"])]


async def rewrite(site: Installation, logged: LogBench, entries: Sequence[bytes], name: str = "") -> None:
    """Do what an installation can that lies: serve and sign a log of other entries, fewer than 256."""
    edge = merkle.RightEdge()
    for entry in entries:
        edge.append(merkle.leaf_hash(entry))
    origin = name or sequencing.origin_of(site.base, SLUG)
    async with site.database.connection() as conn:
        signer = await signing_key.signer(conn, WRAPPER, origin)
    note = signer.sign(str(Checkpoint(origin, edge.size, edge.root)))
    await logged.change(REWRITE, tiles.join_entries(entries), edge.size, b"".join(edge.hashes), note)


async def register(logged: LogBench, partner: Partner) -> None:
    async with logged.database.transaction() as conn:
        await witnesses.add(conn, None, logged.letter.id, "Harbour Watch", str(partner.witness_key))
