"""The link that opens a mail to be filled in, and the tag in its subject that says which text was read.

Our answers have a mark of the mailbox beside it: a reply with that mark answers us, and no mail of someone else.
"""

import re
from urllib.parse import quote

from petition.core.letter_mailboxes import address_of
from petition.core.tokens import MARK_DIGITS
from petition.incoming_mail import filled_lines
from petition.letters.model import Letter, Version

TAG_LENGTH = 12  # hexadecimal digits of a version's digest

_TAG = re.compile(rf"\[([0-9a-f]{{{TAG_LENGTH}}})\]")
_MARK = re.compile(rf"\[([0-9a-f]{{{MARK_DIGITS}}})\]")


def tag_of(version: Version) -> str:
    return version.digest[:TAG_LENGTH]


def tags_in(text: str) -> list[str]:
    """Return the tags in a subject or a text, as they come."""
    return _TAG.findall(text.lower())


def marks_in(subject: str) -> list[str]:
    """Return the marks in a subject, as they come."""
    return _MARK.findall(subject.lower())


def mailto(letter: Letter, domain: str | None, lang: str, *, subject: str, statement: str) -> str | None:
    """Return a link that opens a mail to be filled in, for the text that is shown; None where none is taken.

    ``subject`` and ``statement`` are texts in ``lang``.
    """
    if domain is None or not letter.takes_mail or not letter.takes_signatures:
        return None
    body = f"{statement}\r\n{filled_lines.blank_line(lang)}\r\n"
    head = quote(f"{subject} [{tag_of(letter.version)}]", safe="")
    return f"mailto:{quote(address_of(letter.slug, domain), safe='@')}?subject={head}&body={quote(body, safe=':;,')}"
