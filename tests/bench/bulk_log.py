"""The count log of a letter with very many rows, written as the worker would have, in one go."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from petition.core import signing_key
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import merkle, queries, receipts, sequencing, tiles
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import EntryKind, LogEntry
from tests.running import KEY, SLUG

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

LONG, BASE_URL = 3600.0, "https://letters.example"
PREFETCH = 100 * tiles.WIDTH
IDS = "SELECT id FROM signature WHERE letter = $1"
COLUMNS = ("letter", "number", "entries", "prefixes")


async def fill(reading: "Conn", writing: "Conn", letter_id: LetterId, receipt_key: bytes) -> None:
    """Write a log in which each signature of the letter is an entry, with its checkpoint."""
    wrapper, edge, levels = Wrapper([KEY]), merkle.RightEdge(), defaultdict[int, list[bytes]](list)
    await writing.execute(queries.ADD_LOG, letter_id, wrapper.wrap(receipt_key))

    async def bundles() -> AsyncIterator[tuple[Any, ...]]:
        async with reading.transaction():
            bundle: list[bytes] = []
            async for row in reading.cursor(IDS, letter_id, prefetch=PREFETCH, timeout=LONG):
                bundle.append(_append(edge, levels, receipts.token_for(receipt_key, EntryKind.PERSON, row["id"])))
                if len(bundle) == tiles.WIDTH:
                    prefixes = [sequencing.prefix_of(entry[2:]) for entry in bundle]
                    yield letter_id, (edge.size - 1) // tiles.WIDTH, tiles.join_entries(bundle), prefixes
                    bundle = []
            if bundle:
                yield letter_id, edge.size // tiles.WIDTH, tiles.join_entries(bundle), None

    await writing.copy_records_to_table("count_log_bundle", records=bundles(), columns=COLUMNS, timeout=LONG)
    nodes = (
        (letter_id, level, at // tiles.WIDTH, b"".join(hashes[at : at + tiles.WIDTH]))
        for level, hashes in levels.items()
        for at in range(0, len(hashes), tiles.WIDTH)
    )
    await writing.executemany(queries.ADD_HASHES, list(nodes))
    checkpoint = Checkpoint(sequencing.origin_of(BASE_URL, SLUG), edge.size, edge.root)
    signer = await signing_key.signer(writing, wrapper, checkpoint.origin)
    whole = edge.size, b"".join(edge.hashes), edge.size, 0, 0
    await writing.execute(queries.STORE, letter_id, *whole, signer.sign(str(checkpoint)))


def _append(edge: merkle.RightEdge, levels: dict[int, list[bytes]], token: bytes) -> bytes:
    """Append a person; add the hashes of the tiles above level 0 to ``levels``. Return the entry."""
    entry = bytes(LogEntry(EntryKind.PERSON, token))
    for level, node in enumerate(edge.append(merkle.leaf_hash(entry))[tiles.HEIGHT :: tiles.HEIGHT], 1):
        levels[level].append(node)
    return entry
