"""Takes what waits into the logs and signs checkpoints; the worker's.

One transaction for each batch of a letter: a worker that is killed leaves the log as it was, and of two workers one
has the letter's row. Within a batch the order is drawn, so that the log does not tell in which order people signed.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from petition.core import encryption, signing_key
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import merkle, queries, receipts, tiles
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import MAX_NUMBER, EntryKind, Exit, LogEntry

POLL = 2.0  # seconds
STEP = timedelta(minutes=10)  # after which entries no longer wait for others; of a sensitive letter's count as well
MIN_ENTRIES = 10  # that a letter's checkpoint waits for while it has fewer than LARGE signatures
LARGE = 1000
BATCH = 5000  # entries a transaction
PREFIX_BYTES = 4
BEGINNING = datetime(1, 1, 2, tzinfo=UTC)  # before which nothing waits


def origin_of(base_url: str, slug: str) -> str:
    """Return the name of a letter's log: its address without the scheme."""
    return f"{urlsplit(base_url).netloc}/log/{slug}"


def prefix_of(token: bytes) -> int:
    """Return the beginning of a token as a number that PostgreSQL finds."""
    return int.from_bytes(token[:PREFIX_BYTES], signed=True)


async def step(database: Database, wrapper: Wrapper, base_url: str) -> bool:
    """Begin the logs of new letters, and take what is due into logs; return whether more is due.

    Raises ``Unavailable``.
    """
    async with database.connection() as conn:
        begun = await queries.without_log(conn)
        due = await queries.due(conn, STEP, MIN_ENTRIES, LARGE)
    for row in begun:
        await sequence(database, wrapper, base_url, row["id"], row["slug"], BEGINNING)
    is_more = False
    for row in due:
        before = row["before"] if row["sensitive"] else None
        taken = await sequence(database, wrapper, base_url, row["id"], row["slug"], before)
        is_more = is_more or taken == BATCH
    return is_more


async def sequence(
    database: Database,
    wrapper: Wrapper,
    base_url: str,
    letter_id: LetterId,
    slug: str,
    before: datetime | None = None,
) -> int:
    """Append a batch of a letter's queued entries to its log, those ``before`` a time or all; return how many.

    0 if another worker has the log. Raises ``Unavailable``.
    """
    async with database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md
        await conn.execute(queries.ADD_LOG, letter_id, wrapper.wrap(encryption.new_key()))
        row = await conn.fetchrow(queries.LOCK, letter_id)
        if row is None:
            return 0
        waiting = await conn.fetch(queries.WAITING, letter_id, before, BATCH)
        if not waiting and row["checkpoint"]:
            return 0
        log = OpenLog.of(row)
        entries = shuffled(waiting, wrapper.unwrap(row["wrapped_receipt_key"]))
        await _append(conn, letter_id, log, entries)
        checkpoint = Checkpoint(origin_of(base_url, slug), log.edge.size, log.edge.root)
        signer = await signing_key.signer(conn, wrapper, checkpoint.origin)
        await _store(conn, letter_id, log, signer.sign(str(checkpoint)))
        await conn.execute(queries.DROP_WAITING, letter_id, [row["id"] for row in waiting])
        return len(waiting)


@dataclass(slots=True)
class OpenLog:
    """A log that is being appended to: its right edge, and the count of its entries."""

    edge: merkle.RightEdge
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, row: Record) -> "OpenLog":
        counts = {name: row[name] for name in ("people", "organizations", "imported")}
        return cls(merkle.RightEdge(row["size"], tiles.split_hashes(row["edge"])), Counter(counts))

    def add(self, entry: LogEntry) -> list[bytes]:
        """Append; return the hashes of the subtrees that the entry completes."""
        self.counts["organizations" if entry.kind.is_of_organization else "people"] += entry.change
        self.counts["imported"] += entry.change if entry.kind.is_imported else 0
        return self.edge.append(merkle.leaf_hash(bytes(entry)))


def shuffled(waiting: Sequence[Record], receipt_key: bytes) -> list[LogEntry]:
    """Return the entries of rows in a drawn order, in which those of one token stay in theirs.

    What several rows say of one import or tally is one entry, or one for each reason.
    """
    rounds: Counter[bytes] = Counter()
    placed: list[tuple[int, int, LogEntry]] = []
    for kind, exit, token, number in _summed(waiting, receipt_key):
        for part in _parts(number):
            placed.append((rounds[token], secrets.randbits(64), LogEntry(kind, token, part, exit)))
        rounds[token] += 1
    return [entry for _, _, entry in sorted(placed, key=lambda drawn: drawn[:2])]


def _summed(waiting: Sequence[Record], receipt_key: bytes) -> Iterable[tuple[EntryKind, Exit, bytes, int]]:
    """Yield kind, exit, token and a number above 0; of numbers first all that begin to count."""
    sums: Counter[tuple[EntryKind, Exit, bytes]] = Counter()
    for row in waiting:
        kind, exit = EntryKind(row["kind"]), Exit(row["exit"])
        token = row["token"] or receipts.token_for(receipt_key, kind, row["subject"])
        if kind.has_number:
            sums[kind, exit, token] += abs(row["number"])
        else:
            yield kind, exit, token, 1
    for (kind, exit, token), number in sorted(sums.items(), key=lambda item: item[0][1]):
        yield kind, exit, token, number


def _parts(number: int) -> Iterable[int]:
    """Yield numbers that an entry can hold, and that add up."""
    while number > 0:
        yield min(number, MAX_NUMBER)
        number -= MAX_NUMBER


async def _append(conn: Connection, letter_id: LetterId, log: OpenLog, entries: Sequence[LogEntry]) -> None:
    """Store the bundles and the tiles above level 0 that the entries change."""
    first, begun = divmod(log.edge.size, tiles.WIDTH)
    stored = await conn.fetchval(queries.LAST_BUNDLE, letter_id, first) if begun else b""
    contents = [*tiles.split_entries(stored), *map(bytes, entries)]
    hashes: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        for level, node in enumerate(log.add(entry)[tiles.HEIGHT :: tiles.HEIGHT], 1):
            number = (log.edge.size >> tiles.HEIGHT * level) - 1 >> tiles.HEIGHT
            hashes[level, number] = hashes.get((level, number), b"") + node
    bundles = [contents[at : at + tiles.WIDTH] for at in range(0, len(contents), tiles.WIDTH)]
    rows = [(letter_id, number, *_bundle_columns(bundle)) for number, bundle in enumerate(bundles, first)]
    await conn.executemany(queries.STORE_BUNDLES, rows)
    tile_rows = [(letter_id, *position, nodes) for position, nodes in hashes.items()]
    await conn.executemany(queries.ADD_HASHES, tile_rows)


def _bundle_columns(bundle: Sequence[bytes]) -> tuple[bytes, list[int] | None]:
    if len(bundle) < tiles.WIDTH:
        return tiles.join_entries(bundle), None
    return tiles.join_entries(bundle), [prefix_of(entry[2:]) for entry in bundle]


async def _store(conn: Connection, letter_id: LetterId, log: OpenLog, checkpoint: str) -> None:
    counts = log.counts["people"], log.counts["organizations"], log.counts["imported"]
    await conn.execute(queries.STORE, letter_id, log.edge.size, b"".join(log.edge.hashes), *counts, checkpoint)
