"""Finding names that are encrypted: those that only organizers see, and those of organizations that wait.

No index can find them, and none is to: keyed digests of words would show in any copy of the database which rows share a
first name (see docs/decisions/encrypted-names.md). So the newest are decrypted and read, a limited number for one page;
where that ends, the next page goes on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, SignatureId
from petition.signatures import names

SCAN = 20_000  # names read for one page
BATCH = 2_000  # of them, in a thread
MAX_FOUND = 1_000
_NAMES = ("name", "organization_en", "organization_ru")

HIDDEN_ROWS = """
SELECT id, listed_at, private FROM signature
WHERE letter = $1 AND private IS NOT NULL AND (listed_at, id) < ($2, $3) ORDER BY listed_at DESC, id DESC LIMIT $4
"""

COUNT_HIDDEN = "SELECT count(*) FROM signature WHERE letter = $1 AND private IS NOT NULL"

COUNT_NEWER = """
SELECT count(*) FROM signature WHERE letter = $1 AND private IS NOT NULL AND (listed_at, id) >= ($2, $3)
"""


@dataclass(frozen=True, slots=True)
class HiddenMatches:
    """Signatures whose encrypted names match, the newest first; ``end`` is where reading stopped, None at the last one.

    ``searched`` of ``total`` names have been read for this page and those before; both 0 if all were read.
    """

    ids: Sequence[SignatureId] = ()
    end: tuple[datetime, int] | None = None
    searched: int = 0
    total: int = 0


async def find(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, typed: str, before: tuple[datetime, int]
) -> HiddenMatches:
    """Return the signatures before a position whose encrypted names have all words of ``typed``.

    A word matches one that begins with it, or that is one typing error away.
    """
    search_words = names.words(names.fold(typed))
    ids: list[SignatureId] = []
    position, read = before, 0
    while search_words and read < SCAN:
        rows = await conn.fetch(HIDDEN_ROWS, letter_id, *position, BATCH)
        ids += await asyncio.to_thread(_matching, rows, keys, search_words)
        read += len(rows)
        if len(rows) < BATCH:
            return HiddenMatches(ids[:MAX_FOUND])
        position = rows[-1]["listed_at"], rows[-1]["id"]
        if len(ids) >= MAX_FOUND:
            break
    if not search_words:
        return HiddenMatches()
    searched = int(await conn.fetchval(COUNT_NEWER, letter_id, *position))
    return HiddenMatches(ids, position, searched, int(await conn.fetchval(COUNT_HIDDEN, letter_id)))


def _matching(rows: Sequence[Record], keys: LetterKeys, prefixes: Sequence[str]) -> list[SignatureId]:
    return [row["id"] for row in rows if _has_words(row["private"], keys, prefixes)]


def _has_words(private: bytes, keys: LetterKeys, prefixes: Sequence[str]) -> bool:
    try:
        fields = keys.reveal(private)
    except KeyDestroyed:
        return False
    text = " ".join(fields[name] for name in _NAMES if fields.get(name))
    name_words = names.words(names.fold(text))
    return all(any(_matches(word, prefix) for word in name_words) for prefix in prefixes)


def _matches(word: str, prefix: str) -> bool:
    return word.startswith(prefix) or names.within_one_edit(word, prefix)
