"""Mail from the desk to signatories: a decision, a moderator's message, a question to a second address.

Moderators never see an address. What they type is stored encrypted under the letter's name key until the mail is sent.
The mail about a decision is sent ten minutes late, so that a decision undone at once sends none.
"""

import base64
from collections.abc import Mapping, Sequence

from petition.core import audit_log, email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.email_addresses import BadAddress
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.core.outbox import DirectMailJob, MailContent, MailWriter
from petition.core.tokens import Tokens
from petition.letters.keys import keys_for
from petition.moderation import notes
from petition.signatures.model import REASONS, Reason, SignatureState
from petition.signatures.signals import is_own_domain

DECISION, MESSAGE, SECOND = "decision", "message", "second"

NO_ADDRESS = N_("We have no address for this signature, so no one can write to it.")
OTHER_DOMAIN = N_("This address is not on the website’s domain.")
NO_WEBSITE = N_("This organization gave no website.")


DELETE_DECISIONS = """
DELETE FROM outbox WHERE letter = $1 AND purpose = 'decision' AND lease IS NULL
  AND (details ->> 'signature')::bigint = ANY($2::bigint[])
RETURNING (details ->> 'signature')::bigint AS signature
"""

ENQUEUE_DECISIONS = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details, due_at)
SELECT DISTINCT ON (s.id) s.letter, 'decision', s.digest, c.sealed, coalesce(s.mail_lang, 'en'),
       jsonb_build_object('signature', s.id, 'state', $3::text), now() + interval '10 minutes'
FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id
WHERE s.letter = $1 AND s.id = ANY($2::bigint[]) AND s.digest IS NOT NULL
ORDER BY s.id, c.purpose
"""

ENQUEUE_MESSAGE = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
SELECT s.letter, 'message', s.digest, c.sealed, coalesce(s.mail_lang, 'en'), $3
FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id AND c.purpose = 'representative'
WHERE s.letter = $1 AND s.id = $2 AND s.digest IS NOT NULL
RETURNING id
"""

ENQUEUE_SECOND = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
SELECT s.letter, 'second', $3, $4, coalesce(s.mail_lang, 'en'), jsonb_build_object('signature', s.id)
FROM signature s WHERE s.letter = $1 AND s.id = $2
"""

MAIL_CONTEXT = """
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


async def notify(conn: Connection, letter_id: LetterId, ids: Sequence[SignatureId], state: SignatureState) -> None:
    """Enqueue mail about the new state, for signatories whose address is stored.

    If the mail about the decision before has not been sent, it is deleted instead.
    """
    rows = await conn.fetch(DELETE_DECISIONS, letter_id, ids)
    unsent = {row["signature"] for row in rows}
    if rest := [id for id in ids if id not in unsent]:
        await conn.execute(ENQUEUE_DECISIONS, letter_id, rest, state.value)


async def send(conn: Connection, actor: Actor, keys: LetterKeys, signature_id: SignatureId, typed: str) -> None:
    """Enqueue a message to the representative. Raises ``Refused`` if no address is stored, ``KeyDestroyed``."""
    hidden = base64.b64encode(keys.hide({"text": notes.checked(typed)})).decode()
    details = {"signature": signature_id, "text": hidden}
    if await conn.fetchval(ENQUEUE_MESSAGE, actor.letter_id, signature_id, details) is None:
        raise Refused(NO_ADDRESS, "text")
    await audit_log.record_by(conn, actor, "message.send", ids=[signature_id])


async def ask_second(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    signature_id: SignatureId,
    *,
    sealer: Sealer,
    website: str | None,
    typed: str,
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
    digest = keys.digest(email_addresses.canonical(mailbox, email_addresses.NEWEST))
    await conn.execute(ENQUEUE_SECOND, actor.letter_id, signature_id, digest, sealer.seal(mailbox.address))
    await audit_log.record_by(conn, actor, "message.second", ids=[signature_id])


async def confirm_second(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bool:
    """Store that an address on the organization's own domain has confirmed; return False if there is no signature."""
    row = await conn.fetchrow(NOTE_OWN_DOMAIN, letter_id, signature_id)
    if row is None:
        return False
    if row["new"]:
        await audit_log.record(conn, None, letter_id, "message.confirmed", ids=[signature_id])
    return True


class Mails:
    """Writes these mails for the worker."""

    def __init__(self, wrapper: Wrapper, tokens: Tokens) -> None:
        self._wrapper = wrapper
        self._tokens = tokens

    @property
    def writers(self) -> Mapping[str, MailWriter]:
        return {DECISION: self._decision, MESSAGE: self._message, SECOND: self._second}

    async def _decision(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        row = await _mail_context(conn, job)
        if row is None or row["state"] != job.details["state"]:
            return None
        reason = row["removed_for"]
        why = REASONS[Reason(str(reason))] if reason in set(Reason) else None
        return MailContent("decision", {**row, "why": why, "token": self._token(job)})

    async def _message(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        row = await _mail_context(conn, job)
        if row is None or job.letter_id is None:
            return None
        try:
            keys = await keys_for(conn, job.letter_id, self._wrapper)
            text = keys.reveal(base64.b64decode(str(job.details["text"])))["text"]
        except KeyDestroyed:
            return None
        return MailContent("message", {**row, "text": text, "token": self._token(job)})

    async def _second(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        row = await _mail_context(conn, job)
        if row is None or job.letter_id is None or row["state"] not in {"held", "confirmed"}:
            return None
        token = self._tokens.for_second(job.letter_id, _signature_id(job))
        return MailContent("second", {**row, "token": token})

    def _token(self, job: DirectMailJob) -> str:
        return self._tokens.for_signature(job.letter_id or LetterId(0), _signature_id(job))


async def _mail_context(conn: Connection, job: DirectMailJob) -> Record | None:
    return await conn.fetchrow(MAIL_CONTEXT, job.letter_id, _signature_id(job)) if job.letter_id is not None else None


def _signature_id(job: DirectMailJob) -> SignatureId:
    return SignatureId(int(str(job.details["signature"])))
