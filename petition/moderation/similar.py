"""Similar organizations: entries of the list, and organizations that wait, that may be the same one.

Names are compared in either language: without legal forms, quotes and case, Cyrillic in Latin letters, by the trigrams
that they share, and by the words that look the same in other letters («АСЕ» and "ACE"). A website on the same host says
more than any name. Candidates among the entries come from indexes (``organization_tokens``, ``organization_shapes``,
``website_host``), so that ten thousand entries cost what a hundred do; those that wait are encrypted, and the newest of
them are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, OrganizationId, SignatureId
from petition.moderation import organization_queries, queue, queue_queries
from petition.moderation.model import Names
from petition.signatures import look_alikes, names
from petition.signatures.signals import host_of

MIN_SCORE = 0.4
SAME_WEBSITE = 0.8  # of what a name leaves open
MAX_SHOWN = 5
MAX_HELD = 500

_LEGAL_FORM_WORDS = """
ооо оао зао пао ао нао ано нко ип фгуп мбу гбу общество ограниченной ответственностью
llc ltd limited inc corp corporation co company gmbh ev ngo the and of и
"""
_LEGAL_FORMS = frozenset(_LEGAL_FORM_WORDS.split())
_LATIN = str.maketrans(
    dict(zip("абвгдезийклмнопрстуфхыэіїєґ", "abvgdeziiklmnoprstufhyeiieg", strict=True))
    | {"ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya", "ъ": "", "ь": ""}
)

# Tokens that very many names share find nothing; with the others each candidate shares one.
CANDIDATES = """
WITH tokens AS (
  SELECT token, (SELECT count(*) FROM (
    SELECT FROM organization o WHERE organization_tokens(o.letter, o.name_en, o.name_ru) @> ARRAY[token] LIMIT 301
  ) AS same) AS number
  FROM unnest(organization_tokens($1, $3, $4)) AS token
), rare AS (
  SELECT coalesce(array_agg(token) FILTER (WHERE number <= 300), '{}') AS tokens FROM tokens
), shapes AS (
  SELECT token, (SELECT count(*) FROM (
    SELECT FROM organization o WHERE organization_shapes(o.letter, o.name_en, o.name_ru) @> ARRAY[token] LIMIT 301
  ) AS same) AS number
  FROM unnest(organization_shapes($1, $3, $4)) AS token
), rare_shapes AS (
  SELECT coalesce(array_agg(token) FILTER (WHERE number <= 300), '{}') AS tokens FROM shapes
), alike AS (
  SELECT o.id FROM organization o
  WHERE organization_tokens(o.letter, o.name_en, o.name_ru) && (SELECT tokens FROM rare)
  UNION
  SELECT o.id FROM organization o
  WHERE organization_shapes(o.letter, o.name_en, o.name_ru) && (SELECT tokens FROM rare_shapes)
  UNION
  SELECT o.id FROM organization o
  WHERE o.letter = $1 AND website_host(o.website) = $5 AND o.website IS NOT NULL
)
SELECT o.id, o.name_en, o.name_ru, o.website,
       (SELECT count(*) FROM signature s WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed')
         AS signatures,
       (SELECT s.id FROM signature s WHERE s.letter = o.letter AND s.organization = o.id
        ORDER BY s.state = 'confirmed' DESC, s.id LIMIT 1) AS signature
FROM organization o
WHERE o.letter = $1 AND o.id = ANY(ARRAY(SELECT alike.id FROM alike)) AND o.id <> $2 AND o.merged_into IS NULL
"""


@dataclass(frozen=True, slots=True)
class SimilarOrganization:
    """One that may be the same. ``signature_id`` is where to look at it; ``organization_id`` is None while it waits."""

    score: float  # 0–1
    signature_id: SignatureId
    organization_id: OrganizationId | None
    name: str
    website: str | None
    signatures: int
    looks_same: bool = False  # a name is the same to the eye, and of other letters

    @property
    def imitates_website(self) -> bool:
        """Whether the website's letters may be taken for others."""
        return self.website is not None and look_alikes.imitates(self.website)

    @property
    def ascii_host(self) -> str | None:
        """The website's host in ASCII where it is written in other letters."""
        return look_alikes.ascii_host(self.website) if self.website else None


async def load(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    own: Names,
    signature_id: SignatureId,
    organization_id: OrganizationId | None,
) -> list[SimilarOrganization]:
    """Return what is most like the organization ``own`` of a signature, the likeliest first."""
    host = host_of(own.website) if own.website else None
    rows = await conn.fetch(CANDIDATES, letter_id, organization_id or 0, own.name_en, own.name_ru, host)
    candidates = [_listed(row, own) for row in rows]
    for row in await queue_queries.held(conn, letter_id, MAX_HELD):
        if row["id"] != signature_id:
            candidates.append(_held(row, keys, own))
    best = sorted((one for one in candidates if one and one.score >= MIN_SCORE), key=lambda one: (-one.score, one.name))
    return best[:MAX_SHOWN]


async def find(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    typed: str,
    signature_id: SignatureId,
    organization_id: OrganizationId | None,
) -> list[SimilarOrganization]:
    """Return other entries with all the typed words in their names, and organizations that wait."""
    words = queue.tsquery(typed)
    rows = await organization_queries.find(conn, letter_id, organization_id or 0, words) if words else []
    listed = [_listed(row, Names(name_en=typed)) for row in rows]
    ids = set(await queue.held_like(conn, letter_id, keys, typed) if words else ()) - {signature_id}
    held = [row for row in await queue_queries.held(conn, letter_id, MAX_HELD) if row["id"] in ids] if ids else []
    return [one for one in (*listed, *(_held(row, keys, Names(name_en=typed)) for row in held)) if one]


def _listed(row: Record, own: Names) -> SimilarOrganization | None:
    if row["signature"] is None:
        return None
    other = Names(name_en=row["name_en"], name_ru=row["name_ru"], website=row["website"])
    return SimilarOrganization(
        likeness(own, other),
        row["signature"],
        row["id"],
        other.display_name or "",
        other.website,
        row["signatures"],
        looks_same(own, other),
    )


def _held(row: Record, keys: LetterKeys, own: Names) -> SimilarOrganization:
    other = queue.names_in(row, keys)
    names_of_held = Names(name_en=other.name_en, name_ru=other.name_ru, website=other.website)
    score = likeness(own, names_of_held)
    name, is_same = names_of_held.display_name or "", looks_same(own, names_of_held)
    return SimilarOrganization(score, row["id"], None, name, other.website, 0, is_same)


def likeness(one: Names, other: Names) -> float:
    """Return how likely two organizations are one: 0 (nothing in common) to 1 (the same name)."""
    pairs = ((mine, yours) for mine in _both(one) for yours in _both(other))
    by_name = max((max(_by_sound(mine, yours), _by_shape(mine, yours)) for mine, yours in pairs), default=0.0)
    hosts = [host_of(website) if website else None for website in (one.website, other.website)]
    is_same_host = hosts[0] is not None and hosts[0] == hosts[1]
    return 1 - (1 - by_name) * (1 - (SAME_WEBSITE if is_same_host else 0))


def looks_same(one: Names, other: Names) -> bool:
    """Return whether a name of one is to the eye a name of the other, and written in other letters."""
    pairs = ((names.fold(mine), names.fold(yours)) for mine in _both(one) for yours in _both(other))
    return any(mine != yours and look_alikes.shape(mine) == look_alikes.shape(yours) for mine, yours in pairs)


def _by_sound(mine: str, yours: str) -> float:
    return _shared(_trigrams(mine), _trigrams(yours))


def _by_shape(mine: str, yours: str) -> float:
    return _shared(_shapes(mine), _shapes(yours))


def _shapes(name: str) -> frozenset[str]:
    """Return the words of a name as they look."""
    return frozenset(look_alikes.shape(word) for word in _distinctive_words(name))


def _distinctive_words(name: str) -> Sequence[str]:
    words = names.words(names.fold(name))
    return [word for word in words if word not in _LEGAL_FORMS] or words


def _both(organization: Names) -> Iterable[str]:
    return filter(None, (organization.name_en, organization.name_ru))


def _trigrams(name: str) -> frozenset[str]:
    """Return the trigrams of a name's words in Latin letters, two spaces in front and one behind as in ``pg_trgm``."""
    padded = [f"  {word.translate(_LATIN)} " for word in _distinctive_words(name)]
    return frozenset(word[start : start + 3] for word in padded for start in range(len(word) - 2))


def _shared(mine: frozenset[str], yours: frozenset[str]) -> float:
    total = len(mine) + len(yours)
    return 2 * len(mine & yours) / total if total else 0.0
