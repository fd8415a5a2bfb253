"""Mail from the desk to signatories: that a decision was taken, a moderator's message, a question to a second address.

Moderators never see an address. What they type travels encrypted under the letter's name key, and the row goes once the
mail has. A decision is told ten minutes late, so that one that is undone at once disturbs nobody.
"""

import base64
from collections.abc import Mapping, Sequence

from petition.core import audit_log, email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.email_addresses import BadAddress
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.core.outbox import DirectMailJob, MailContent, MailWriter
from petition.core.tokens import Tokens
from petition.letters.keys import keys_for
from petition.moderation import message_queries as queries
from petition.moderation import notes
from petition.signatures.model import REASONS, Reason, SignatureState
from petition.signatures.signals import is_own_domain

DECISION, MESSAGE, SECOND = "decision", "message", "second"

NO_ADDRESS = N_("We have no address for this signature, so no one can write to it.")
OTHER_DOMAIN = N_("This address is not on the website’s domain.")
NO_WEBSITE = N_("This organization gave no website.")


async def notify(conn: Connection, letter_id: LetterId, ids: Sequence[int], state: SignatureState) -> None:
    """Have those whose address is kept be told where their signature stands now.

    Whoever has not been told of the decision before is not told that it was taken back either.
    """
    untold = await queries.take_back(conn, letter_id, ids)
    if rest := [id for id in ids if id not in untold]:
        await queries.enqueue_decisions(conn, letter_id, rest, state.value)


async def send(conn: Connection, by: Actor, keys: LetterKeys, signature_id: SignatureId, typed: str) -> None:
    """Write to the representative. Raises ``Refused`` if no address is kept, ``KeyDestroyed``."""
    hidden = base64.b64encode(keys.hide({"text": notes.checked(typed)})).decode()
    if not await queries.add_message(conn, by.letter_id, signature_id, {"signature": signature_id, "text": hidden}):
        raise Refused(NO_ADDRESS, "text")
    await audit_log.record(conn, by.organizer_id, by.letter_id, "message.send", ids=[signature_id])


async def ask_second(
    conn: Connection,
    by: Actor,
    keys: LetterKeys,
    sealer: Sealer,
    signature_id: SignatureId,
    website: str | None,
    typed: str,
) -> None:
    """Ask at another address on the organization's own domain whether it has signed. Raises ``Refused``."""
    try:
        mailbox = email_addresses.parse(typed)
    except BadAddress as error:
        raise Refused(error.message, "second") from None
    if not website:
        raise Refused(NO_WEBSITE, "second")
    if not is_own_domain(mailbox.domain, website):
        raise Refused(OTHER_DOMAIN, "second")
    digest = keys.digest(email_addresses.canonical(mailbox, email_addresses.NEWEST))
    sealed = sealer.seal(mailbox.address)
    await queries.add_second(conn, by.letter_id, digest, sealed, signature_id)
    await audit_log.record(conn, by.organizer_id, by.letter_id, "message.second", ids=[signature_id])


async def confirm_second(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bool:
    """Note that somebody on the organization's own domain has said yes; tell whether it still matters."""
    row = await queries.note_own_domain(conn, letter_id, signature_id)
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
        """Who writes the mails of each purpose."""
        return {DECISION: self._decision, MESSAGE: self._message, SECOND: self._second}

    async def _decision(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        found = await self._about(conn, job)
        if found is None or found["state"] != job.details["state"]:
            return None
        reason = found["removed_for"]
        why = REASONS[Reason(str(reason))] if reason in set(Reason) else None
        return MailContent("decision", {**found, "why": why, "token": self._token(job)})

    async def _message(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        found = await self._about(conn, job)
        if found is None or job.letter_id is None:
            return None
        try:
            keys = await keys_for(conn, job.letter_id, self._wrapper)
            text = keys.reveal(base64.b64decode(str(job.details["text"])))["text"]
        except KeyDestroyed:
            return None
        return MailContent("message", {**found, "text": text, "token": self._token(job)})

    async def _second(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        found = await self._about(conn, job)
        if found is None or job.letter_id is None or found["state"] not in {"held", "confirmed"}:
            return None
        token = self._tokens.for_second(job.letter_id, _signature(job))
        return MailContent("second", {**found, "token": token})

    async def _about(self, conn: Connection, job: DirectMailJob) -> dict[str, object] | None:
        row = await queries.about(conn, job.letter_id, _signature(job)) if job.letter_id is not None else None
        return dict(row) if row else None

    def _token(self, job: DirectMailJob) -> str:
        return self._tokens.for_signature(job.letter_id or LetterId(0), _signature(job))


def _signature(job: DirectMailJob) -> SignatureId:
    return SignatureId(int(str(job.details["signature"])))
