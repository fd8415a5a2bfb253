"""What a mail to a letter's address asks for: the letter, the text that was read, the line that is filled in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from petition.core.email_addresses import Mailbox
from petition.core.letter_mailboxes import slug_in
from petition.incoming_mail import filled_lines, mail_headers, mail_text
from petition.incoming_mail.filled_lines import FilledLines
from petition.incoming_mail.mail_headers import MailHeader
from petition.incoming_mail.mail_text import MailText, Unreadable
from petition.incoming_mail.model import MAX_MESSAGE
from petition.incoming_mail.text_tags import tag_of, tags_in
from petition.letters.model import Version

MAX_HEAD = 64 * 1024  # bytes of a mail that is too big, to know who is to be answered
_CODE = re.compile(r"\s*(?:(?:code|код)\s*[:：]?\s*)?([0-9]{6})\s*", re.IGNORECASE)
_CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
_LATIN = re.compile("[a-z]", re.IGNORECASE)
_LATIN_SHARE = 4  # Latin letters to one Cyrillic one, up to which a text is taken for Russian


class TextRead(StrEnum):
    """Which text of the letter a mail is about, by the tag in its subject, or else in what it quotes."""

    CURRENT = "current"
    FORMER = "former"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LetterMail:
    """One mail to a letter, read. ``trouble``: its text cannot be."""

    slug: str
    sender: Mailbox = field(repr=False)
    header: MailHeader = field(repr=False)
    text: str = field(repr=False)
    lines: FilledLines
    trouble: Unreadable | None = None

    @property
    def code(self) -> str | None:
        """Return the six digits on a line of their own, if there is one such line; quoted ones are not looked at."""
        typed = filled_lines.typed_text(self.text).splitlines()
        codes = {match[1] for line in typed if (match := _CODE.fullmatch(line))}
        return codes.pop() if len(codes) == 1 else None

    def text_read(self, version: Version) -> TextRead:
        tags = tags_in(self.header.subject) or tags_in(self.text)
        if tag_of(version) in tags:
            return TextRead.CURRENT
        return TextRead.FORMER if tags else TextRead.UNKNOWN

    def is_line_by_sender(self, *, is_answer_to_us: bool) -> bool:
        """Return whether no other can have written the line: one whose mail this is a reply to, with us as the way.

        A reply has what was written to its author, and not every mail program marks it as quoted.
        """
        if is_answer_to_us:
            return True
        if self.lines.is_quoted or self.header.references:
            return False
        return not self.header.has_reply_subject or filled_lines.are_alone(self.text)

    def lang(self, languages: Sequence[str]) -> str:
        """Return the language to answer in: that of the line, of what was typed, or of the mail program."""
        if self.lines.lang in languages:
            return str(self.lines.lang)
        typed = f"{self.header.subject} {filled_lines.typed_text(self.text)}"
        cyrillic, latin = len(_CYRILLIC.findall(typed)), len(_LATIN.findall(typed))
        if cyrillic and "ru" in languages and latin <= cyrillic * _LATIN_SHARE:
            return "ru"
        named = [part.split(";")[0].split("-")[0].strip() for part in self.header.languages.split(",")]
        return next((lang for lang in named if lang in languages), languages[0])


def read(content: bytes, recipient: str, domain: str) -> LetterMail | None:
    """Return the mail, or None if it is to be ignored: not for a letter, not from a person, or not readable at all.

    Our address must stand in "To": a mail that was sent to others and comes here is no act of its author.
    """
    is_too_big = len(content) > MAX_MESSAGE
    message = mail_text.parse(content[:MAX_HEAD] if is_too_big else content)
    header = None if message is None else mail_headers.read(message)
    if message is None or header is None or header.is_automatic or header.sender is None:
        return None
    slugs = [slug for address in header.recipients if (slug := slug_in(address, domain))]
    slug = slug_in(recipient, domain) if recipient else next(iter(slugs), None)
    if slug is None or slug not in slugs or header.sender.domain == domain:
        return None
    body = MailText(trouble=Unreadable.TOO_BIG) if is_too_big else mail_text.text_of(message)
    return LetterMail(slug, header.sender, header, body.text, filled_lines.read(body.text), body.trouble)
