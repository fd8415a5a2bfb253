"""Which mail a job becomes. Only the worker decides this: the web writes the same row for every address.

Nothing here is a transaction: if something changes after the choice, the page that the link opens says so.
"""

from collections.abc import Mapping

from petition.core.database import Connection, Record
from petition.core.encryption import Opener
from petition.core.errors import PetitionError
from petition.core.ids import LetterId, SignatureId
from petition.core.outbox import DirectMailJob, MailWriter
from petition.mail import queries
from petition.mail.model import ChosenMail, DirectMail, MailJob, Purpose, SignatureRef, Template
from petition.mail.suppression import Suppression


class MailSelector:
    """Opens addresses and picks mails. ``writers`` write the direct mails, each those of one purpose."""

    def __init__(
        self, opener: Opener, suppression: Suppression, writers: Mapping[str, MailWriter] | None = None
    ) -> None:
        self._opener = opener
        self._suppression = suppression
        self._writers = dict(writers or {})

    async def choose(self, conn: Connection, job: MailJob) -> ChosenMail | DirectMail | None:
        """Return the mail that ``job`` becomes at this moment, or None.

        Raises ``KeyDestroyed`` if the address was sealed to another key, ``PetitionError`` if it is none,
        ``Unavailable`` if the database is lost.
        """
        if job.letter_id is not None and job.purpose == Purpose.SIGN:
            return await self._for_signing(conn, job, job.letter_id)
        if job.letter_id is not None and job.purpose == Purpose.FIND:
            return await self._for_finding(conn, job, job.letter_id)
        return await self._direct(conn, job)

    async def _direct(self, conn: Connection, job: MailJob) -> DirectMail | None:
        writer = self._writers.get(job.purpose)
        if writer is None or job.sealed is None:
            raise PetitionError("no writer is registered for this purpose")
        mail = await writer(conn, DirectMailJob(job.letter_id, job.digest, job.lang, job.details))
        if mail is None:
            return None
        address = self._opener.open(job.sealed)
        if not mail.heeds_never:
            return DirectMail(mail, address, None)
        never = await self._accepts_mail(conn, address)
        return None if never is None else DirectMail(mail, address, never)

    async def _for_signing(self, conn: Connection, job: MailJob, letter_id: LetterId) -> ChosenMail | None:
        facts = await queries.sign_facts(conn, job)
        if facts is None:  # confirmed through another mail, or expired
            return None
        address = self._opener.open(facts["sealed"])
        never = await self._accepts_mail(conn, address)
        answer = _answer_to_signing(facts)
        if never is None or answer is None:
            return None
        template, leads_to = answer
        refs = () if leads_to is None else (SignatureRef(SignatureId(leads_to), facts["kind"]),)
        code_works = template is Template.CONFIRM and facts["code_works"]
        return ChosenMail(template, address, never, letter_id, facts["slug"], facts["kind"], refs, code_works)

    async def _for_finding(self, conn: Connection, job: MailJob, letter_id: LetterId) -> ChosenMail | None:
        if job.sealed is None:
            return None
        address = self._opener.open(job.sealed)
        never = await self._accepts_mail(conn, address)
        slug = await queries.slug(conn, job)
        if never is None or slug is None:
            return None
        if signed := await queries.signatures(conn, job):
            return ChosenMail(Template.FIND_SIGNED, address, never, letter_id, slug, signed[0].kind, signed)
        if pending := await queries.newest_pending(conn, job):
            ref, code_works = pending
            return ChosenMail(Template.FIND_CONFIRM, address, never, letter_id, slug, ref.kind, (ref,), code_works)
        return None

    async def _accepts_mail(self, conn: Connection, address: str) -> bytes | None:
        """Return the address's suppression digest; None if it asked for no more mail."""
        digest = await self._suppression.digest(conn, address)
        return None if await queries.is_suppressed(conn, digest) else digest


def _answer_to_signing(facts: Record) -> tuple[Template, int | None] | None:
    """Return the mail and the id of the row it leads to, or None if there is nothing to say."""
    signature_id: int | None = facts["signature"]
    if facts["barred"] or facts["state"] == "removed":
        return Template.REMOVED, signature_id
    if signature_id is not None:
        return Template.ALREADY_SIGNED, signature_id
    return (Template.CONFIRM, facts["id"]) if facts["confirmable"] else None
