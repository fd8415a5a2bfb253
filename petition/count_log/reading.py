"""What the public reads of a log: its checkpoint, its files, where a token stands, and proofs."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from petition.core.database import Connection
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import merkle, queries, receipts, tiles
from petition.count_log.checkpoints import Proof
from petition.count_log.entries import EntryKind, LogEntry
from petition.count_log.sequencing import prefix_of
from petition.count_log.tiles import TilePath

COUNTS = "people", "organizations", "imported"
MAX_PROOF = 2048  # bytes: cosignatures are left out of a proof that would be longer


@dataclass(frozen=True, slots=True)
class LogHead:
    """A log as its newest checkpoint has it; ``checkpoint`` is the signed note, without the lines of witnesses."""

    letter_id: LetterId
    size: int
    people: int
    organizations: int
    imported: int
    checkpoint: str
    signed_at: datetime
    wrapped_receipt_key: bytes
    cosignatures: tuple[str, ...] = ()  # lines of witnesses under this very checkpoint

    @property
    def cosigned(self) -> str:
        """Return the checkpoint as it is served."""
        return self.checkpoint + "".join(self.cosignatures)

    def receipt(self, wrapper: Wrapper, kind: EntryKind, subject: int) -> bytes:
        return receipts.receipt_of(wrapper.unwrap(self.wrapped_receipt_key), kind, subject)


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """An entry and its index in the log, from 0."""

    index: int
    entry: LogEntry

    @property
    def number(self) -> int:
        """Return its place as people count: from 1."""
        return self.index + 1


@dataclass(frozen=True, slots=True)
class ShownCount:
    """The count that readers see, and how much of it waits for the log, which has ``size`` entries."""

    size: int
    visible: tuple[int, int, int]  # people, organizations, imported
    waiting: tuple[int, int, int]
    counted_at: datetime
    is_stepped: bool  # it moves in steps, and what was counted around a step may be in the next

    def contradicts(self, log: LogHead) -> bool:
        """Return whether a count is shown that this log, read in the same moment, does not make."""
        logged = log.people, log.organizations, log.imported
        expected = tuple(a + b for a, b in zip(logged, self.waiting, strict=True))
        return log.size == self.size and not self.is_stepped and self.visible != expected

    def as_json(self) -> bytes:
        return json.dumps(
            dict(zip(COUNTS, self.visible, strict=True))
            | {
                "counted_at": self.counted_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "stepped": self.is_stepped,
                "size": self.size,
                "waiting": dict(zip(COUNTS, self.waiting, strict=True)),
            }
        ).encode()


async def shown_count(conn: Connection, letter_id: LetterId) -> ShownCount | None:
    """Return the count beside the log, in one snapshot."""
    row = await conn.fetchrow(queries.COUNT_AND_WAITING, letter_id)
    if row is None:
        return None
    visible = row["people"], row["organizations"], row["imported"]
    waiting = row["waiting_people"], row["waiting_organizations"], row["waiting_imported"]
    return ShownCount(row["size"], visible, waiting, row["counted_at"], row["is_stepped"])


async def head(conn: Connection, letter_id: LetterId) -> LogHead | None:
    """Return a letter's log; None until the worker has begun it."""
    row = await conn.fetchrow(queries.LOG, letter_id)
    if row is None or not row["checkpoint"]:
        return None
    return LogHead(
        letter_id,
        row["size"],
        row["people"],
        row["organizations"],
        row["imported"],
        row["checkpoint"],
        row["signed_at"],
        row["wrapped_receipt_key"],
        tuple(row["cosignatures"]),
    )


async def log_states(conn: Connection, letter_ids: Sequence[LetterId]) -> dict[LetterId, str]:
    """Return of each log that has begun what changes with its entries, its checkpoint and its cosignatures."""
    rows = await conn.fetch(queries.LOG_STATES, letter_ids)
    return {row["letter"]: f"{row['size']} {row['signed_at']} {row['cosigned_at']}" for row in rows}


async def file(conn: Connection, log: LogHead, path: TilePath) -> bytes | None:
    """Return the bytes of a tile or a bundle; None if the log has no such file."""
    if not path.is_in(log.size):
        return None
    if path.level:
        hashes = await conn.fetchval(queries.TILE, log.letter_id, path.level, path.number)
        return bytes(hashes[: path.width * merkle.HASH_BYTES])
    bundle = await conn.fetchval(queries.LAST_BUNDLE, log.letter_id, path.number)
    entries = tiles.split_entries(bundle)[: path.width]
    return tiles.join_entries(entries) if path.level is None else b"".join(map(merkle.leaf_hash, entries))


async def newest_stamp(conn: Connection, letter_id: LetterId, authority: str | None) -> tuple[str, bytes] | None:
    """Return the newest stamped checkpoint and what the authority (a host; None for any) answered (RFC 3161)."""
    row = await conn.fetchrow(queries.NEWEST_STAMP, letter_id, authority)
    return None if row is None else (row["checkpoint"], row["response"])


async def files(conn: Connection, log: LogHead) -> AsyncIterator[tuple[str, bytes]]:
    """Yield every file of the log as it is now: its path below the log's address, and its bytes."""
    yield tiles.CHECKPOINT, log.cosigned.encode()
    for path in tiles.paths_of(log.size):
        content = await file(conn, log, path)
        if content is not None:
            yield str(path), content


async def find(conn: Connection, log: LogHead, token: bytes) -> list[PlacedEntry]:
    """Return the entries of a token, in the order of the log."""
    last = log.size // tiles.WIDTH
    placed = []
    for row in await conn.fetch(queries.BUNDLES_WITH, log.letter_id, prefix_of(token), last):
        first = row["number"] * tiles.WIDTH
        for index, content in enumerate(tiles.split_entries(row["entries"]), first):
            if index < log.size and (entry := LogEntry.parse(content)).token == token:
                placed.append(PlacedEntry(index, entry))
    return placed


async def prove(conn: Connection, log: LogHead, placed: PlacedEntry) -> Proof:
    """Return the proof that an entry is in the log of its newest checkpoint, with as many cosignatures as fit."""

    def path(hash_at: merkle.HashAt) -> list[bytes]:
        return merkle.inclusion_proof(placed.index, log.size, hash_at)

    nodes = path(await _hashes(conn, log, path))
    proof = Proof(placed.index, tuple(nodes), log.checkpoint, bytes(placed.entry))
    for line in log.cosignatures:
        longer = replace(proof, checkpoint=proof.checkpoint + line)
        proof = longer if len(bytes(longer)) <= MAX_PROOF else proof
    return proof


async def root_at(conn: Connection, log: LogHead, size: int) -> bytes:
    """Return the root hash that the log had with ``size`` entries, which are no more than it has."""

    def root(hash_at: merkle.HashAt) -> bytes:
        return merkle.root_of(size, hash_at)

    return root(await _hashes(conn, log, root))


async def _hashes(conn: Connection, log: LogHead, compute: Callable[[merkle.HashAt], object]) -> merkle.HashAt:
    """Return the hashes of the log's tree, of which those are read that ``compute`` asks for."""
    needed: set[tuple[int, int]] = set()

    def note(level: int, node: int) -> bytes:
        tile_level, height = divmod(level, tiles.HEIGHT)
        needed.add((tile_level, (node << height) // tiles.WIDTH))
        return b""

    compute(note)
    contents = {}
    for level, number in sorted(needed):
        path = TilePath(level, number, tiles.tile_width(level, number, log.size))
        contents[str(path)] = await file(conn, log, path) or b""
    return tiles.hashes_of(contents.__getitem__, log.size)
