"""All SQL of letters, their texts and versions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.letters.model import Party, Sharing, SlugTaken, State, Tally, Text, Version

LETTER_KEYS = "SELECT wrapped_digest_key, wrapped_name_key FROM letter WHERE id = $1"


PULSE = """
SELECT l.id, l.slug, l.revision, l.effective_state AS state,
       coalesce(c.people, 0) AS people, coalesce(c.organizations, 0) AS organizations,
       coalesce(c.hidden, 0) AS hidden, coalesce(c.imported, 0) AS imported, now() AS counted_at
FROM letter l LEFT JOIN count c ON c.letter = l.id
WHERE l.version IS NOT NULL ORDER BY l.opened_at DESC, l.id DESC
"""

TAKEN_DOWN = "SELECT id, slug FROM letter WHERE state = 'gone'"

LOAD = """
SELECT l.*, l.effective_state FROM letter l WHERE l.id = $1 AND l.version IS NOT NULL
"""

PARTIES = "SELECT role, names, url FROM party WHERE letter = $1 ORDER BY role, position"

TALLIES = """
SELECT people, counted_on, source FROM tally WHERE letter = $1 AND ended_at IS NULL ORDER BY counted_on DESC, id DESC
"""
PARTNERS = "SELECT name, id FROM partner WHERE letter = $1 AND retired_at IS NULL ORDER BY id"

VERSION = "SELECT * FROM version WHERE letter = $1 AND number = $2"

VERSIONS = "SELECT * FROM version WHERE letter = $1 ORDER BY number DESC"

BY_SLUG = "SELECT *, effective_state(letter) AS effective_state FROM letter WHERE slug = $1"

# Signatures go on being taken meanwhile: their foreign keys need less than this lock forbids.
LOCK = "SELECT *, effective_state(letter) AS effective_state FROM letter WHERE slug = $1 FOR NO KEY UPDATE"

ADD = """
WITH added AS (
  INSERT INTO letter (slug, goal, closes_at, names_in_search, wrapped_digest_key, wrapped_name_key, rules_version)
  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (slug) DO NOTHING RETURNING id
)
INSERT INTO count (letter) SELECT id FROM added RETURNING letter
"""

SET_FRAME = """
UPDATE letter SET goal = $2, closes_at = $3, names_in_search = $4, next_goals = $5, revision = revision + 1
WHERE id = $1
"""

SHARING = "SELECT lang, text, alt, picture FROM sharing WHERE letter = $1 ORDER BY lang"

DROP_SHARING = "DELETE FROM sharing WHERE letter = $1"

ADD_SHARING = "INSERT INTO sharing (letter, lang, text, alt, picture) VALUES ($1, $2, $3, $4, $5)"

DROP_PARTIES = "DELETE FROM party WHERE letter = $1"

ADD_PARTY = "INSERT INTO party (letter, role, position, names, url) VALUES ($1, $2, $3, $4, $5)"

TRANSLATIONS = "SELECT lang, title, markdown FROM translation WHERE letter = $1 ORDER BY lang"

TOTAL = "SELECT coalesce(sum(people + organizations), 0)::bigint FROM count WHERE letter = $1"

ADD_VERSION = """
INSERT INTO version (letter, number, digest, texts, note, signed_before) VALUES ($1, $2, $3, $4, $5, $6)
"""

PUBLISH = """
UPDATE letter SET version = $2, revision = revision + 1,
       state = CASE WHEN state = 'draft' THEN 'open' ELSE state END,
       opened_at = coalesce(opened_at, now()), publish_at = NULL, publish_by = NULL
WHERE id = $1
"""


async def load_statuses(conn: Connection) -> list[Record]:
    """Return one row for each published letter, newest first: id, slug, revision, state and count."""
    return await conn.fetch(PULSE)


async def taken_down(conn: Connection) -> dict[LetterId, str]:
    """Return the short names that are not to be used again, each under its letter's id."""
    return {row["id"]: row["slug"] for row in await conn.fetch(TAKEN_DOWN)}


async def load(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the row of a published letter, with ``effective_state``."""
    return await conn.fetchrow(LOAD, letter_id)


async def partners(conn: Connection, letter_id: LetterId) -> dict[str, int]:
    """Return the ids of the partners in use, by the name that stands in addresses."""
    return {row["name"]: row["id"] for row in await conn.fetch(PARTNERS, letter_id)}


async def parties(conn: Connection, letter_id: LetterId) -> tuple[tuple[Party, ...], tuple[Party, ...]]:
    """Return (initiators, addressees)."""
    rows = await conn.fetch(PARTIES, letter_id)
    initiators = tuple(Party(row["names"], row["url"]) for row in rows if row["role"] == "initiator")
    addressees = tuple(Party(row["names"], row["url"]) for row in rows if row["role"] == "addressee")
    return initiators, addressees


async def tallies(conn: Connection, letter_id: LetterId) -> tuple[Tally, ...]:
    """Return who signed elsewhere, without names, the newest first."""
    return tuple(tally_in(row) for row in await conn.fetch(TALLIES, letter_id))


def tally_in(row: Record) -> Tally:
    return Tally(row["people"], row["counted_on"], row["source"])


async def version(conn: Connection, letter_id: LetterId, number: int) -> Version:
    """Return one version. Raises ``LookupError``."""
    row = await conn.fetchrow(VERSION, letter_id, number)
    if row is None:
        raise LookupError("no such version")
    return _version(row)


async def versions(conn: Connection, letter_id: LetterId) -> list[Version]:
    """Return every version, newest first."""
    return [_version(row) for row in await conn.fetch(VERSIONS, letter_id)]


def _version(row: Record) -> Version:
    return Version(
        number=row["number"],
        digest=row["digest"],
        published_at=row["published_at"],
        texts={lang: Text(**text) for lang, text in sorted(row["texts"].items())},
        note=row["note"] or {},
        signed_before=row["signed_before"],
    )


async def by_slug(conn: Connection, slug: str, *, lock: bool = False) -> Record | None:
    """Return a letter's row, drafts too; ``lock`` keeps others from changing it until the transaction ends."""
    return await conn.fetchrow(LOCK if lock else BY_SLUG, slug)


async def add(conn: Connection, slug: str, frame: Sequence[object], keys: tuple[bytes, bytes], rules: int) -> LetterId:
    """Add a draft; ``frame`` is (goal, closes_at, names_in_search), ``keys`` the wrapped (digest, name) keys.

    Raises ``SlugTaken``.
    """
    letter_id: LetterId | None = await conn.fetchval(ADD, slug, *frame, *keys, rules)
    if letter_id is None:
        raise SlugTaken(f"there is already a letter {slug}")
    return letter_id


async def set_frame(
    conn: Connection,
    letter_id: LetterId,
    goal: int | None,
    closes_at: datetime | None,
    search: bool,
    next_goals: Sequence[int] = (),
) -> None:
    """Change what surrounds the text."""
    await conn.execute(SET_FRAME, letter_id, goal, closes_at, search, list(next_goals))


async def sharing(conn: Connection, letter_id: LetterId) -> dict[str, Sharing]:
    """Return what readers pass on: language → sharing text and picture."""
    rows = await conn.fetch(SHARING, letter_id)
    return {row["lang"]: Sharing(row["text"], row["picture"], row["alt"]) for row in rows}


async def set_sharing(conn: Connection, letter_id: LetterId, sharing: Mapping[str, Sharing]) -> None:
    """Replace what readers pass on."""
    await conn.execute(DROP_SHARING, letter_id)
    rows = [(letter_id, lang, entry.text, entry.alt, entry.picture_id) for lang, entry in sharing.items() if entry]
    await conn.executemany(ADD_SHARING, rows)


async def set_parties(
    conn: Connection, letter_id: LetterId, initiators: Sequence[Party], addressees: Sequence[Party]
) -> None:
    await conn.execute(DROP_PARTIES, letter_id)
    rows = [("initiator", *entry) for entry in enumerate(initiators)] + [
        ("addressee", *entry) for entry in enumerate(addressees)
    ]
    await conn.executemany(
        ADD_PARTY, [(letter_id, role, position, dict(party.names), party.url) for role, position, party in rows]
    )


async def translations(conn: Connection, letter_id: LetterId) -> dict[str, tuple[str, str]]:
    """Return the working text: language → (title, Markdown)."""
    return {row["lang"]: (row["title"], row["markdown"]) for row in await conn.fetch(TRANSLATIONS, letter_id)}


async def add_version(
    conn: Connection, letter_id: LetterId, number: int, digest: str, texts: Mapping[str, Text], note: Mapping[str, str]
) -> None:
    """Add version ``number``, noting how many had signed before it."""
    stored = {lang: {"title": text.title, "markdown": text.markdown, "html": text.html} for lang, text in texts.items()}
    signed_before = await conn.fetchval(TOTAL, letter_id)
    await conn.execute(ADD_VERSION, letter_id, number, digest, stored, dict(note) or None, signed_before)


async def publish(conn: Connection, letter_id: LetterId, number: int) -> None:
    """Make version ``number`` the one that readers see; a draft opens."""
    await conn.execute(PUBLISH, letter_id, number)


def state_of(row: Record) -> State:
    return State(row["effective_state"])


async def letter_keys(conn: Connection, letter_id: LetterId) -> Record | None:
    return await conn.fetchrow(LETTER_KEYS, letter_id)
