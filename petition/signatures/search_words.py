"""The words that stand in public names: where the search looks for typing errors.

A word is stored exactly as long as a public name contains it.

Two words that are one typing error apart become equal when one character is deleted from one or both ("ивонов" and
"иванов" both become "ивнов"). So each word is stored with the checksums of all its deletions, and a typed word is
looked up by its own: a few exact look-ups, however many words are stored, and no error is missed. (The idea is that of
"SymSpell", W. Garbe 2012, going back to Mor and Fraenkel, 1982.)
"""

import zlib
from collections.abc import Iterable, Sequence

from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.signatures.model import Kind
from petition.signatures.names import within_one_edit

MAX_CORRECTED = 30  # characters; no errors are corrected in longer words, so that no row gets huge

# Shared to add words to a letter, exclusive to delete some: otherwise a word could be deleted with its last name while
# another name with this word is being confirmed. (The first number is "word", to differ from other locks.)
# lock order: see docs/decisions/lock-order.md
LOCK_WORDS_SHARED = "SELECT pg_advisory_xact_lock_shared(2003792484, letter) FROM unnest($1::integer[]) AS u (letter)"
LOCK_WORDS = "SELECT pg_advisory_xact_lock(2003792484, $1)"

# Ordered, so that two transactions with the same new words wait in a queue.
ADD_WORDS = """
INSERT INTO name_word (letter, kind, word, near)
SELECT letter, kind, word, near::integer[]
FROM unnest($1::integer[], $2::kind[], $3::text[], $4::text[]) AS u (letter, kind, word, near)
ORDER BY letter, kind, word
ON CONFLICT DO NOTHING
"""

# Most words are in one of the newest names. The index over words would return every row that has them, of ten million
# hundreds of thousands, while the letter's words are locked.
WORDS_OF_NEWEST = """
SELECT DISTINCT word FROM (
  SELECT name_key FROM signature
  WHERE letter = $1 AND state = 'confirmed' AND visibility = 'public' AND kind = 'person'
  ORDER BY listed_at DESC LIMIT 1000
) AS newest, unnest(string_to_array(name_key, ' ')) AS word WHERE word = ANY($2::text[])
"""

DELETE_PEOPLES_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'person' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM signature s WHERE s.state = 'confirmed' AND s.visibility = 'public' AND s.kind = 'person'
  AND name_words(s.letter, s.name_key) @@ (quote_literal($1::integer::text || ':' || w.word))::tsquery)
"""

DELETE_ORGANIZATIONS_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'organization' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id
  WHERE o.letter = w.letter AND s.state = 'confirmed' AND string_to_array(o.name_key, ' ') @> ARRAY[w.word])
"""

# Letter and kind are in the checksums; they are selected and not in the condition, so that only the index over the
# checksums can serve it. It has their first 16 bits only, which several words share.
NEAR = """
SELECT letter, kind, word FROM name_word
WHERE first_bits(near) && first_bits($1::integer[]) AND near && $1::integer[]
"""


async def add(conn: Connection, words: Iterable[tuple[LetterId, Kind, str]]) -> None:
    """Add (letter, kind, word), in the transaction that makes the names public."""
    rows = sorted({(letter_id, kind.value, word) for letter_id, kind, word in words})
    if rows:
        letter_ids, kinds, distinct_words = zip(*rows, strict=True)
        near = [_literal(checksums(*row)) for row in rows]
        await conn.execute(LOCK_WORDS_SHARED, sorted(set(letter_ids)))
        await conn.execute(ADD_WORDS, letter_ids, kinds, distinct_words, near, timeout=600)


async def remove_unused(conn: Connection, letter_id: LetterId, kind: Kind, words: Sequence[str]) -> None:
    """Delete those of ``words`` that no public name contains any more, after the name was changed or deleted.

    A transaction that also adds words must do this first, or two of them deadlock.
    """
    await conn.execute(LOCK_WORDS, letter_id)
    if kind is Kind.ORGANIZATION:
        await conn.execute(DELETE_ORGANIZATIONS_WORDS, letter_id, list(words))
        return
    used = {row["word"] for row in await conn.fetch(WORDS_OF_NEWEST, letter_id, list(words))}
    if rarer := [word for word in words if word not in used]:
        await conn.execute(DELETE_PEOPLES_WORDS, letter_id, rarer)


async def find_near(conn: Connection, letter_id: LetterId, kind: Kind, typed: Sequence[str]) -> list[set[str]]:
    """Return for each typed word the words of public names that are at most one typing error away."""
    keys = {key for word in typed for key in checksums(letter_id, kind.value, word)}
    if not keys:
        return [set() for _ in typed]
    rows = await conn.fetch(NEAR, sorted(keys))
    known = [row["word"] for row in rows if row["letter"] == letter_id and row["kind"] == kind]
    return [{word for word in known if within_one_edit(typed_word, word)} for typed_word in typed]


def checksums(letter_id: LetterId, kind: str, word: str) -> set[int]:
    """Return the checksums (32 bits, signed) of ``word`` and of ``word`` without any one of its characters.

    Words too short or too long to be corrected have none.
    """
    if not 3 < len(word) <= MAX_CORRECTED:
        return set()
    deletions = {word[:index] + word[index + 1 :] for index in range(len(word))}
    salt = zlib.crc32(f"{letter_id} {kind} ".encode())
    return {zlib.crc32(text.encode(), salt) - 2**31 for text in deletions | {word}}


def _literal(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, sorted(numbers))) + "}"
