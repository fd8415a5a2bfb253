"""Answers to mails that ask for a letter or sign it: queued with the sealed address, written by the worker."""

from dataclasses import dataclass
from enum import StrEnum

import nh3

from petition.core import letter_facts, outbox
from petition.core.database import Connection
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound
from petition.core.ids import SignatureId
from petition.core.letter_mailboxes import address_of
from petition.core.outbox import DirectMailJob, MailContent
from petition.core.tokens import Tokens
from petition.incoming_mail import filled_lines
from petition.incoming_mail.text_tags import tag_of
from petition.letters import published
from petition.letters.model import Letter
from petition.letters.plain_text import paragraphs

PURPOSE = "mail_in"
_TAGS = {"p", "br", "em", "strong", "a", "ul", "ol", "li", "blockquote", "h2", "h3", "h4", "hr", "code", "pre", "sup"}


class Answer(StrEnum):
    """The folders below ``templates/email``."""

    LETTER = "mail_in_letter"  # the text, and the line to fill in
    PROBLEM = "mail_in_problem"
    SIGNED = "mail_in_signed"


@dataclass(frozen=True, slots=True)
class AnswerToSend:
    """One answer. ``reasons`` are messages for the catalogues; ``is_held``: the signature waits for the organizers."""

    kind: Answer
    reasons: tuple[str, ...] = ()
    signature_id: SignatureId | None = None
    is_held: bool = False
    can_retry: bool = True  # the line is sent again

    @property
    def details(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "reasons": list(self.reasons),
            "signature": None if self.signature_id is None else str(self.signature_id),
            "held": self.is_held,
            "retry": self.can_retry,
        }


async def enqueue(
    conn: Connection, letter: Letter, answer: AnswerToSend, *, digest: bytes, sealed: bytes, lang: str
) -> None:
    await outbox.enqueue(conn, PURPOSE, digest, sealed, lang, letter_id=letter.id, details=answer.details)


class AnswerWriter:
    """Writes the answers of one installation that takes mail at ``domain``."""

    def __init__(self, wrapper: Wrapper, tokens: Tokens, base_url: str, domain: str | None) -> None:
        self._wrapper = wrapper
        self._tokens = tokens
        self._base_url = base_url
        self._domain = domain

    async def write(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        """Return the mail; None if the letter is gone, or takes no mail any more."""
        if job.letter_id is None or self._domain is None:
            return None
        try:
            letter = await published.read_with_switches(conn, self._wrapper, job.letter_id)
        except NotFound:
            return None
        if not letter.takes_mail:
            return None
        return MailContent(
            template=str(job.details["kind"]),
            context=self._context(letter, job),
            letter=await letter_facts.load(conn, letter.id),
            reply_to=address_of(letter.slug, self._domain),
        )

    def _context(self, letter: Letter, job: DirectMailJob) -> dict[str, object]:
        lang, details = job.lang, job.details
        signature = details.get("signature")
        token = self._tokens.for_signature(letter.id, SignatureId(int(str(signature)))) if signature else None
        return {
            "reasons": details.get("reasons") or (),
            "held": details.get("held", False),
            "link": f"{self._base_url}/{lang}/signature/{token}" if token else None,
            "letter_url": f"{self._base_url}/{lang}/{letter.slug}",
            "address": address_of(letter.slug, self._domain or ""),
            "can_sign": letter.takes_signatures and bool(details.get("retry", True)),
            "is_open": letter.is_open,
            "tag": tag_of(letter.version),
            "mark": self._tokens.answer_mark(letter.id, job.digest),
            "initiators": [party.name(lang) for party in letter.initiators],
            "addressees": [party.name(lang) for party in letter.addressees],
            "texts": [_text(letter, code) for code in sorted(letter.languages, key=lambda code: code != lang)],
            "lines": {code: filled_lines.blank_line(code) for code in {lang, *letter.languages}},
            "choices": {code: filled_lines.choices(code) for code in {lang, *letter.languages}},
        }


def _text(letter: Letter, lang: str) -> dict[str, str]:
    """Return a text as lines and as HTML without pictures: nothing of a mail is fetched from elsewhere."""
    text = letter.version.texts[lang]
    html = nh3.clean(text.html, tags=_TAGS, attributes={"a": {"href"}}, link_rel=None, url_schemes={"https", "mailto"})
    return {"lang": lang, "title": text.title, "plain": paragraphs(html), "html": html}
