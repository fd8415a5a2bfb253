"""One name again and again on a whole letter, and what the names of imported rows say: looked at by the worker.

It goes on from where it was, a few names at a time, and asks for each name the index that the search of the list uses:
who has these words, in any order, each perhaps with one letter wrong. So a look costs the same whether a thousand or a
million have signed, nothing more is stored, and what is taken out of the list is not counted any more.

Only public names can be compared: the others are stored encrypted, each in its own way. Those of imported rows are
opened for the rules that need no comparing (a link, abuse, a disguise).
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence

from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import burst_queries
from petition.moderation import namesake_queries as queries
from petition.signatures import listing_queries, search_words, signals
from petition.signatures.flags import Flag, flags_of
from petition.signatures.model import Kind
from petition.signatures.names import within_one_edit
from petition.signatures.stored_names import NAMED

MIN_NAMESAKES = 5  # signatures of nearly one name on a letter …
SHARE = 1000  # … that are at least one in so many of all people: of a million, some hundreds share the commonest name
SHARE_OF_ONE_WORD = 50  # first names alone are much commoner
MAX_WORDS = 5
MAX_NEAR = 30  # words one letter away, for each word
STEP = 200  # rows a transaction looks at
SECONDS = 15.0  # a round of all letters; the next one goes on there

Words = tuple[str, ...]
REPEATED = Flag.REPEATED.value


async def look(database: Database, wrapper: Wrapper) -> int:
    """Look at names that came since the last time; return how many signatures were flagged.

    Harmless when done twice or by two workers at once. Raises ``Unavailable``.
    """
    async with database.connection() as conn:
        letters = await burst_queries.letters(conn)
    secrets.SystemRandom().shuffle(letters)  # a long import on one of them must not keep the others waiting for ever
    until, flagged = time.monotonic() + SECONDS, 0
    for letter in letters:
        more = True
        while more and time.monotonic() < until:
            more, found = await _step(database, wrapper, letter)
            flagged += found
    return flagged


async def _step(database: Database, wrapper: Wrapper, letter_id: LetterId) -> tuple[bool, int]:
    """Look at the next names of a letter; tell whether there may be more, and how many were flagged."""
    async with database.transaction() as conn:
        if not await queries.try_lock(conn, letter_id):
            return False, 0
        place = await queries.place(conn, letter_id)
        signed_to, imported_to = (place["listed_at"], place["signature"]), (place["import"], place["imported"])
        signed = await queries.signed_since(conn, letter_id, signed_to, STEP)
        imported = await queries.imported_since(conn, letter_id, imported_to, STEP)
        if not signed and not imported:
            return False, 0
        keys = [row["name_key"] for row in signed if not row["imported"]] + [row["name_key"] for row in imported]
        flags = dict.fromkeys(await _repeated(conn, letter_id, {words_of(key) for key in keys if key}), REPEATED)
        by_names = _by_names(imported, await keys_for(conn, letter_id, wrapper))
        flags |= {id: ",".join(filter(None, (flags.get(id), told))) for id, told in by_names.items()}
        found = await queries.add_flags(conn, letter_id, list(flags), list(flags.values())) if flags else 0
        last_signed = (signed[-1]["listed_at"], signed[-1]["id"]) if signed else signed_to
        last_imported = (imported[-1]["import"], imported[-1]["id"]) if imported else imported_to
        await queries.move(conn, letter_id, last_signed, last_imported)
    return len(signed) == STEP or len(imported) == STEP, found


async def _repeated(conn: Connection, letter_id: LetterId, names: Iterable[Words]) -> set[int]:
    """Return all who have nearly one of ``names``, where they are many."""
    wanted = sorted(filter(None, names))
    if not wanted:
        return set()
    every = sorted({word for name in wanted for word in name[:MAX_WORDS]})
    near = dict(zip(every, await search_words.near(conn, letter_id, Kind.PERSON, every), strict=True))
    people = await queries.people(conn, letter_id)
    await listing_queries.use_index_of_words(conn)
    found: set[int] = set()
    for name in wanted:
        least = threshold(name, people)
        rows = await queries.named_like(conn, _tsquery(letter_id, name, near), len(name), 4 * least + 100)
        alike = [row["id"] for row in rows if are_alike(name, words_of(row["name_key"]))]
        if len(alike) >= least:
            found |= set(alike)
    return found


def threshold(name: Words, people: int) -> int:
    """Return from how many on nearly the same name is remarkable among so many people."""
    return max(MIN_NAMESAKES, people // (SHARE if len(name) > 1 else SHARE_OF_ONE_WORD))


def words_of(name_key: str) -> Words:
    """Return the words of a folded name that make it the same again: no digits, in one order."""
    return tuple(sorted(re.sub(r"\d+", "", name_key).split()))


def are_alike(one: Words, other: Words) -> bool:
    """Tell whether two names have the same words, in any order, each with one letter wrong at most."""
    left = list(other)
    for word in one:
        same = next((each for each in left if each == word), None)
        same = same or next((each for each in left if within_one_edit(word, each)), None)
        if same is None:
            return False
        left.remove(same)
    return not left


def _tsquery(letter_id: LetterId, name: Words, near: Mapping[str, set[str]]) -> str:
    """Return "each of these words, or one that is near it" for the index over words.

    Words hold letters, marks and digits only (``names.fold``): nothing that would have to be escaped.
    """
    sets = ([word, *sorted(near[word] - {word})[:MAX_NEAR]] for word in dict.fromkeys(name[:MAX_WORDS]))
    return " & ".join("(" + " | ".join(f"'{letter_id}:{each}'" for each in one_of) + ")" for one_of in sets)


def _by_names(rows: Sequence[Record], keys: LetterKeys) -> dict[SignatureId, str]:
    """Return the flags that each imported row gets for its names alone, with commas between; those with some."""
    found = {}
    for row in rows:
        kind, names = Kind(row["kind"]), _names(row, keys)
        told = {key: True for key, speaks in signals.of_names(names, kind).items() if speaks}
        found[row["id"]] = ",".join(flags_of(kind, names, told))
    return {id: flags for id, flags in found.items() if flags}


def _names(row: Record, keys: LetterKeys) -> list[str]:
    told = {key: row[key] for key in ("name", "affiliation", "city", "name_en", "name_ru")}
    if row["private"] is not None:
        try:
            told |= {key: value for key, value in keys.reveal(row["private"]).items() if key in NAMED}
        except KeyDestroyed:
            return []
    return [value for value in told.values() if value]
