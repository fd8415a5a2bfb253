"""Which mail a job becomes. Only the worker decides this: the web writes the same row for every address.

Nothing here is a transaction: if something changes after the choice, the page that the link opens says so.
"""

from collections.abc import Callable, Mapping, Sequence

from petition.core import letter_facts
from petition.core.database import Connection, Record
from petition.core.decryptions import DecryptionPurpose, decrypting_for
from petition.core.encryption import LetterKeys, Opener, Wrapper
from petition.core.errors import PetitionError, Unavailable
from petition.core.ids import JobId, LetterId, SignatureId
from petition.core.letter_facts import LetterFacts, SignatoryNames
from petition.core.letter_mailboxes import BY_MAIL, address_of
from petition.core.outbox import DirectMailJob, MailWriter
from petition.mail import queries
from petition.mail.model import ChosenMail, DirectMail, MailJob, Purpose, SignatureRef, Template
from petition.mail.suppression import Suppression

Choice = ChosenMail | DirectMail | Exception | None

# By the purpose of the outbox row; the mails of all others go to organizers.
DECRYPTS_FOR: Mapping[str, DecryptionPurpose] = {
    Purpose.SIGN: DecryptionPurpose.CONFIRMATION,
    Purpose.REMIND: DecryptionPurpose.REMINDER,
    Purpose.FIND: DecryptionPurpose.LOST_LINK,
    "decision": DecryptionPurpose.SIGNATORY_MAIL,
    "message": DecryptionPurpose.SIGNATORY_MAIL,
    "second": DecryptionPurpose.SIGNATORY_MAIL,
    "mail_in": DecryptionPurpose.MAIL_IN,
    "addressee": DecryptionPurpose.ADDRESSEE,
    "audit": DecryptionPurpose.AUDIT,
}


class MailSelector:
    """Opens addresses and picks mails. ``writers`` write the direct mails, each those of one purpose."""

    def __init__(
        self,
        opener: Opener,
        wrapper: Wrapper,
        suppression: Suppression,
        writers: Mapping[str, MailWriter] | None = None,
        mail_in: str | None = None,
    ) -> None:
        self._opener = opener
        self._wrapper = wrapper
        self._suppression = suppression
        self._writers = dict(writers or {})
        self._mail_in = mail_in

    async def choose(self, conn: Connection, job: MailJob) -> ChosenMail | DirectMail | None:
        """Return the mail that ``job`` becomes at this moment, or None.

        Raises ``KeyDestroyed`` if the address was sealed to another key, ``PetitionError`` if it is none,
        ``Unavailable`` if the database is lost.
        """
        (chosen,) = (await self.choose_all(conn, [job])).values()
        if isinstance(chosen, Exception):
            raise chosen
        return chosen

    async def choose_all(self, conn: Connection, jobs: Sequence[MailJob]) -> dict[JobId, Choice]:
        """Return the mail that each of ``jobs`` becomes at this moment, or for one what ``choose`` would raise.

        Those of signatories take a few statements for all of them. Raises ``Unavailable``.
        """
        signing = [job for job in jobs if job.letter_id is not None and job.purpose in {Purpose.SIGN, Purpose.REMIND}]
        chosen = await self._for_signing(conn, signing) if signing else {}
        for job in jobs:
            if job.id not in chosen:
                chosen[job.id] = await self._choose_other(conn, job)
        return chosen

    async def _choose_other(self, conn: Connection, job: MailJob) -> Choice:
        try:
            with decrypting_for(_decrypts_for(job)):
                if job.letter_id is not None and job.purpose == Purpose.FIND:
                    return await self._for_finding(conn, job, job.letter_id)
                return await self._direct(conn, job)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one job must not stop the others
            return error

    async def _direct(self, conn: Connection, job: MailJob) -> DirectMail | None:
        writer = self._writers.get(job.purpose)
        if writer is None or job.sealed is None:
            raise PetitionError("no writer is registered for this purpose")
        mail = await writer(conn, DirectMailJob(job.letter_id, job.digest, job.lang, job.details))
        if mail is None:
            return None
        address = self._opener.open(job.sealed, job.letter_id, _decrypts_for(job))
        if not mail.heeds_never:
            return DirectMail(mail, address, None)
        never = await self._suppression.digest(conn, address)
        (stored,) = await self._suppression.stored(conn, [never])
        is_suppressed = bool(await queries.suppressed(conn, [(job, stored)]))
        if mail.note_recipient is not None:
            await mail.note_recipient(conn, stored, is_suppressed)
        return None if is_suppressed else DirectMail(mail, address, never)

    async def _for_signing(self, conn: Connection, jobs: Sequence[MailJob]) -> dict[JobId, Choice]:
        letter_ids = {job.letter_id for job in jobs if job.letter_id is not None}
        letters = {letter_id: await letter_facts.load(conn, letter_id) for letter_id in letter_ids}
        facts = await queries.sign_facts(conn, jobs)
        keys = {letter_id: self._keys(letter, letter_id) for letter_id, letter in letters.items() if letter}
        chosen = dict[JobId, Choice](dict.fromkeys(job.id for job in jobs))  # a row is missing: confirmed, or expired
        recipients = self._open_all(jobs, facts, await self._suppression.digester(conn))
        digests = [(job, one[1]) for job in jobs if isinstance(one := recipients.get(job.id), tuple)]
        stored = await self._suppression.stored(conn, [digest for _, digest in digests])
        pairs = [(job, digest) for (job, _), digest in zip(digests, stored, strict=True)]
        suppressed = await queries.suppressed(conn, pairs)
        for job in jobs:
            recipient, letter = recipients.get(job.id), letters.get(job.letter_id) if job.letter_id else None
            if isinstance(recipient, Exception):
                chosen[job.id] = recipient
            elif recipient is not None and letter is not None and job.letter_id and job.id not in suppressed:
                chosen[job.id] = self._answer(job, letter, keys[job.letter_id], facts[job.id], recipient)
        return chosen

    def _open_all(
        self, jobs: Sequence[MailJob], facts: Mapping[JobId, Record], digest: Callable[[str], bytes]
    ) -> dict[JobId, tuple[str, bytes] | Exception]:
        """Return the address of each job, and its suppression digest; or why it cannot be mailed."""
        recipients = dict[JobId, tuple[str, bytes] | Exception]()
        for job in jobs:
            if (row := facts.get(job.id)) is None:
                continue
            try:
                address = self._opener.open(row["sealed"], job.letter_id, _decrypts_for(job))
                recipients[job.id] = address, digest(address)
            except Exception as error:  # noqa: BLE001 - one job must not stop the others
                recipients[job.id] = error
        return recipients

    def _answer(
        self, job: MailJob, letter: LetterFacts, keys: LetterKeys, row: Record, recipient: tuple[str, bytes]
    ) -> Choice:
        try:
            with decrypting_for(_decrypts_for(job)):
                return self._answer_to_signing(job, letter, keys, row, recipient)
        except Exception as error:  # noqa: BLE001 - one job must not stop the others
            return error

    def _answer_to_signing(
        self, job: MailJob, letter: LetterFacts, keys: LetterKeys, row: Record, recipient: tuple[str, bytes]
    ) -> ChosenMail | None:
        answer = _template_of(row)
        if answer is None or job.letter_id is None:
            return None
        template, id = answer
        if job.purpose == Purpose.REMIND:
            if template is not Template.CONFIRM:  # confirmed or removed meanwhile: there was a mail about it
                return None
            template = Template.REMINDER
        names = _names_typed(row, keys) if template.leads_to_confirming else letter_facts.names_in(row, keys)
        refs = () if id is None else (SignatureRef(SignatureId(id), row["kind"], names),)
        code_works = template is Template.CONFIRM and row["code_works"]
        is_by_mail = self._mail_in is not None and BY_MAIL in (row["signals"] or {}) and code_works
        reply_to = address_of(letter.slug, self._mail_in) if is_by_mail and self._mail_in else None
        return ChosenMail(template, *recipient, job.letter_id, letter, row["kind"], refs, code_works, reply_to)

    async def _for_finding(self, conn: Connection, job: MailJob, letter_id: LetterId) -> ChosenMail | None:
        if job.sealed is None:
            return None
        address = self._opener.open(job.sealed, letter_id, _decrypts_for(job))
        never = await self._accepts_mail(conn, address, job)
        letter = await letter_facts.load(conn, letter_id)
        if never is None or letter is None:
            return None
        keys = self._keys(letter, letter_id)
        if rows := await queries.signatures(conn, job):
            signed = tuple(SignatureRef(row["id"], row["kind"], letter_facts.names_in(row, keys)) for row in rows)
            return ChosenMail(Template.FIND_SIGNED, address, never, letter_id, letter, signed[0].kind, signed)
        if pending := await queries.newest_pending(conn, job):
            ref = SignatureRef(pending["id"], pending["kind"], _names_typed(pending, keys))
            code_works = pending["code_works"]
            return ChosenMail(Template.FIND_CONFIRM, address, never, letter_id, letter, ref.kind, (ref,), code_works)
        return None

    def _keys(self, letter: LetterFacts, letter_id: LetterId) -> LetterKeys:
        wrapped = letter.wrapped_name_key
        return LetterKeys(None, None if wrapped is None else self._wrapper.unwrap(wrapped), letter_id)

    async def _accepts_mail(self, conn: Connection, address: str, job: MailJob) -> bytes | None:
        """Return the address's suppression digest; None if it asked for no more mail, or returns it."""
        digest = await self._suppression.digest(conn, address)
        (stored,) = await self._suppression.stored(conn, [digest])
        return None if await queries.suppressed(conn, [(job, stored)]) else digest


def _decrypts_for(job: MailJob) -> DecryptionPurpose:
    return DECRYPTS_FOR.get(job.purpose, DecryptionPurpose.ORGANIZER)


def _template_of(facts: Record) -> tuple[Template, int | None] | None:
    """Return the mail and the id of the row it leads to, or None if there is nothing to say."""
    signature_id: int | None = facts["signature"]
    if facts["barred"] or facts["state"] == "removed":
        return Template.REMOVED, signature_id
    if signature_id is not None:
        return Template.ALREADY_SIGNED, signature_id
    return (Template.CONFIRM, facts["id"]) if facts["confirmable"] else None


def _names_typed(row: Record, keys: LetterKeys) -> SignatoryNames:
    """Return the names in a pending row: all of them are in its encrypted fields."""
    return letter_facts.names_in({"name": None, "name_en": None, "name_ru": None, "private": row["fields"]}, keys)
