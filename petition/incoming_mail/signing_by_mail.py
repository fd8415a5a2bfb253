"""Reading and signing a letter by mail: one mail comes, one act follows, one answer goes out.

A signature goes the way of the form: pending, then confirmed. If the mail proves its mailbox (DKIM), the proof takes
the place of the link; if not, the usual link goes out. Rules and reasons: docs/decisions/mail-in.md.
"""

import contextlib
import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from petition.captcha.model import NONCE_BYTES, Passed
from petition.core import email_addresses, metrics
from petition.core.database import Connection, Database
from petition.core.decryptions import DecryptionPurpose, decrypts_for
from petition.core.encryption import Sealer, Wrapper
from petition.core.errors import KeyDestroyed, NotFound, Refused, Unavailable
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.core.keeper import FormTexts, KeeperClient, KeeperPurpose
from petition.core.letter_mailboxes import BY_MAIL
from petition.core.prices import MAX_PRICE
from petition.core.quotas import DayKeys
from petition.core.settings import Settings
from petition.core.tokens import Tokens
from petition.incoming_mail import letter_mail, mail_answers
from petition.incoming_mail.dkim_verification import DkimVerifier, MailProof
from petition.incoming_mail.letter_mail import LetterMail, TextRead
from petition.incoming_mail.mail_answers import Answer, AnswerToSend
from petition.incoming_mail.mail_budget import MailBudget, budget_of
from petition.incoming_mail.mail_text import Unreadable
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.text_tags import marks_in
from petition.letters import published
from petition.letters import queries as letter_queries
from petition.letters.model import Letter, State
from petition.mail.mail_hosts import MailHosts
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.return_path import MailboxMail, ReturnPaths
from petition.signatures import forms, later_form, queries, sealed_names
from petition.signatures.confirming import Confirming, ConfirmRequest, ConfirmResult
from petition.signatures.model import Kind
from petition.signatures.signing import PendingSignature, Signing, SignOutcome, SignRequest
from petition.stored_data.notice import NOTICE_VERSION

REMEMBERED = timedelta(days=14)  # how long the same mail counts once; older signatures are refused
CODE_FACTOR = 2  # times ``LIMIT_CODE``: codes a day that mails in the name of a mailbox may try

ENCRYPTED = N_("Your e-mail was encrypted or sealed in a container. We can only read plain text.")
ATTACHMENT = N_("Your e-mail had no text that we could read. Please send plain text, without attachments.")
TOO_BIG = N_("Your e-mail was too big. Please send plain text, without pictures or attachments.")
BROKEN = N_("We could not read your e-mail. Please send plain text.")
ORGANIZATION = N_("Organizations cannot sign by e-mail. Please use the form on the letter’s page.")
TWO_ANSWERS = N_("Your e-mail gave two different answers to one question. Please send one line.")
UNKNOWN_TEXT = N_("We could not tell which text you read. Here it is; please reply to this e-mail.")
FORMER_TEXT = N_("The text has changed since you read it. Here is the new one; please read it before you sign.")
CLOSED = N_("This letter no longer takes signatures.")
STOPPED = N_("Signing is stopped for now. Please try again later.")
REMOVED = N_("The organizers removed a signature made from this mailbox. It cannot sign this letter again.")
WRONG_CODE = N_("This code does not match this address, or it is more than 24 hours old.")
TROUBLES = {
    Unreadable.ENCRYPTED: ENCRYPTED,
    Unreadable.ATTACHMENT: ATTACHMENT,
    Unreadable.TOO_BIG: TOO_BIG,
    Unreadable.BROKEN: BROKEN,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _LetterVisit:
    """One mail to one letter."""

    mail: LetterMail
    letter: Letter
    budget: MailBudget
    lang: str
    proof: MailProof | None
    digest: bytes  # of the sender's mailbox, as the letter knows it
    nonce: bytes  # the same each time the same mail comes
    is_own_act: bool  # proven, and the line is the sender's: it confirms itself

    @property
    def signature_id(self) -> SignatureId:
        """The id of what it signs: the same mail, handed over again after a crash, goes on where it was."""
        return SignatureId(int.from_bytes(self.letter.keys.digest(f"mail {self.nonce.hex()}")[:8]) >> 1)


class SigningByMail:
    """Takes the mails to letters of one installation. Made on the worker's loop, or in the pipe's process."""

    def __init__(
        self, settings: Settings, database: Database, languages: tuple[str, ...], keeper: KeeperClient | None = None
    ) -> None:
        self._domain = settings.mail_in or ""
        self._limits = settings.limits
        self._languages = languages
        self._database = database
        self._wrapper = Wrapper(settings.secret_keys)
        self._keeper = keeper or KeeperClient(None)
        self._tokens = Tokens(settings.secret_keys)
        self._return_paths = ReturnPaths(settings.secret_keys, settings.bounce_domain)
        self._sealer = Sealer(settings.contact_public_key)
        self._days = DayKeys(database, self._wrapper)
        self._signing = Signing(database, settings.limits, self._sealer)
        self._confirming = Confirming(database, settings.limits)
        self._verifier = DkimVerifier(settings.mx_resolver)
        self._notes = MailboxNotes(database, self._wrapper, MailHosts(settings.mx_resolver), self._keeper)

    @decrypts_for(DecryptionPurpose.MAIL_IN)
    async def receive(self, envelope_from: str, recipient: str, message: bytes) -> Outcome:
        """Take one message, as ``MailReceiver`` says. A null sender is a bounce, and is not answered."""
        try:
            outcome = await self._take(recipient, message) if envelope_from else "ignored"
        except Unavailable:
            return Outcome.LATER
        except (NotFound, KeyDestroyed):
            outcome = "ignored"
        metrics.MAILS_IN.labels(outcome).inc()
        return Outcome.DONE

    async def _take(self, recipient: str, message: bytes) -> str:
        mail = letter_mail.read(message, recipient, self._domain)
        letter = await self._letter(mail) if mail else None
        if mail is None or letter is None:
            return "ignored"
        proof = await self._verifier.verify(message, mail.sender.domain)
        visit = await self._visit(mail, letter, proof)
        async with self._database.transaction() as conn:
            if not await visit.budget.allows_unproven(conn):
                return "over the limit"
        return await self._act(visit)

    async def _letter(self, mail: LetterMail) -> Letter | None:
        async with self._database.connection() as conn:
            row = await letter_queries.by_slug(conn, mail.slug)
            if row is None:
                return None
            letter = await published.read_with_switches(conn, self._wrapper, row["id"])
        return letter if letter.takes_mail and letter.state is not State.GONE else None

    async def _visit(self, mail: LetterMail, letter: Letter, proof: MailProof | None) -> _LetterVisit:
        mailbox = email_addresses.canonical(mail.sender, letter.rules_version)
        texts, day = FormTexts(mailbox, ""), await self._days.today()
        digests = await self._keeper.of_form(letter.keys, texts, day, KeeperPurpose.MAIL_IN)
        budget = await budget_of(
            self._days,
            self._limits,
            letter.id,
            mail.sender,
            mailbox=mailbox,
            name=digests.quota_name,
            is_proven=proof is not None,
        )
        unproven = f"{budget.mailbox}|{mail.header.message_id}|{mail.text}".encode(errors="replace")
        nonce = (proof.digest if proof else hashlib.sha256(unproven).digest())[:NONCE_BYTES]
        lang = mail.lang(self._languages)
        is_answer = self._answers_us(mail, letter, {digests.mailbox, letter.keys.digest(mailbox)})
        is_own_act = proof is not None and mail.is_line_by_sender(is_answer_to_us=is_answer)
        nonce = letter.keys.digest(f"nonce {nonce.hex()}")
        return _LetterVisit(mail, letter, budget, lang, proof, digests.mailbox, nonce, is_own_act)

    def _answers_us(self, mail: LetterMail, letter: Letter, digests: Collection[bytes]) -> bool:
        """Return whether it is a reply to a mail of ours to this mailbox: by the subject, or by our Message-ID.

        Mails from before the letter was switched to the keeper hold its former digest.
        """
        token = self._return_paths.first_valid([mail.header.references])
        if token is not None and token.mail in [MailboxMail(letter.id, digest) for digest in digests]:
            return True
        marks = list(marks_in(mail.header.subject))
        return any(self._tokens.is_answer_mark(mark, letter.id, one) for mark in marks for one in digests)

    async def _act(self, visit: _LetterVisit) -> str:
        mail, letter = visit.mail, visit.letter
        if mail.trouble is not None:
            return await self._answer(visit, AnswerToSend(Answer.PROBLEM, (TROUBLES[mail.trouble],)), once=mail.trouble)
        if not mail.lines:
            return await (self._confirm_by_code(visit, mail.code) if mail.code else self._send_letter(visit))
        if "organization" in mail.lines.fields:
            return await self._answer(visit, _final(ORGANIZATION), once="organization")
        if not letter.takes_signatures:
            return await self._send_letter(visit, STOPPED if letter.is_open else CLOSED)
        text_read = mail.text_read(letter.version)
        if text_read is not TextRead.CURRENT:
            return await self._send_letter(visit, FORMER_TEXT if text_read is TextRead.FORMER else UNKNOWN_TEXT)
        return await self._sign(visit)

    async def _send_letter(self, visit: _LetterVisit, reason: str = "") -> str:
        reasons = (reason,) if reason else ()
        return await self._answer(visit, AnswerToSend(Answer.LETTER, reasons))

    async def _sign(self, visit: _LetterVisit) -> str:
        form = forms.read(_form(visit), self._languages)
        if isinstance(form, dict) or visit.mail.lines.unclear:
            errors = form if isinstance(form, dict) else {}
            unclear = visit.mail.lines.unclear
            reasons = [message for name, message in errors.items() if name not in unclear]
            return await self._answer(
                visit, AnswerToSend(Answer.PROBLEM, (*((TWO_ANSWERS,) if unclear else ()), *reasons))
            )
        outcome = await self._signing.submit(self._request(visit, form))
        match outcome:
            case SignOutcome.STORED | SignOutcome.DUPLICATE:
                return await self._confirm(visit) if visit.is_own_act else "link mailed"
            case SignOutcome.CLOSED | SignOutcome.STOPPED:
                return await self._send_letter(visit, CLOSED if outcome is SignOutcome.CLOSED else STOPPED)
            case SignOutcome.SUPERSEDED:
                return await self._send_letter(visit, FORMER_TEXT)
            case _:
                return "over the limit"

    def _request(self, visit: _LetterVisit, form: forms.SignForm) -> SignRequest:
        letter, budget = visit.letter, visit.budget
        fields = {**form.fields, "visibility": form.visibility.value}
        signals = {**(form.signals or {}), BY_MAIL: "dkim" if visit.is_own_act else "link"}
        if letter.seals_names:
            signals |= sealed_names.signals_before(fields)
            fields = sealed_names.seal(self._sealer, fields)
        read_lang = visit.mail.lines.lang or visit.lang
        pending = PendingSignature(
            id=visit.signature_id,
            kind=Kind.PERSON,
            fields=letter.keys.hide(fields),
            version=letter.version.number,
            consent=NOTICE_VERSION,
            read_lang=letter.shown_in(read_lang),
            signals=signals,
        )
        return SignRequest(
            letter_id=letter.id,
            digest=visit.digest,
            is_kept=letter.keys.is_kept,
            address=visit.mail.sender.address,
            mail_lang=visit.lang,
            challenge=Passed(visit.nonce, datetime.now(UTC) + REMEMBERED, MAX_PRICE),
            buckets=budget.buckets,
            mails=budget.mails,
            drawn=budget.drawn,
            form=visit.nonce,
            pending=pending,
            is_proven=visit.is_own_act,
        )

    async def _confirm(self, visit: _LetterVisit) -> str:
        """Confirm what the proven mail signs. Its domain is noted first, as before a link is mailed: ceilings count."""
        letter, sender = visit.letter, visit.mail.sender
        async with self._database.connection() as conn:
            row = await letter_queries.letter_keys(conn, letter.id)
        wrapped = None if row is None else row["wrapped_digest_key"]
        await self._notes.note(letter.id, visit.signature_id, sender.address, wrapped)
        return await self._confirmed(visit, visit.signature_id)

    async def _confirmed(self, visit: _LetterVisit, signature_id: SignatureId) -> str:
        letter = visit.letter
        confirmation = await self._confirming.submit(ConfirmRequest(letter.id, signature_id, letter.keys))
        own_id = confirmation.earlier_id or signature_id
        if confirmation.earlier_id is not None:
            with contextlib.suppress(Refused, NotFound):  # it stays as it was
                await later_form.replace_by(self._database, letter, confirmation.earlier_id, signature_id)
        match confirmation.result:
            case ConfirmResult.CONFIRMED | ConfirmResult.HELD:
                is_held = confirmation.result is ConfirmResult.HELD
                answer = AnswerToSend(Answer.SIGNED, (), own_id, is_held)
                return await self._answer(visit, answer, once=visit.nonce.hex()) and "signed"
            case ConfirmResult.STOPPED | ConfirmResult.GONE:
                return await self._send_letter(visit, STOPPED if letter.is_open else CLOSED)
            case ConfirmResult.REMOVED:
                return await self._answer(visit, _final(REMOVED), once="removed")

    async def _confirm_by_code(self, visit: _LetterVisit, code: str) -> str:
        """Confirm what the mailed code belongs to, if it is this mailbox's."""
        letter = visit.letter
        async with self._database.transaction() as conn:
            if not await visit.budget.allows_code(conn, self._limits.code * CODE_FACTOR):
                return "over the limit"
        async with self._database.connection() as conn:
            rows = await queries.find_by_code(conn, letter.id, visit.digest)
        fitting_ids = [row["id"] for row in rows if self._tokens.is_code(code, letter.id, row["id"])]
        if not fitting_ids:
            return await self._answer(visit, _final(WRONG_CODE), once="code")
        return await self._confirmed(visit, fitting_ids[0])

    async def _answer(self, visit: _LetterVisit, answer: AnswerToSend, *, once: str = "") -> str:
        async with self._database.transaction() as conn:
            if not await visit.budget.allows_answer(conn, answer.kind, once):
                return "over the limit"
            await self._enqueue(conn, visit, answer)
        return "refused" if answer.kind is Answer.PROBLEM else "answered"

    async def _enqueue(self, conn: Connection, visit: _LetterVisit, answer: AnswerToSend) -> None:
        sealed = self._sealer.seal(visit.mail.sender.address)
        await mail_answers.enqueue(conn, visit.letter, answer, digest=visit.digest, sealed=sealed, lang=visit.lang)


def _final(reason: str) -> AnswerToSend:
    """Return an answer that does not ask for the line again: filling it in would change nothing."""
    return AnswerToSend(Answer.PROBLEM, (reason,), can_retry=False)


def _form(visit: _LetterVisit) -> dict[str, str]:
    """Return what the line says as the form's fields. Sending it is the consent: the line's first words say so."""
    fields = {name: value for name, value in visit.mail.lines.fields.items() if name not in visit.mail.lines.unclear}
    return {**fields, "kind": Kind.PERSON.value, "email": visit.mail.sender.address, "consent": "yes"}
