"""A mail of a mailing that came back after a relay had accepted it."""

from petition.core.database import Connection
from petition.core.ids import LetterId, MailingId, SignatureId

BOUNCED = """
UPDATE mailing_stamp SET state = 'bounced'
WHERE letter = $1 AND mailing = $2 AND signature = $3 AND state = 'accepted' RETURNING signature
"""

# A relay's answer may still be on its way to the row: then the bounce is of a mail that was accepted.
BOUNCED_EARLY = """
UPDATE mailing_stamp SET state = 'bounced', begun = false, lease = NULL
WHERE letter = $1 AND mailing = $2 AND signature = $3 AND state = 'in_flight' AND begun RETURNING signature
"""


async def note_bounce(conn: Connection, letter_id: LetterId, mailing_id: MailingId, signature_id: SignatureId) -> bool:
    """Move a recipient from accepted to bounced; True only the first time. In any transaction, which locks the mailing.

    It changes nothing else: whether updates still go to the address is the caller's decision.
    """
    key = letter_id, mailing_id, signature_id
    if await conn.fetchval(BOUNCED, *key) is not None:
        return True
    return await conn.fetchval(BOUNCED_EARLY, *key) is not None
