"""What PostgreSQL writes of a row is what the program writes of it, whatever its cells contain."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from petition.core.database import Connection
from petition.exports import filtered, plain_lines
from petition.exports.filtered import COLUMNS, Export, ExportOrder
from petition.exports.writers import Format
from petition.moderation import queue_queries
from petition.moderation.model import Filter
from petition.signatures.model import SignatureState
from tests import rows
from tests.moderation.desk import Bench
from tests.running import Installation

SEED = 20_261_130
PIECES = (
    *(
        "Anna",
        "Эк",
        "-",
        "=",
        "+",
        "@",
        "'",
        '"',
        ",",
        ";",
        "|",
        " ",
        "\t",
        "\n",
        "\r",
        "\\",
        "\\.",
        "\x01",
        "\x0b",
        "x",
    ),
    *("\xa0", "\u2028", "\u200b", "\uff1d", "\ufe62", "\u3000", "\x85", "a-b", "1", "\u00ad", "ё"),
)
MOMENTS = (
    *(None, datetime(2022, 3, 5, tzinfo=UTC), datetime(2022, 3, 5, 1, 2, 3, 450_000, tzinfo=UTC)),
    *(datetime(1900, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    *(datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 30, 23, tzinfo=UTC)),
)
ADD = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, name, affiliation, city, "position",
                       name_key, country, read_lang, private, flags, removed_for)
SELECT $1, n, $3, now() - n * interval '1 second', 'person', $4, CASE WHEN $9::bytea IS NULL THEN 'public'
       ELSE 'organizers' END::visibility, $5, $6, $7, $8, CASE WHEN $9 IS NULL THEN '' END, 'LV', 'en', $9, $10, $11
FROM (SELECT $2::bigint AS n) AS n
"""


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def fill(bench: Bench, conn: Connection, number: int) -> None:
    chance = random.Random(SEED)

    def text() -> str | None:
        odd = "".join(chance.choices(PIECES, k=chance.randrange(6)))
        return chance.choice([None, "Anna Ek", "Анна-Мария Эк, МГУ", odd, odd, odd])

    for id in range(1, number + 1):
        hidden = bench.letter.keys.hide({"name": "Тайный"}) if chance.random() < 0.1 else None
        texts = [None] * 4 if hidden else [text() for _ in range(4)]
        flags = ["link"] if chance.random() < 0.1 else []
        state, reason = ("removed", "fake") if chance.random() < 0.1 else ("confirmed", None)
        await conn.execute(ADD, bench.letter.id, id, chance.choice(MOMENTS), state, *texts, hidden, flags, reason)


async def exported(bench: Bench, columns: tuple[str, ...], filter: Filter) -> tuple[bytes, int]:
    export = Export(bench.database, bench.letter.keys, ExportOrder(bench.letter.id, filter, columns, Format.CSV))
    content = b"".join([piece async for piece in export.pieces()])
    return content, export.rows


@pytest.mark.parametrize(
    "columns", [tuple(COLUMNS), filtered.CHOSEN, ("name", "city"), ("city", "signed_at"), ("name",)]
)
async def test_lines_are_the_same_either_way(
    bench: Bench, columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.database.transaction() as conn:
        await fill(bench, conn, 400)
    await bench.sign_for("North Pier", organization_ru="Северный пирс", website="https://northpier.example")
    monkeypatch.setattr(filtered, "LINES", 37)
    for filter in (Filter(), Filter(state=SignatureState.CONFIRMED), Filter(country="LV")):
        quick = await exported(bench, columns, filter)
        with monkeypatch.context() as patched:
            patched.setattr(plain_lines, "can_be_written", lambda _columns: False)
            careful = await exported(bench, columns, filter)
            assert quick[0].split(b"\r\n") == careful[0].split(b"\r\n")
            assert quick == careful
        assert quick[1] > 300


async def test_most_lines_need_no_care(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.crowd(50)
    careful = 0

    async def several(*_arguments: object) -> AsyncIterator[None]:
        nonlocal careful
        careful += len(_arguments[2])  # type: ignore[arg-type]
        return []  # type: ignore[return-value]

    monkeypatch.setattr(queue_queries, "several", several)
    _, number = await exported(bench, filtered.CHOSEN, Filter())
    assert (number, careful) == (50, 0)
