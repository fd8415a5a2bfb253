"""Arrays written as text are read by PostgreSQL as those that the driver would have sent."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from petition.core import array_texts
from petition.core.database import Database


async def test_postgresql_reads_the_same_values(database: Database) -> None:
    draw = random.Random(1)
    blobs = [None, b"", b"\\", b'"', *(draw.randbytes(n) for n in (1, 16, 300))]
    times = [datetime(2026, 11, 30, 17, 0, 0, n, UTC) for n in (0, 0, 1, 999_999)]
    times.append(times[0].astimezone(tz=None) + timedelta(hours=1))
    numbers = [0, -1, 2**62, 7]
    words = ["ru", "person", "pt-BR", "sign_up"]
    async with database.connection() as conn:
        assert await conn.fetchval("SELECT $1::text::bytea[]", array_texts.of_bytes(blobs)) == blobs
        assert await conn.fetchval("SELECT $1::text::timestamptz[]", array_texts.of_times(times)) == times
        assert await conn.fetchval("SELECT $1::text::bigint[]", array_texts.of_integers(numbers)) == numbers
        assert await conn.fetchval("SELECT $1::text::text[]", array_texts.of_words(words)) == words
        assert await conn.fetchval("SELECT $1::text::bytea[]", array_texts.of_bytes([])) == []


@pytest.mark.parametrize("word", ["", "a,b", '"', "a}", "NULL,", "a b", "\\"])
def test_what_needs_quotes_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="plain words"):
        array_texts.of_words(["ru", word])
