"""All SQL of letters, their texts and versions."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.letters.model import Counts, PackageDigest, Sharing, SlugTaken, State, Tally, Text, Version
from petition.letters.parties import Party

LETTER_KEYS = "SELECT wrapped_digest_key, wrapped_name_key, kept FROM letter WHERE id = $1"

PACKAGE = """
SELECT made_at, people + organizations AS total, encode(sha256, 'hex') AS sha256
FROM package WHERE letter = $1 ORDER BY id DESC LIMIT 1
"""

LOAD = """
SELECT l.*, l.effective_state FROM letter l WHERE l.id = $1 AND l.version IS NOT NULL
"""

INITIATORS = "SELECT names, url FROM party WHERE letter = $1 AND role = 'initiator' ORDER BY position"

TALLIES = """
SELECT people, counted_on, source FROM tally WHERE letter = $1 AND ended_at IS NULL ORDER BY counted_on DESC, id DESC
"""

# In the first hour of the history that has people or organizations of a file.
LISTED_SINCE = """
SELECT min(s.signed_at) FROM (SELECT min(hour) AS hour FROM count_hour WHERE letter = $1 AND listed > 0) AS f
JOIN signature s ON s.letter = $1 AND s.import IS NOT NULL
  AND s.listed_at >= f.hour AND s.listed_at < f.hour + interval '1 hour'
"""

PARTNERS = "SELECT name, id FROM partner WHERE letter = $1 AND retired_at IS NULL ORDER BY id"

VERSION = "SELECT * FROM version WHERE letter = $1 AND number = $2"

# Those of lists and tallies count by the date of signing, also if they were brought later: of the hour in which the
# version was published they are counted one by one. The first version is as old as the letter, which may have opened
# elsewhere.
VERSIONS = """
SELECT v.number, v.digest, t.at AS published_at, v.texts, v.note, (v.signed_before - v.imported_before + (
         SELECT coalesce(sum(h.listed), 0) FROM count_hour h
         WHERE h.letter = v.letter AND h.hour < date_trunc('hour', t.at)) + (
         SELECT count(*) FROM signature s
         WHERE s.letter = v.letter AND s.import IS NOT NULL AND s.kind = 'person' AND s.state = 'confirmed'
           AND s.listed_at >= date_trunc('hour', t.at) AND s.listed_at < t.at) + (
         SELECT count(*) FROM organization o
         WHERE o.letter = v.letter AND o.listed_at >= date_trunc('hour', t.at) AND o.listed_at < t.at AND EXISTS (
           SELECT FROM signature s WHERE s.letter = o.letter AND s.organization = o.id AND s.import IS NOT NULL
             AND s.state = 'confirmed')) + (
         SELECT coalesce(sum(p.people), 0) FROM tally p
         WHERE p.letter = v.letter AND p.ended_at IS NULL AND p.counted_on <= t.at))::bigint AS signed_before
FROM version v JOIN letter l ON l.id = v.letter CROSS JOIN LATERAL (
  SELECT CASE WHEN v.number = 1 THEN least(v.published_at, l.opened_at) ELSE v.published_at END AS at
) AS t WHERE v.letter = $1 ORDER BY v.number DESC
"""

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
UPDATE letter SET goal = $2, closes_at = $3, names_in_search = $4, next_goals = $5, opening = $6::text,
       publish_at_number = $7, publish_at_date = $8,
       opened_at = CASE WHEN version IS NOT NULL THEN coalesce($6::text::timestamp AT TIME ZONE 'UTC',
         (SELECT min(v.published_at) FROM version v WHERE v.letter = letter.id)) END,
       revision = revision + 1, purges = purges + 1
WHERE id = $1
"""

SET_NAMES_END = "UPDATE letter SET names_until = $2, names_days = $3 WHERE id = $1"

SHARING = "SELECT lang, text, alt, picture FROM sharing WHERE letter = $1 ORDER BY lang"

DROP_SHARING = "DELETE FROM sharing WHERE letter = $1"

ADD_SHARING = "INSERT INTO sharing (letter, lang, text, alt, picture) VALUES ($1, $2, $3, $4, $5)"

DROP_INITIATORS = "DELETE FROM party WHERE letter = $1 AND role = 'initiator'"

ADD_INITIATOR = "INSERT INTO party (letter, role, position, names, url) VALUES ($1, 'initiator', $2, $3, $4)"

TRANSLATIONS = "SELECT lang, title, markdown FROM translation WHERE letter = $1 ORDER BY lang"

ADD_VERSION = """
INSERT INTO version (letter, number, digest, texts, note, signed_before, imported_before)
SELECT $1, $2, $3, $4, $5, coalesce(sum(people + organizations), 0)::bigint, coalesce(sum(imported), 0)::bigint
FROM published_count WHERE letter = $1
"""

PUBLISH = """
UPDATE letter SET version = $2, revision = revision + 1, purges = purges + 1,
       state = CASE WHEN state = 'draft' THEN 'open' ELSE state END,
       opened_at = coalesce(opened_at, opening::timestamp AT TIME ZONE 'UTC', now()),
       publish_at = NULL, publish_by = NULL
WHERE id = $1
"""


async def load(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the row of a published letter, with ``effective_state``."""
    return await conn.fetchrow(LOAD, letter_id)


async def partners(conn: Connection, letter_id: LetterId) -> dict[str, int]:
    """Return the ids of the partners in use, by the name that stands in addresses."""
    return {row["name"]: row["id"] for row in await conn.fetch(PARTNERS, letter_id)}


async def initiators(conn: Connection, letter_id: LetterId) -> tuple[Party, ...]:
    return tuple(Party(row["names"], row["url"]) for row in await conn.fetch(INITIATORS, letter_id))


async def tallies(conn: Connection, letter_id: LetterId) -> tuple[Tally, ...]:
    """Return who signed elsewhere, without names, the newest first."""
    return tuple(tally_in(row) for row in await conn.fetch(TALLIES, letter_id))


async def listed_since(conn: Connection, letter_id: LetterId) -> date | None:
    """Return the first date of signing in imported files, None if there are none or it is not known."""
    moment: datetime | None = await conn.fetchval(LISTED_SINCE, letter_id)
    return None if moment is None else moment.date()


async def package(conn: Connection, letter_id: LetterId) -> PackageDigest | None:
    row = await conn.fetchrow(PACKAGE, letter_id)
    return PackageDigest(**row) if row else None


def counts_in(row: Record) -> Counts:
    """Return the count in a row that has its columns."""
    return Counts(*(row[field.name] for field in fields(Counts)))


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
    opening: str | None = None,
    publish_at: tuple[int | None, datetime | None] = (None, None),
) -> None:
    """Change what surrounds the text; ``opening`` is the letter's own day or moment (UTC), if it has one.

    ``publish_at`` are the number and the time at which names are shown.
    """
    await conn.execute(SET_FRAME, letter_id, goal, closes_at, search, list(next_goals), opening, *publish_at)


async def set_names_end(conn: Connection, letter_id: LetterId, until: date | None, days: int | None) -> None:
    """Set when names are deleted: on a day, or so many days after the first delivery."""
    await conn.execute(SET_NAMES_END, letter_id, until, days)


async def sharing(conn: Connection, letter_id: LetterId) -> dict[str, Sharing]:
    """Return what readers pass on: language → sharing text and picture."""
    rows = await conn.fetch(SHARING, letter_id)
    return {row["lang"]: Sharing(row["text"], row["picture"], row["alt"]) for row in rows}


async def set_sharing(conn: Connection, letter_id: LetterId, sharing: Mapping[str, Sharing]) -> None:
    """Replace what readers pass on."""
    await conn.execute(DROP_SHARING, letter_id)
    rows = [(letter_id, lang, entry.text, entry.alt, entry.picture_id) for lang, entry in sharing.items() if entry]
    await conn.executemany(ADD_SHARING, rows)


async def set_initiators(conn: Connection, letter_id: LetterId, initiators: Sequence[Party]) -> None:
    await conn.execute(DROP_INITIATORS, letter_id)
    rows = [(letter_id, position, dict(party.names), party.url) for position, party in enumerate(initiators)]
    await conn.executemany(ADD_INITIATOR, rows)


async def translations(conn: Connection, letter_id: LetterId) -> dict[str, tuple[str, str]]:
    """Return the working text: language → (title, Markdown)."""
    return {row["lang"]: (row["title"], row["markdown"]) for row in await conn.fetch(TRANSLATIONS, letter_id)}


async def add_version(
    conn: Connection, letter_id: LetterId, number: int, digest: str, texts: Mapping[str, Text], note: Mapping[str, str]
) -> None:
    """Add version ``number``, noting how many had signed before it."""
    stored = {lang: {"title": text.title, "markdown": text.markdown, "html": text.html} for lang, text in texts.items()}
    await conn.execute(ADD_VERSION, letter_id, number, digest, stored, dict(note) or None)


async def publish(conn: Connection, letter_id: LetterId, number: int) -> None:
    """Make version ``number`` the one that readers see; a draft opens."""
    await conn.execute(PUBLISH, letter_id, number)


def state_of(row: Record) -> State:
    return State(row["effective_state"])


async def letter_keys(conn: Connection, letter_id: LetterId) -> Record | None:
    return await conn.fetchrow(LETTER_KEYS, letter_id)
