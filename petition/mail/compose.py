"""The mail itself: text and HTML out of templates, headers into which no typed text gets.

Of what was typed while signing only the names are in a mail, cut and without links, and in no header: typing a
stranger's address must not send that stranger a message of one's own (docs/decisions/what-mails-say.md).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from petition.core import mail_texts
from petition.core.encryption import derive
from petition.core.errors import PetitionError
from petition.core.sender import parse_sender
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail import dkim
from petition.mail.model import ChosenMail, DirectMail, MailJob, SignatureRef
from petition.mail.return_path import MailboxMail, Reference, ReturnPaths

MAX_LINE = 900  # octets; RFC 5321, 4.5.3.1.6 allows 1,000 with the line's end


class Unmailable(PetitionError):
    """What was sealed is no address that a mail can be sent to."""


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
        self._id_key = derive(settings.secret_keys[0], "message-id")
        self._signer = dkim.signer(settings)
        self._return_paths = ReturnPaths(settings.secret_keys, settings.bounce_domain)

    def compose(
        self, job: MailJob, chosen: ChosenMail | DirectMail, reference: Reference | None = None
    ) -> OutgoingMail:
        """Return the mail, signed. ``reference`` is what a bounce of it is about; None: the job's mailbox.

        Raises ``Unmailable``.
        """
        reference = reference or MailboxMail(job.letter_id, job.digest)
        recipient = _recipient(chosen.address)
        lang = (chosen.mail.lang if isinstance(chosen, DirectMail) else None) or job.lang
        if lang not in self._renderer.languages:
            lang = next(iter(self._renderer.languages))
        message = EmailMessage(policy=SMTP)
        self._head(message, job, recipient, reference)
        self._fill(message, chosen, lang)
        utf8 = not recipient.addr_spec.isascii()
        content = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
        check_header(message, content)
        sender = self._return_paths.address(reference, job.created_at.date()) or self._from.addr_spec
        return OutgoingMail(sender, recipient.addr_spec, self._signer.sign(content), utf8)

    def _head(self, message: EmailMessage, job: MailJob, recipient: Address, reference: Reference) -> None:
        message["From"] = self._from
        message["To"] = recipient
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = self._message_id(job, reference)
        message["Auto-Submitted"] = "auto-generated"

    def _fill(self, message: EmailMessage, chosen: ChosenMail | DirectMail, lang: str) -> None:
        if isinstance(chosen, DirectMail):
            context, template = self._context_of_direct(chosen, lang), chosen.mail.template
        else:
            context, template = self._context(chosen, lang), chosen.template.value
        texts = mail_texts.render(self._renderer, template, lang, context)
        message["Subject"] = texts.subject
        if self._one_click and context["never_link"]:
            message["List-Unsubscribe"] = f"<{self._unsubscribe_link(context, lang)}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(texts.text, cte=_encoding(texts.text))
        message.add_alternative(texts.html, subtype="html", cte=_encoding(texts.html))
        message["Content-Language"] = lang  # last, since making an alternative moves such headers into the first part
        if reply_to := chosen.mail.reply_to if isinstance(chosen, DirectMail) else chosen.reply_to:
            message["Reply-To"] = reply_to
            message["X-Petition"] = "answer"  # a mail with it is not answered: it is one of ours that came back
            message.replace_header("Auto-Submitted", "auto-replied")  # RFC 3834

    def _context_of_direct(self, chosen: DirectMail, lang: str) -> dict[str, object]:
        never = None if chosen.never is None else self._never_link(chosen.never, lang)
        about = chosen.mail.letter and chosen.mail.letter.about(lang)
        return {**chosen.mail.context, "names": chosen.mail.names, "about": about, "never_link": never}

    def _context(self, chosen: ChosenMail, lang: str) -> dict[str, object]:
        page = "confirm" if chosen.template.leads_to_confirming else "signature"
        links = [(ref, f"{self._base_url}/{lang}/{page}/{self._token(chosen, ref)}") for ref in chosen.refs]
        return {
            "about": chosen.letter.about(lang),
            "names": chosen.names,
            "letter_url": f"{self._base_url}/{lang}/{chosen.letter.slug}",
            "kind": chosen.kind,
            "links": links,
            "link": links[0][1] if links else None,
            "code": self._tokens.code(chosen.letter_id, chosen.refs[0].id) if chosen.code_works else None,
            "by_reply": chosen.reply_to is not None,
            "never_link": self._never_link(chosen.never, lang),
        }

    def _unsubscribe_link(self, context: Mapping[str, object], lang: str) -> object:
        """Return what stops mails like this one: updates on one letter, or all mail."""
        path = context.get("unsubscribe")
        return f"{self._base_url}/{lang}{path}" if path else context["never_link"]

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
_FIELD_NAME = re.compile(rb"^([!-9;-~]+):", re.MULTILINE)
_ADDRESS = re.compile(r"""([^\s"(),:;<>@\[\]\\]+)@([^\s"(),:;<>@\[\]\\]+)""")


def _recipient(address: str) -> Address:
    """Parse an address strictly, without relying on the web's checks."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not address.isprintable() or "=?" in address:  # an encoded word hides anything
        raise Unmailable("this is not an e-mail address")
    try:
        return Address(username=match[1], domain=match[2].encode("idna").decode("ascii"))
    except ValueError:
        raise Unmailable("this is not an e-mail address") from None


def check_header(message: EmailMessage, content: bytes) -> None:
    """Raise ``Unmailable`` if a field was written that was not set: then a value has brought line ends with it."""
    names = _FIELD_NAME.findall(content.partition(b"\r\n\r\n")[0])
    if [name.decode("ascii") for name in names] != message.keys():
        raise Unmailable("a value would add fields to the header")


def _encoding(text: str) -> str:
    """Leave what every relay takes as it is; links stay whole in the source too."""
    plain = text.isascii() and all(len(line) <= MAX_LINE for line in text.splitlines())
    return "7bit" if plain else "quoted-printable"
