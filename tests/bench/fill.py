"""A letter that very many have signed, written straight into the tables, quickly."""

import functools
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from petition.core.ids import LetterId
from petition.signatures import names, search_words
from petition.signatures.model import Kind
from tests.crowd import Crowd

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

Furnish = Callable[["Conn", LetterId, int], Awaitable[None]]
CITIES = ("Москва", "Санкт-Петербург", "Berlin", "Казань", "Riga", "Tbilisi", "Новосибирск", "Paris", "Екатеринбург")
COUNTRIES = ("RU", "RU", "RU", "DE", "GE", "LV", "FR", "US", "KZ")
COLUMNS = (
    *("letter", "id", "signed_at", "listed_at", "kind", "state", "visibility", "version", "consent", "country"),
    *("read_lang", "mail_lang", "digest", "name", "city", "name_key", "network"),
)
APART = timedelta(seconds=0.7)  # between two signatures
OF_OWN_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


async def sign(conn: "Conn", letter_id: LetterId, rows: int, furnish: "Furnish | None" = None) -> None:
    """Have ``rows`` people sign the letter in public, the last of them a minute ago; indexes are built afterwards.

    ``furnish`` is called before that, with the connection, the letter and ``rows``.
    """
    seen: set[str] = set()
    await conn.execute("SET maintenance_work_mem = '512MB'")
    indexes = await _take_indexes(conn, "signature")
    await conn.copy_records_to_table("signature", records=_people(letter_id, rows, seen), columns=COLUMNS)
    await conn.execute("UPDATE count SET people = $2 WHERE letter = $1", letter_id, rows)
    if furnish:
        await furnish(conn, letter_id, rows)
    for definition in indexes:
        await conn.execute(definition, timeout=600)
    indexes = await _take_indexes(conn, "name_word")
    known = (
        (letter_id, Kind.PERSON.value, word, sorted(search_words.checksums(letter_id, "person", word))) for word in seen
    )
    await conn.copy_records_to_table("name_word", records=known, columns=("letter", "kind", "word", "near"))
    for definition in indexes:
        await conn.execute(definition, timeout=600)
    await conn.execute("VACUUM (ANALYZE) signature, name_word", timeout=600)
    await conn.execute("ANALYZE")


async def _take_indexes(conn: "Conn", table: str) -> list[str]:
    indexes = await conn.fetch(OF_OWN_INDEXES, table)
    for index in indexes:
        await conn.execute(f"DROP INDEX {index['name']}")
    return [index["definition"] for index in indexes]


def _people(letter_id: LetterId, rows: int, seen: set[str]) -> Iterator[tuple[Any, ...]]:
    fold = functools.lru_cache(200_000)(names.fold)
    start = datetime.now(UTC) - timedelta(minutes=1) - rows * APART
    fixed = ("person", "confirmed", "public", 1, 1)
    crowd: Iterable[str] = Crowd().names()
    for i, name in zip(range(rows), crowd, strict=False):
        key = fold(name)
        seen.update(names.words(key))
        when = start + i * APART
        city, country = (CITIES[i % 9], COUNTRIES[i % 9]) if i % 2 else (None, None)
        place = letter_id, secrets.randbits(63), when, when
        lang = "en" if i % 8 == 0 else "ru"
        yield *place, *fixed, country, lang, lang, secrets.token_bytes(16), name, city, key, secrets.token_bytes(16)
