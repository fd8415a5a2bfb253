"""The mail itself: text and HTML out of templates, headers into which no typed text gets.

Of what was typed while signing only the names are in a mail, cut and without links, and in no header: typing a
stranger's address must not send that stranger a message of one's own (docs/decisions/what-mails-say.md).
"""

import functools
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime

from petition.core import mail_texts
from petition.core.encryption import derive
from petition.core.outbox import MailContent
from petition.core.sender import parse_sender
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail import dkim, mime
from petition.mail.filled_texts import FilledTexts
from petition.mail.mime import MailParts, Unmailable
from petition.mail.model import ChosenMail, DirectMail, MailJob, SignatureRef, Template
from petition.mail.return_path import MailboxMail, Reference, ReturnPaths
from petition.mail.serial_mail import SIMPLE_ADDRESS, SerialMail, without_recipient


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail as SMTP wants it."""

    sender: str  # of the envelope: where bounces go
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)
    utf8: bool  # the name in the address is not ASCII: only relays with SMTPUTF8 (RFC 6531) can take it


class Composer:
    """Writes mails of one installation. Raises ``SettingsError`` when made with a ``MAIL_FROM`` that is no address."""

    def __init__(self, settings: Settings, renderer: Renderer, tokens: Tokens) -> None:
        self._renderer = renderer
        self._tokens = tokens
        self._base_url = settings.base_url
        self._one_click = settings.secure  # RFC 8058, 3.1: one click works over HTTPS only
        self._from = parse_sender(settings.mail_from or "")
        self._from_field = mime.field("From", str(self._from))
        self._filled = FilledTexts(renderer)
        self._id_key = derive(settings.secret_keys[0], "message-id")
        self._signer = dkim.signer(settings)
        self._return_paths = ReturnPaths(settings.secret_keys, settings.bounce_domain)

    def compose(
        self, job: MailJob, chosen: ChosenMail | DirectMail, reference: Reference | None = None
    ) -> OutgoingMail:
        """Return the mail, signed. ``reference`` is what a bounce of it is about; None: the job's mailbox.

        Raises ``Unmailable``.
        """
        mail = self.write(job, chosen, reference)
        return replace(mail, content=self._signer.sign(mail.content))

    async def sign(self, mail: OutgoingMail) -> OutgoingMail:
        """Return a mail that is written, signed."""
        content = await self._signer.sign_beside(mail.content)
        return mail if content is mail.content else replace(mail, content=content)

    def write(self, job: MailJob, chosen: ChosenMail | DirectMail, reference: Reference | None = None) -> OutgoingMail:
        """Return what ``compose`` returns, not signed yet. Raises ``Unmailable``."""
        reference = reference or MailboxMail(job.letter_id, job.digest)
        recipient, now = _recipient(chosen.address), datetime.now(UTC)
        content = self._content(job, chosen, reference, recipient, now)
        return self._outgoing(job, reference, recipient, content)

    def serial(self, job: MailJob, mail: MailContent, never: bytes, reference: Reference) -> SerialMail:
        """Return a mail to be filled in for many recipients by ``write_copy``.

        ``mail.context["unsubscribe"]`` ends in a token, which differs as ``never`` and the Message-ID do. Whether it
        can be filled in says ``proves``.
        """
        now, recipient = datetime.now(UTC), _recipient("recipient@letters.example")
        chosen = DirectMail(mail, recipient, never)
        content = self._content(job, chosen, reference, recipient, now)
        return SerialMail(without_recipient(content), self._varying(job, chosen, reference, now))

    def proves(self, serial: SerialMail, job: MailJob, chosen: DirectMail, reference: Reference) -> bool:
        """Return whether a mail that is filled in is the one that is composed."""
        recipient, now = _recipient(chosen.address), datetime.now(UTC)
        composed = self._content(job, chosen, reference, recipient, now)
        filled = serial.fill(recipient, self._varying(job, chosen, reference, now))
        return without_recipient(filled) == without_recipient(composed)

    def write_copy(self, serial: SerialMail, job: MailJob, chosen: DirectMail, reference: Reference) -> OutgoingMail:
        """Return what ``write`` returns, sooner. Raises ``Unmailable``."""
        recipient = _recipient(chosen.address)
        if not SIMPLE_ADDRESS.fullmatch(recipient):
            return self.write(job, chosen, reference)
        values = self._varying(job, chosen, reference, datetime.now(UTC))
        return self._outgoing(job, reference, recipient, serial.fill(recipient, values))

    def _varying(self, job: MailJob, chosen: DirectMail, reference: Reference, now: datetime) -> dict[str, str]:
        """Return what differs between the copies of a mail."""
        return {
            "unsubscribe": str(chosen.mail.context["unsubscribe"]).rpartition("/")[2],
            "never": self._tokens.for_never(chosen.never or b""),
            "message-id": self._message_id(job, reference),
            "date": format_datetime(now),
        }

    def _outgoing(self, job: MailJob, reference: Reference, recipient: str, content: bytes) -> OutgoingMail:
        sender = self._return_paths.address(reference, job.created_at.date()) or self._from.addr_spec
        utf8 = not recipient.isascii()
        return OutgoingMail(sender, recipient, content, utf8)

    def _content(
        self,
        job: MailJob,
        chosen: ChosenMail | DirectMail,
        reference: Reference,
        recipient: str,
        now: datetime,
    ) -> bytes:
        lang = (chosen.mail.lang if isinstance(chosen, DirectMail) else None) or job.lang
        if lang not in self._renderer.languages:
            lang = next(iter(self._renderer.languages))
        if isinstance(chosen, DirectMail):
            context, reply_to = self._context_of_direct(chosen, lang), chosen.mail.reply_to
            parts = mime.encoded(mail_texts.render(self._renderer, chosen.mail.template, lang, context))
        else:
            context, reply_to = self._context(chosen, lang), chosen.reply_to
            parts = self._parts(chosen, lang, context)
        # The same in all copies of a mail; in no text, since it depends on a secret.
        boundary = hmac.digest(self._id_key, f"boundary {parts.subject}".encode(), hashlib.sha256).hex()
        fields = (
            self._from_field,
            _to_field(recipient),
            mime.field("Date", format_datetime(now)),
            mime.whole_line("Message-ID", self._message_id(job, reference)),
            mime.field("Auto-Submitted", "auto-replied" if reply_to else "auto-generated"),  # RFC 3834
            mime.field("Subject", parts.subject),
            self._unsubscribe_fields(context, lang),
            mime.field("Content-Language", lang),
            _reply_fields(reply_to),
        )
        return mime.alternatives(fields, parts, f"=_{boundary[:24]}")

    def _parts(self, chosen: ChosenMail, lang: str, context: Mapping[str, object]) -> MailParts:
        about, template = chosen.letter.about(lang), chosen.template
        if template is Template.FIND_SIGNED:  # its links are a list
            context = {**context, "about": about, "names": chosen.names}
            return mime.encoded(mail_texts.render(self._renderer, template.value, lang, context))
        return self._filled.render(template.value, lang, context, about, chosen.names)

    def _unsubscribe_fields(self, context: Mapping[str, object], lang: str) -> bytes:
        if not self._one_click or not context["never_link"]:
            return b""
        link = mime.whole_line("List-Unsubscribe", f"<{self._unsubscribe_link(context, lang)}>")
        return link + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"

    def _context_of_direct(self, chosen: DirectMail, lang: str) -> dict[str, object]:
        never = None if chosen.never is None else self._never_link(chosen.never, lang)
        about = chosen.mail.letter and chosen.mail.letter.about(lang)
        return {**chosen.mail.context, "names": chosen.mail.names, "about": about, "never_link": never}

    def _context(self, chosen: ChosenMail, lang: str) -> dict[str, object]:
        page = "confirm" if chosen.template.leads_to_confirming else "signature"
        links = [(ref, f"{self._base_url}/{lang}/{page}/{self._token(chosen, ref)}") for ref in chosen.refs]
        return {
            "letter_url": f"{self._base_url}/{lang}/{chosen.letter.slug}",
            "kind": chosen.kind,
            "links": links,
            "link": links[0][1] if links else None,
            "code": self._tokens.code(chosen.letter_id, chosen.refs[0].id) if chosen.code_works else None,
            "by_reply": chosen.reply_to is not None,
            "never_link": self._never_link(chosen.never, lang),
        }

    def _unsubscribe_link(self, context: Mapping[str, object], lang: str) -> str:
        """Return what stops mails like this one: updates on one letter, or all mail."""
        path = context.get("unsubscribe")
        return f"{self._base_url}/{lang}{path}" if path else str(context["never_link"])

    def _never_link(self, never: bytes, lang: str) -> str:
        return f"{self._base_url}/{lang}/never/{self._tokens.for_never(never)}"

    def _token(self, chosen: ChosenMail, ref: SignatureRef) -> str:
        return self._tokens.for_signature(chosen.letter_id, ref.id)

    def _message_id(self, job: MailJob, reference: Reference) -> str:
        """Return the same id at every attempt, so that mail programs recognize a mail sent twice after a crash.

        Its first half says to us which mailbox a complaint comes from: those often quote nothing but the headers.
        """
        name = f"{job.id} {job.created_at.timestamp()}"
        digest = hmac.digest(self._id_key, name.encode(), hashlib.sha256).hex()[:20]
        token = self._return_paths.token(reference, job.created_at.date())
        return f"<{token}.{digest}@{self._from.domain}>"


# No display name, no comment, nothing that could end a header or a command (RFC 5322, 3.2.3; any script, RFC 6532).
_ADDRESS = re.compile(r"""([^\s"(),:;<>@\[\]\\]+)@([^\s"(),:;<>@\[\]\\]+)""")


def _recipient(address: str) -> str:
    """Return the address with its domain in ASCII form; parse it strictly, without relying on the web's checks."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not address.isprintable() or "=?" in address:  # an encoded word hides anything
        raise Unmailable("this is not an e-mail address")
    return f"{match[1]}@{_ascii_domain(match[2])}"


@functools.lru_cache(4096)
def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except ValueError:
        raise Unmailable("this is not an e-mail address") from None


def _to_field(address: str) -> bytes:
    if SIMPLE_ADDRESS.fullmatch(address):
        return b"To: " + address.encode("ascii") + b"\r\n"
    return mime.recipient_field(address)


def _reply_fields(reply_to: str | None) -> bytes:
    """Return the fields of a mail whose answers are read, and which is itself one to a mail that came in."""
    if reply_to is None:
        return b""
    # A mail with the second one is not answered: it is one of ours that came back.
    return mime.field("Reply-To", reply_to) + b"X-Petition: answer\r\n"
