"""Subject, text and HTML of a mail, out of its folder below ``templates/email``, to be sent or previewed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from petition.core import text_cleaning
from petition.core.templates import Renderer

FOLDER = "email"
MAX_SUBJECT = 250  # characters; no mailbox shows more


@dataclass(frozen=True, slots=True)
class MailTexts:
    """The parts of one mail in one language. The subject is one line without control characters."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)


def render(renderer: Renderer, template: str, lang: str, context: Mapping[str, object]) -> MailTexts:
    """Return the mail of a folder; a name that a template uses and ``context`` lacks is an error."""
    subject, text, html = (
        renderer.render(f"{FOLDER}/{template}/{part}", lang, **context)
        for part in ("subject.txt", "body.txt", "body.html")
    )
    return MailTexts(one_line(subject), _lines(text), _lines(html))


def one_line(text: str) -> str:
    """Return ``text`` as a header may have it: no line ends, nothing that is not drawn or turns the direction.

    Nor the beginning of an encoded word (RFC 2047), in which line ends could be hidden from Python's email package.
    """
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    line = "".join(char for char in line if not text_cleaning.has_direction_mark(char)).replace("=?", "= ?").strip()
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 1].rstrip() + "…"


def _lines(text: str) -> str:
    """Return ``text`` with line ends of one kind and without NUL, which no mail may have (RFC 5322, section 4)."""
    return "\n".join(text.replace("\0", "").splitlines()) + "\n"
