"""The words that stand in public names: where the search looks for typing errors.

A word is there exactly as long as a public name has it: taking a name back takes its words back too.

Two words that are one typing error apart become the same when one character is left out of one or of both ("ивонов"
and "иванов" both leave "ивнов"). So each word is stored with the checksums of all that can be left of it, and a typed
word is looked up by its own: a few exact look-ups, however many words there are, and no error is missed. (The idea is
that of "SymSpell", W. Garbe 2012, going back to Mor and Fraenkel, 1982.)
"""

import zlib
from collections.abc import Iterable, Sequence

from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.signatures.model import Kind
from petition.signatures.names import within_one_edit

MAX_MISTAKEN = 30  # characters; errors in longer words are not looked for, so that no row gets huge

# Shared by all who add words to a letter, taken alone by who deletes some: else a word could be deleted with its last
# name while somebody else of that name is being confirmed.
# (The first number is "word", to keep clear of other locks.)
SHARE_WORDS = "SELECT pg_advisory_xact_lock_shared(2003792484, letter) FROM unnest($1::integer[]) AS u (letter)"
HOLD_WORDS = "SELECT pg_advisory_xact_lock(2003792484, $1)"

# In order, so that two transactions with the same new words wait in line.
REMEMBER_WORDS = """
INSERT INTO name_word (letter, kind, word, near)
SELECT letter, kind, word, near::integer[]
FROM unnest($1::integer[], $2::kind[], $3::text[], $4::text[]) AS u (letter, kind, word, near)
ORDER BY letter, kind, word
ON CONFLICT DO NOTHING
"""

FORGET_PEOPLES_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'person' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM signature s WHERE s.state = 'confirmed' AND s.visibility = 'public' AND s.kind = 'person'
  AND name_words(s.letter, s.name_key) @@ (quote_literal($1::integer::text || ':' || w.word))::tsquery)
"""

FORGET_ORGANIZATIONS_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'organization' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id
  WHERE o.letter = w.letter AND s.state = 'confirmed' AND string_to_array(o.name_key, ' ') @> ARRAY[w.word])
"""

# Letter and kind are in the checksums; they stand in the answer, not in the condition, so that only the index over the
# checksums can serve it.
NEAR = "SELECT letter, kind, word FROM name_word WHERE near && $1::integer[]"


async def add(conn: Connection, found: Iterable[tuple[LetterId, Kind, str]]) -> None:
    """Add (letter, kind, word) to what the search knows, in the transaction that makes the names public."""
    rows = sorted({(letter, kind.value, word) for letter, kind, word in found})
    if rows:
        letters, kinds, words = zip(*rows, strict=True)
        near = [_literal(checksums(*row)) for row in rows]
        await conn.execute(SHARE_WORDS, sorted(set(letters)))
        await conn.execute(REMEMBER_WORDS, letters, kinds, words, near, timeout=600)


async def remove_unused(conn: Connection, letter_id: LetterId, kind: Kind, words: Sequence[str]) -> None:
    """Take back those of ``words`` that no public name has any more; call it after the name is gone.

    A transaction that also remembers words must forget first: two of them would otherwise wait for each other.
    """
    statement = FORGET_PEOPLES_WORDS if kind is Kind.PERSON else FORGET_ORGANIZATIONS_WORDS
    await conn.execute(HOLD_WORDS, letter_id)
    await conn.execute(statement, letter_id, list(words))


async def near(conn: Connection, letter_id: LetterId, kind: Kind, typed: Sequence[str]) -> list[set[str]]:
    """Return for each typed word the words of public names that are at most one typing error away."""
    keys = {key for word in typed for key in checksums(letter_id, kind.value, word)}
    if not keys:
        return [set() for _ in typed]
    rows = await conn.fetch(NEAR, sorted(keys))
    known = [row["word"] for row in rows if row["letter"] == letter_id and row["kind"] == kind]
    return [{word for word in known if within_one_edit(each, word)} for each in typed]


def checksums(letter_id: LetterId, kind: str, word: str) -> set[int]:
    """Return the checksums (32 bits, signed) of what is left of ``word`` without any one of its characters, and of
    the whole. Words too short or too long to be looked for with an error have none."""
    if not 3 < len(word) <= MAX_MISTAKEN:
        return set()
    left = {word[:place] + word[place + 1 :] for place in range(len(word))} | {word}
    salt = zlib.crc32(f"{letter_id} {kind} ".encode())
    return {zlib.crc32(each.encode(), salt) - 2**31 for each in left}


def _literal(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, sorted(numbers))) + "}"
