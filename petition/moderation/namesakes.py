"""Finding names repeated on a whole letter, and checking the names of imported rows; the worker's.

It goes on from a stored position, a few names at a time, and looks each one up in the index of the list's search: the
same words in any order, each with at most one letter wrong. So a round costs the same with a thousand or a million
signatures, nothing more is stored, and signatures that left the list are not counted.

Only public names can be compared, because hidden ones are encrypted with a nonce. Those of imported rows are decrypted
for the rules that compare nothing (a link, abuse, a disguise).
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence

from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose, decrypts_for
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import bursts
from petition.moderation import namesake_queries as queries
from petition.signatures import listing_queries, search_words, signals
from petition.signatures.flags import Flag, flags_of
from petition.signatures.model import Kind
from petition.signatures.names import within_one_edit
from petition.signatures.stored_names import NAMED

MIN_NAMESAKES = 5  # signatures of nearly one name on a letter …
SHARE = 1000  # … that are at least 1 in so many of all people: of a million, some hundreds share the commonest name
SHARE_OF_ONE_WORD = 50  # first names alone are much commoner
MAX_WORDS = 5
MAX_NEAR = 30  # words one letter away, for one word
STEP = 200  # rows per transaction
ROUND = 15.0  # seconds for all letters; the next round continues

Words = tuple[str, ...]
REPEATED = Flag.REPEATED.value


@decrypts_for(DecryptionPurpose.REPEATED_NAMES)
async def check(database: Database, wrapper: Wrapper) -> int:
    """Check the names that are new since the last round; return how many signatures were flagged.

    Idempotent, also for two workers at once. Raises ``Unavailable``.
    """
    async with database.connection() as conn:
        letter_ids = await bursts.load_letters(conn)
    secrets.SystemRandom().shuffle(letter_ids)  # so that a long import on one letter cannot starve the others
    until, flagged = time.monotonic() + ROUND, 0
    for letter_id in letter_ids:
        has_more = True
        while has_more and time.monotonic() < until:
            has_more, number = await _step(database, wrapper, letter_id)
            flagged += number
    return flagged


async def _step(database: Database, wrapper: Wrapper, letter_id: LetterId) -> tuple[bool, int]:
    """Check the next names of a letter; return whether there may be more, and how many signatures were flagged."""
    async with database.transaction() as conn:
        if not await queries.try_lock(conn, letter_id):
            return False, 0
        row = await queries.position(conn, letter_id)
        signed_to, imported_to = (row["listed_at"], row["signature"]), (row["import"], row["imported"])
        signed = await queries.signed_since(conn, letter_id, signed_to, STEP)
        imported = await queries.imported_since(conn, letter_id, imported_to, STEP)
        if not signed and not imported:
            return False, 0
        name_keys = [row["name_key"] for row in signed if not row["imported"]] + [row["name_key"] for row in imported]
        names = {words_of(key) for key in name_keys if key}
        flags = dict.fromkeys(await _repeated(conn, letter_id, names), REPEATED)
        of_names = _flags_of_names(imported, await keys_for(conn, letter_id, wrapper))
        flags |= {id: ",".join(filter(None, (flags.get(id), more))) for id, more in of_names.items()}
        flagged = await queries.add_flags(conn, letter_id, list(flags), list(flags.values())) if flags else 0
        last_signed = (signed[-1]["listed_at"], signed[-1]["id"]) if signed else signed_to
        last_imported = (imported[-1]["import"], imported[-1]["id"]) if imported else imported_to
        await queries.set_position(conn, letter_id, last_signed, last_imported)
    return len(signed) == STEP or len(imported) == STEP, flagged


async def _repeated(conn: Connection, letter_id: LetterId, names: Iterable[Words]) -> set[int]:
    """Return the signatures with nearly one of ``names``, where there are many of it."""
    ordered = sorted(filter(None, names))
    if not ordered:
        return set()
    words = sorted({word for name in ordered for word in name[:MAX_WORDS]})
    near = dict(zip(words, await search_words.find_near(conn, letter_id, Kind.PERSON, words), strict=True))
    people = await queries.people(conn, letter_id)
    await listing_queries.use_index_of_words(conn)
    repeated: set[int] = set()
    for name in ordered:
        minimum = threshold(name, people)
        rows = await queries.named_like(conn, _tsquery(letter_id, name, near), len(name), 4 * minimum + 100)
        alike = [row["id"] for row in rows if are_alike(name, words_of(row["name_key"]))]
        if len(alike) >= minimum:
            repeated |= set(alike)
    return repeated


def threshold(name: Words, people: int) -> int:
    """Return from how many on nearly the same name is remarkable among so many people."""
    return max(MIN_NAMESAKES, people // (SHARE if len(name) > 1 else SHARE_OF_ONE_WORD))


def words_of(name_key: str) -> Words:
    """Return the words by which a folded name is compared: without digits, in one order."""
    return tuple(sorted(re.sub(r"\d+", "", name_key).split()))


def are_alike(one: Words, other: Words) -> bool:
    """True if two names have the same words, in any order, each with at most one letter wrong."""
    rest = list(other)
    for word in one:
        same = next((candidate for candidate in rest if candidate == word), None)
        same = same or next((candidate for candidate in rest if within_one_edit(word, candidate)), None)
        if same is None:
            return False
        rest.remove(same)
    return not rest


def _tsquery(letter_id: LetterId, name: Words, near: Mapping[str, set[str]]) -> str:
    """Return a ``tsquery`` of all these words, or words near them, for the index of words.

    Words consist of letters, marks and digits (``names.fold``), so nothing is escaped.
    """
    sets = ([word, *sorted(near[word] - {word})[:MAX_NEAR]] for word in dict.fromkeys(name[:MAX_WORDS]))
    return " & ".join("(" + " | ".join(f"'{letter_id}:{word}'" for word in words) + ")" for words in sets)


def _flags_of_names(rows: Sequence[Record], keys: LetterKeys) -> dict[SignatureId, str]:
    """Return the comma-separated flags of imported rows by their names alone; without rows that have none."""
    flags = {}
    for row in rows:
        kind, names = Kind(row["kind"]), _names(row, keys)
        row_signals = {key: True for key, applies in signals.of_names(names, kind).items() if applies}
        flags[row["id"]] = ",".join(flags_of(kind, names, row_signals))
    return {id: value for id, value in flags.items() if value}


def _names(row: Record, keys: LetterKeys) -> list[str]:
    fields = {key: row[key] for key in ("name", "affiliation", "city", "name_en", "name_ru")}
    if row["private"] is not None:
        try:
            fields |= {key: value for key, value in keys.reveal(row["private"]).items() if key in NAMED}
        except KeyDestroyed:
            return []
    return [value for value in fields.values() if value]
