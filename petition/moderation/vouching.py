"""An organizer vouches for an organization: by a name that readers see beside it, until it is taken back."""

from collections.abc import Sequence

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.signatures import counting, names

MIN_NAME, MAX_NAME = 2, 120
NO_NAME = N_("Enter the name that readers are to see, up to 120 characters.")
NO_CONSENT = N_("Tick the box: readers will see your name.")

VOUCH = """
INSERT INTO voucher (letter, signature, organizer, name)
SELECT letter, id, $3, $4 FROM signature
WHERE letter = $1 AND id = $2 AND kind = 'organization' AND state IN ('held', 'confirmed')
ON CONFLICT (letter, signature, organizer) DO UPDATE SET name = excluded.name, at = now()
WHERE voucher.name <> excluded.name
RETURNING signature
"""

IS_OPEN = """
SELECT EXISTS (SELECT FROM signature WHERE letter = $1 AND id = $2 AND kind = 'organization'
               AND state IN ('held', 'confirmed'))
"""

TAKE_BACK = "DELETE FROM voucher WHERE letter = $1 AND signature = $2 AND organizer = $3 RETURNING signature"

OF_SIGNATURE = "SELECT organizer, name, at FROM voucher WHERE letter = $1 AND signature = $2 ORDER BY at, organizer"


async def vouch(conn: Connection, actor: Actor, signature_id: SignatureId, typed: str, *, has_consented: bool) -> None:
    """Have the actor vouch under a name; a second time replaces it. Raises ``Refused``, ``NotFound``."""
    name = names.clean(typed)
    if not MIN_NAME <= len(name) <= MAX_NAME or names.problem_of_person(name):
        raise Refused(NO_NAME, "vouch_name")
    if not has_consented:
        raise Refused(NO_CONSENT, "vouch_consent")
    if actor.organizer_id is None or not await conn.fetchval(IS_OPEN, actor.letter_id, signature_id):
        raise NotFound("there is no such signature")
    if await conn.fetchval(VOUCH, actor.letter_id, signature_id, actor.organizer_id, name) is not None:
        await audit_log.record_by(conn, actor, "organization.vouch", ids=[signature_id])
        await counting.move_revision(conn, actor.letter_id, purge=True)


async def take_back(conn: Connection, actor: Actor, signature_id: SignatureId) -> None:
    """Take the actor's name back, from stale copies of pages as well; a second time is harmless."""
    if await conn.fetchval(TAKE_BACK, actor.letter_id, signature_id, actor.organizer_id) is not None:
        await audit_log.record_by(conn, actor, "organization.no_vouch", ids=[signature_id])
        await counting.move_revision(conn, actor.letter_id, purge=True)


async def of_signature(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Sequence[Record]:
    """Return who vouches by this signature: organizer, name, at."""
    return await conn.fetch(OF_SIGNATURE, letter_id, signature_id)
