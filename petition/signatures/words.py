"""The words that stand in public names: where the search looks for typing errors.

A word is there exactly as long as a public name has it: taking a name back takes its words back too.
"""

from collections.abc import Iterable, Sequence

from petition.database import Connection
from petition.signatures.model import Kind

# In order, so that two transactions with the same new words wait in line.
REMEMBER_WORDS = """
INSERT INTO name_word (letter, kind, word)
SELECT * FROM unnest($1::integer[], $2::kind[], $3::text[]) AS u (letter, kind, word) ORDER BY letter, kind, word
ON CONFLICT DO NOTHING
"""

FORGET_PEOPLES_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'person' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM signature s WHERE s.letter = w.letter AND s.state = 'confirmed' AND s.visibility = 'public'
  AND s.kind = 'person' AND string_to_array(s.name_key, ' ') @> ARRAY[w.word])
"""

FORGET_ORGANIZATIONS_WORDS = """
DELETE FROM name_word w WHERE w.letter = $1 AND w.kind = 'organization' AND w.word = ANY($2::text[]) AND NOT EXISTS (
  SELECT FROM organization o WHERE o.letter = w.letter AND string_to_array(o.name_key, ' ') @> ARRAY[w.word])
"""


async def remember(conn: Connection, found: Iterable[tuple[int, Kind, str]]) -> None:
    """Add (letter, kind, word) to what the search knows."""
    rows = sorted({(letter, kind.value, word) for letter, kind, word in found})
    if rows:
        await conn.execute(REMEMBER_WORDS, *zip(*rows, strict=True))


async def forget(conn: Connection, letter: int, kind: Kind, words: Sequence[str]) -> None:
    """Take back those of ``words`` that no public name has any more; call it after the name is gone."""
    statement = FORGET_PEOPLES_WORDS if kind is Kind.PERSON else FORGET_ORGANIZATIONS_WORDS
    await conn.execute(statement, letter, list(words))
