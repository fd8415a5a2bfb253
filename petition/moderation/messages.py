"""Mail from the desk to signatories: a decision, a moderator's message, a question to a second address.

Moderators never see an address. What they type is stored encrypted under the letter's name key until the mail is sent.
The mail about a decision is sent ten minutes late, so that a decision undone at once sends none.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petition.core import audit_log, letter_facts
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, MessageId, SignatureId
from petition.core.letter_facts import LetterFacts
from petition.core.outbox import DirectMailJob, MailContent, MailWriter
from petition.core.tokens import Tokens
from petition.letters.keys import keys_for
from petition.moderation import message_threads, notes, second_mailbox
from petition.signatures.model import REASONS, Reason, SignatureState

DECISION, MESSAGE = "decision", "message"

NO_ADDRESS = N_("We have no address for this signature, so no one can write to it.")


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

MAIL_CONTEXT = """
SELECT s.kind::text AS kind, s.state::text AS state, s.removed_for, s.name, s.private, o.name_en, o.name_ru
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = $2
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
    text = notes.checked(typed)
    # lock order: see docs/decisions/lock-order.md
    message_id = await message_threads.add_sent(conn, actor, keys, signature_id, text)
    details = {"signature": signature_id, "message": message_id}
    if await conn.fetchval(ENQUEUE_MESSAGE, actor.letter_id, signature_id, details) is None:
        raise Refused(NO_ADDRESS, "text")
    await audit_log.record_by(conn, actor, "message.send", ids=[signature_id])


@dataclass(frozen=True, slots=True)
class _MailSubject:
    """The signature that a mail is about, and its letter."""

    row: Record
    letter: LetterFacts
    keys: LetterKeys

    def mail(self, template: str, context: Mapping[str, object]) -> MailContent:
        names = letter_facts.names_in(self.row, self.keys)
        return MailContent(template, {"slug": self.letter.slug, **context}, letter=self.letter, names=names)


class Mails:
    """Writes these mails for the worker."""

    def __init__(self, wrapper: Wrapper, tokens: Tokens) -> None:
        self._wrapper = wrapper
        self._tokens = tokens

    @property
    def writers(self) -> Mapping[str, MailWriter]:
        return {DECISION: self._decision, MESSAGE: self._message, second_mailbox.PURPOSE: self._second}

    async def _decision(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        subject = await self._subject(conn, job)
        if subject is None or subject.row["state"] != job.details["state"]:
            return None
        reason = subject.row["removed_for"]
        why = REASONS[Reason(str(reason))] if reason in set(Reason) else None
        facts = {"kind": subject.row["kind"], "state": subject.row["state"], "why": why, "token": self._token(job)}
        return subject.mail("decision", facts)

    async def _message(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        subject = await self._subject(conn, job)
        if subject is None or job.letter_id is None:
            return None
        message_id = _id_in(job.details, "message")
        message = None if message_id is None else await message_threads.sent(conn, job.letter_id, MessageId(message_id))
        if message_id is not None and message is None:  # deleted meanwhile
            return None
        # Jobs written by releases before the thread hold the text themselves.
        hidden = message["text"] if message else base64.b64decode(str(job.details["text"]))
        text = notes.revealed(subject.keys, hidden)
        if text is None:
            return None
        reply = self._tokens.for_reply(job.letter_id, MessageId(message_id)) if message_id is not None else None
        return subject.mail("message", {"text": text, "token": self._token(job), "reply": reply})

    async def _second(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        subject = await self._subject(conn, job)
        if subject is None or job.letter_id is None or subject.row["state"] not in {"held", "confirmed"}:
            return None
        token = self._tokens.for_second(job.letter_id, _signature_id(job))
        return subject.mail("second", {"token": token})

    async def _subject(self, conn: Connection, job: DirectMailJob) -> "_MailSubject | None":
        if job.letter_id is None:
            return None
        row = await conn.fetchrow(MAIL_CONTEXT, job.letter_id, _signature_id(job))
        letter = await letter_facts.load(conn, job.letter_id)
        if row is None or letter is None:
            return None
        return _MailSubject(row, letter, await keys_for(conn, job.letter_id, self._wrapper))

    def _token(self, job: DirectMailJob) -> str:
        return self._tokens.for_signature(job.letter_id or LetterId(0), _signature_id(job))


def _id_in(details: Mapping[str, object], key: str) -> int | None:
    return int(str(details[key])) if key in details else None


def _signature_id(job: DirectMailJob) -> SignatureId:
    return SignatureId(int(str(job.details["signature"])))
