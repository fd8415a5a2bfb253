"""A letter that as many have signed as one wants: ten million rows in minutes, the same for the same number.

The server draws the rows from tables of names; what it draws is a hash of the row's number, so that two connections
share the work. Everything that counts adds up as if people had come: the count, the history, the statistics, the
words of names, and the count log with its hashes. There are no mailboxes: digests are drawn as well.
"""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from petition.core.database import connect
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.ids import LetterId
from petition.letters import published
from petition.signatures import names, search_words
from petition.signatures.model import Kind
from tests.bench import bulk_log
from tests.bench.bulk_indexes import Indexes
from tests.bench.fill import APART, CITIES, COUNTRIES
from tests.crowd import Crowd
from tests.running import KEY, PUBLIC_KEY

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

SLOTS, SECRETS = 16_384, 1024
CHUNK = 250_000  # rows a statement
LONG = 3600.0  # seconds
AREA = (  # each connection's, for as long as it lasts
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '1GB'",
    "SET work_mem = '256MB'",
    "SET session_replication_role = replica",  # no triggers: what they would add up is added up once, below
)
TABLES = """
CREATE UNLOGGED TABLE drawn_name (part text, class integer, slot integer, name text, key text,
                                  PRIMARY KEY (part, class, slot));
CREATE UNLOGGED TABLE drawn_secret (slot integer PRIMARY KEY, private bytea, sealed bytea)
"""
# Of ten people eight sign in public, one for organizers only, one is only counted; two in three of the others tell a
# country, an eighth of the public ones an affiliation; one in nine has a name in Latin letters, one in ten a surname
# that few share. Only those of the last two hours still have a network.
PEOPLE = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, version, consent, country, read_lang,
                       mail_lang, digest, name, affiliation, city, name_key, private, network)
SELECT $1, r.id, r.at, r.at, 'person', 'confirmed', r.visibility, 1, 1,
       CASE WHEN r.visibility <> 'counted' THEN r.country END, r.lang, r.lang, uuid_send(md5('m' || r.n)::uuid),
       CASE WHEN r.visibility = 'public' THEN f.name || ' ' || l.name END,
       CASE WHEN r.visibility = 'public' AND r.b & 15 < 2 THEN 'University of ' || ($7::text[])[1 + r.b % 9] END,
       CASE WHEN r.visibility = 'public' AND r.country IS NOT NULL THEN ($7::text[])[1 + r.b % 9] END,
       CASE WHEN r.visibility = 'public' THEN f.key || ' ' || l.key END,
       CASE WHEN r.visibility = 'organizers' THEN s.private END,
       CASE WHEN r.at > now() - interval '2 hours' THEN uuid_send(md5('n' || r.n)::uuid) END
FROM (
  SELECT n, $4::timestamptz + n * $5::interval AS at, a & 9223372036854775807 AS id, (a >> 40 & 4194303)::integer AS a,
         (b & 2147483647)::integer AS b, ((b >> 32) & 2147483647)::integer AS c,
         (CASE WHEN a & 1023 < 819 THEN 'public' WHEN a & 1023 < 922 THEN 'organizers' ELSE 'counted' END)::visibility
           AS visibility,
         CASE WHEN b % 3 <> 0 THEN ($6::text[])[1 + (b & 2147483647) % 9] END AS country,
         CASE WHEN b & 7 = 0 THEN 'en' ELSE 'ru' END AS lang
  FROM (SELECT n, hashint8extended(n, 1) AS a, hashint8extended(n, 2) AS b
        FROM generate_series($2::bigint, $3::bigint) AS n) AS h
) AS r
LEFT JOIN drawn_secret s ON s.slot = r.c & 1023
LEFT JOIN drawn_name f ON f.part = 'front' AND f.class = r.a & 1 | CASE WHEN r.a % 100 < 11 THEN 2 ELSE 0 END
  AND f.slot = r.c & 16383
LEFT JOIN drawn_name l ON l.class = r.a & 1 | CASE WHEN r.a % 100 < 11 THEN 2 ELSE 0 END
  AND l.part = CASE WHEN r.c % 10 = 0 THEN 'rare' ELSE 'surname' END
  AND l.slot = CASE WHEN r.c % 10 = 0 THEN r.b % $8::integer ELSE r.b & 16383 END
"""
# One in ten wants to hear how it goes on.
SUBSCRIBERS = """
INSERT INTO contact (letter, signature, purpose, sealed, since)
SELECT s.letter, s.id, 'updates', d.sealed, s.listed_at FROM signature s JOIN drawn_secret d ON d.slot = s.id & 1023
WHERE s.letter = $1 AND s.id % 10 = 7
"""
WORDS = """
SELECT DISTINCT unnest(string_to_array(name_key, ' ')) AS word FROM signature
WHERE letter = $1 AND name_key IS NOT NULL
"""
# As if confirmations and the worker had been adding up all the time.
SUMS = (
    "DELETE FROM statistics_change WHERE letter = $1",
    """
    UPDATE count c SET (people, hidden) = (
      SELECT count(*), count(*) FILTER (WHERE visibility <> 'public') FROM signature WHERE letter = $1)
    WHERE c.letter = $1
    """,
    """
    WITH hours AS (
      SELECT date_trunc('hour', listed_at) AS hour, count(*) AS number FROM signature WHERE letter = $1 GROUP BY 1
    ), counted AS (
      INSERT INTO count_hour (letter, hour, people, organizations) SELECT $1, hour, number, 0 FROM hours
    )
    INSERT INTO statistics_hour SELECT $1, hour, number, number, number, 0 FROM hours
    """,
    """
    INSERT INTO statistics_total
    SELECT $1, f.what, f.value, sum(g.number) FROM (
      SELECT kind, state, read_lang, country, import, count(*) AS number FROM signature WHERE letter = $1
      GROUP BY kind, state, read_lang, country, import
    ) AS g, LATERAL figures_of(g.kind, g.state, g.read_lang, g.country, g.import) AS f GROUP BY f.what, f.value
    """,
)


async def sign(url: str, letter_id: LetterId, rows: int, *, is_logged: bool = True) -> None:
    """Have so many sign the letter, of which there are no signatures yet, the last of them a minute ago.

    ``is_logged`` adds the count log too, whose hashes Python computes.
    """
    conn = await _connect(url)
    keys = (await published.read(conn, Wrapper([KEY]), letter_id)).keys
    await _draw(conn, rows, keys)
    indexes = await Indexes.taken(conn, ("signature", "contact", "name_word"))
    await _add_people(url, letter_id, rows)
    await asyncio.gather(_rest(url, letter_id), indexes.build(conn, "signature"))
    if is_logged:
        await _log(url, letter_id)
    for table in ("contact", "name_word"):
        await indexes.build(conn, table)
    await indexes.refer(conn)
    await conn.execute("DROP TABLE drawn_name, drawn_secret")
    await conn.execute("VACUUM (ANALYZE)", timeout=LONG)
    await conn.close()


async def _connect(url: str) -> "Conn":
    conn = await connect(url)
    for statement in AREA:
        await conn.execute(statement)
    return conn


async def _draw(conn: "Conn", rows: int, keys: LetterKeys) -> None:
    """Fill the tables that rows are drawn from: names of four classes (gender, and 2 in Latin letters), secrets."""
    await conn.execute(TABLES)
    crowd, rare = Crowd(), _rare(rows)
    parts = itertools.chain.from_iterable(
        ((part, kind, slot, name, names.fold(name)) for slot, name in enumerate(crowd.parts(part, kind, number)))
        for kind in range(4)
        for part, number in (("front", SLOTS), ("surname", SLOTS), ("rare", rare))
    )
    await conn.copy_records_to_table("drawn_name", records=parts)
    sealer, fields = Sealer(PUBLIC_KEY), {"name": "Мария Семёновна Петрова", "city": "Санкт-Петербург"}
    secret = ((slot, keys.hide(fields), sealer.seal(f"visitor.{slot}@mail.example")) for slot in range(SECRETS))
    await conn.copy_records_to_table("drawn_secret", records=secret)
    await conn.execute("ANALYZE drawn_name, drawn_secret")


def _rare(rows: int) -> int:
    return max(100, rows // 100)  # of each class


async def _add_people(url: str, letter_id: LetterId, rows: int) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1) - rows * APART
    chunks = iter([(first, min(first + CHUNK - 1, rows)) for first in range(1, rows + 1, CHUNK)])

    async def add() -> None:
        conn = await _connect(url)
        for first, last in chunks:  # a free connection takes the next chunk
            values: Sequence[Any] = letter_id, first, last, start, APART, list(COUNTRIES), list(CITIES), _rare(rows)
            await conn.execute(PEOPLE, *values, timeout=LONG)
        await conn.close()

    await asyncio.gather(add(), add())


async def _rest(url: str, letter_id: LetterId) -> None:
    """Add what the signatures make: addresses, words, sums."""
    conn = await _connect(url)
    await conn.execute(SUBSCRIBERS, letter_id, timeout=LONG)
    known = [row["word"] for row in await conn.fetch(WORDS, letter_id, timeout=LONG)]
    words = (
        (letter_id, Kind.PERSON.value, word, sorted(search_words.checksums(letter_id, Kind.PERSON.value, word)))
        for word in known
    )
    await conn.copy_records_to_table("name_word", records=words, columns=("letter", "kind", "word", "near"))
    for statement in SUMS:
        await conn.execute(statement, letter_id, timeout=LONG)
    await conn.close()


async def _log(url: str, letter_id: LetterId) -> None:
    reading, writing = await _connect(url), await _connect(url)
    await bulk_log.fill(reading, writing, letter_id, secrets.token_bytes(32))
    await reading.close()
    await writing.close()
