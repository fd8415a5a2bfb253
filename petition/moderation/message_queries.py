"""All SQL of mail from the desk to signatories."""

from collections.abc import Mapping, Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, SignatureId

TAKE_BACK = """
DELETE FROM outbox WHERE letter = $1 AND purpose = 'decision' AND lease IS NULL
  AND (details ->> 'signature')::bigint = ANY($2::bigint[])
RETURNING (details ->> 'signature')::bigint AS signature
"""

TELL = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details, due_at)
SELECT DISTINCT ON (s.id) s.letter, 'decision', s.digest, c.sealed, coalesce(s.mail_lang, 'en'),
       jsonb_build_object('signature', s.id, 'state', $3::text), now() + interval '10 minutes'
FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id
WHERE s.letter = $1 AND s.id = ANY($2::bigint[]) AND s.digest IS NOT NULL
ORDER BY s.id, c.purpose
"""

ADD_MESSAGE = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
SELECT s.letter, 'message', s.digest, c.sealed, coalesce(s.mail_lang, 'en'), $3
FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id AND c.purpose = 'representative'
WHERE s.letter = $1 AND s.id = $2 AND s.digest IS NOT NULL
RETURNING id
"""

ADD_SECOND = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
SELECT s.letter, 'second', $3, $4, coalesce(s.mail_lang, 'en'), jsonb_build_object('signature', s.id)
FROM signature s WHERE s.letter = $1 AND s.id = $2
"""

ABOUT = """
SELECT l.slug, s.kind::text AS kind, s.state::text AS state, s.removed_for, s.mail_lang
FROM signature s JOIN letter l ON l.id = s.letter WHERE s.letter = $1 AND s.id = $2
"""

NOTE_OWN_DOMAIN = """
UPDATE signature s SET flags = array_remove(s.flags, 'other_domain'),
       signals = coalesce(s.signals, '{}') || '{"own_domain": true, "second": true}'
FROM (SELECT id, coalesce(signals, '{}') ? 'second' AS known FROM signature
      WHERE letter = $1 AND id = $2 AND kind = 'organization' AND state IN ('held', 'confirmed') FOR UPDATE) AS before
WHERE s.letter = $1 AND s.id = before.id RETURNING NOT before.known AS new
"""


async def take_back(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> set[int]:
    """Drop the decisions that nobody was told of yet; return whose they were."""
    return {row["signature"] for row in await conn.fetch(TAKE_BACK, letter_id, ids)}


async def enqueue_decisions(conn: Connection, letter_id: LetterId, ids: Sequence[int], state: str) -> None:
    """Ask for a mail to those whose address is kept."""
    await conn.execute(TELL, letter_id, ids, state)


async def add_message(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, details: Mapping[str, object]
) -> bool:
    """Ask for a mail to a representative; tell whether an address is kept."""
    return await conn.fetchval(ADD_MESSAGE, letter_id, signature_id, dict(details)) is not None


async def add_second(
    conn: Connection, letter_id: LetterId, digest: bytes, sealed: bytes, signature_id: SignatureId
) -> None:
    """Ask for a mail to another address of the organization."""
    await conn.execute(ADD_SECOND, letter_id, signature_id, digest, sealed)


async def about(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    """Return what mails say of a signature."""
    return await conn.fetchrow(ABOUT, letter_id, signature_id)


async def note_own_domain(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    """Note the evidence; return whether it is new, or None if there is no such signature any more."""
    return await conn.fetchrow(NOTE_OWN_DOMAIN, letter_id, signature_id)
