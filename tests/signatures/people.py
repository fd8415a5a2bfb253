"""Letters and signatures written straight into the database, for tests of what reads them."""

import itertools
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from petition.core import email_addresses
from petition.core.database import Connection
from petition.core.encryption import LetterKeys, Wrapper, new_key
from petition.core.ids import LetterId, OrganizationId, SignatureId
from petition.letters import queries as letter_queries
from petition.signatures import names, search_words
from petition.signatures.model import Kind

SECRET = "a secret key of the tests, long enough for them"
WRAPPER = Wrapper([SECRET])
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

_slugs = itertools.count(1)


async def letter(conn: Connection, slug: str | None = None) -> tuple[LetterId, LetterKeys]:
    """Add a draft with keys of its own; return its id and its keys."""
    digest_key, name_key = new_key(), new_key()
    wrapped = WRAPPER.wrap(digest_key), WRAPPER.wrap(name_key)
    slug = slug or f"letter-{next(_slugs)}"
    added = await letter_queries.add(conn, slug, (None, None, False), wrapped, email_addresses.NEWEST)
    return added, LetterKeys(digest_key, name_key)


async def sign(conn: Connection, letter_id: LetterId, *people: str, first: datetime = NOON) -> list[SignatureId]:
    """Add public, confirmed people, each a second after the one before; return their ids."""
    ids = [SignatureId(secrets.randbits(63)) for _ in people]
    rows = [
        (letter_id, signature_id, first + timedelta(seconds=i), "person", "confirmed", "public", name, names.fold(name))
        for i, (signature_id, name) in enumerate(zip(ids, people, strict=True))
    ]
    columns = ("letter", "id", "listed_at", "kind", "state", "visibility", "name", "name_key")
    await conn.copy_records_to_table("signature", records=rows, columns=columns)
    await search_words.add(conn, [(letter_id, Kind.PERSON, word) for row in rows for word in names.words(row[-1])])
    return ids


async def organization(
    conn: Connection,
    letter_id: LetterId,
    name_en: str | None,
    name_ru: str | None = None,
    *,
    representatives: Sequence[tuple[str | None, str]] = ((None, "confirmed"),),
    listed_at: datetime = NOON,
) -> OrganizationId:
    """Add an organization with (public name or None, state) of each representative; return its id."""
    organization_id = OrganizationId(secrets.randbits(63))
    both = " ".join(filter(None, (name_en, name_ru)))
    await conn.execute(
        "INSERT INTO organization (letter, id, name_en, name_ru, name_key, listed_at) VALUES ($1, $2, $3, $4, $5, $6)",
        *(letter_id, organization_id, name_en, name_ru, names.fold(both), listed_at),
    )
    for i, (name, state) in enumerate(representatives):
        await conn.execute(
            "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, name, organization)"
            " VALUES ($1, $2, $3, 'organization', $4, $5, $6, $7)",
            *(
                letter_id,
                secrets.randbits(63),
                listed_at + timedelta(seconds=i),
                state,
                "public" if name else "organizers",
                name,
                organization_id,
            ),
        )
    words = [(letter_id, Kind.ORGANIZATION, word) for word in names.words(names.fold(both))]
    await search_words.add(conn, words)
    return organization_id
