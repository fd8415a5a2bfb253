"""The question to another mailbox of an organization, on its website's domain: has the organization signed?

The answer is evidence in ``signature.signals``: ``second`` for yes, ``second_no`` for no, which is also a flag. The
last answer counts. The signature's state never moves by it.
"""

from collections.abc import Mapping

from petition.core import access_journal, audit_log, email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.email_addresses import BadAddress
from petition.core.encryption import LetterKeys, Sealer
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.core.keeper import NO_KEEPER, KeeperClient, KeeperPurpose
from petition.signatures import counting
from petition.signatures.signals import is_own_domain

PURPOSE = "second"
MAX_QUESTIONS = 20  # an hour, organizer and letter: the address is typed, and its owner asked for nothing
YES, NO = "second", "second_no"  # in signature.signals

OTHER_DOMAIN = N_("This address is not on the website’s domain.")
NO_WEBSITE = N_("This organization gave no website.")
TOO_MANY = N_("You have asked many addresses in the last hour. Try again later.")

ENQUEUE = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
SELECT s.letter, 'second', $3, $4, coalesce(s.mail_lang, 'en'), jsonb_build_object('signature', s.id)
FROM signature s WHERE s.letter = $1 AND s.id = $2
"""

# The flag returns with every new no, also after a moderator has reviewed the former one.
ANSWER = """
UPDATE signature s
SET signals = (coalesce(s.signals, '{}') - '{second,second_no}'::text[]) || jsonb_build_object($3::text, true),
    flags = CASE WHEN $3 = 'second' THEN array_remove(array_remove(s.flags, 'other_domain'), 'denied')
                 ELSE array_append(array_remove(s.flags, 'denied'), 'denied') END
FROM (SELECT id, coalesce(signals, '{}') ? $3 AS is_known FROM signature
      WHERE letter = $1 AND id = $2 AND kind = 'organization' AND state IN ('held', 'confirmed') FOR UPDATE) AS before
WHERE s.letter = $1 AND s.id = before.id AND NOT before.is_known RETURNING s.id
"""

LOGGED = {YES: "message.confirmed", NO: "message.denied"}


async def ask(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    signature_id: SignatureId,
    *,
    sealer: Sealer,
    website: str | None,
    typed: str,
    keeper: KeeperClient = NO_KEEPER,
) -> None:
    """Ask at another address, on the organization's own domain, whether it has signed. Raises ``Refused``."""
    try:
        mailbox = email_addresses.parse(typed)
    except BadAddress as error:
        raise Refused(error.message, "second") from None
    if not website:
        raise Refused(NO_WEBSITE, "second")
    if not is_own_domain(mailbox.domain, website):
        raise Refused(OTHER_DOMAIN, "second")
    if await access_journal.add(conn, "mail.second", actor.organizer_id, actor.letter_id) > MAX_QUESTIONS:
        raise Refused(TOO_MANY, "second")
    canonical = email_addresses.canonical(mailbox, email_addresses.NEWEST)
    digest = await keeper.digest(keys, canonical, KeeperPurpose.DESK)
    await conn.execute(ENQUEUE, actor.letter_id, signature_id, digest, sealer.seal(mailbox.address))
    await audit_log.record_by(conn, actor, "message.second", ids=[signature_id])


async def store_answer(conn: Connection, letter_id: LetterId, signature_id: SignatureId, answer: str) -> None:
    """Store ``YES`` or ``NO``. The same answer again, or one about a signature that is gone, changes nothing."""
    if await conn.fetchval(ANSWER, letter_id, signature_id, answer) is not None:
        await audit_log.record(conn, None, letter_id, LOGGED[answer], ids=[signature_id])
        await counting.move_revision(conn, letter_id)  # pages say how an organization is proven


def answer_in(signals: Mapping[str, object] | None) -> str | None:
    """Return the stored answer; None if there is none."""
    return next((answer for answer in (YES, NO) if answer in (signals or {})), None)
