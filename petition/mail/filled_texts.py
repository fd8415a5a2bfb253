"""The texts of mails to signatories: rendered and encoded once for each shape, then filled in with names and links.

Most mails of a letter differ in nothing else. A template prints these values and asks of them only whether they are
there, which is part of the shape; the first mail of a shape is rendered as well, to see that both are the same.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from petition.core import mail_texts
from petition.core.letter_facts import LetterAbout, SignatoryNames
from petition.core.mail_texts import MailTexts
from petition.core.templates import Renderer
from petition.mail import mime
from petition.mail.mime import MailParts

MAX_SHAPES = 100  # that are remembered, some 40 KB each
VALUES = ("link", "code", "never_link")  # of the context; the names are filled in besides
_MARK = secrets.token_hex(12)  # in no text
_SLOT = re.compile(rf"{_MARK}(\d)x")

Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _FilledLine:
    """A line in pieces: literals, and between them the numbers of values."""

    literals: Sequence[str]
    slots: Sequence[int]

    def fill(self, values: Sequence[str]) -> str:
        parts = [self.literals[0]]
        for slot, literal in zip(self.slots, self.literals[1:], strict=True):
            parts += (values[slot], literal)
        return "".join(parts) + "\n"


class _FilledPart:
    """A part in pieces: blocks of lines that are the same in each mail, encoded once, and lines with values between."""

    def __init__(self, subtype: str, text: str) -> None:
        blocks, self._lines = [""], list[_FilledLine]()
        for line in text.splitlines():
            pieces = _SLOT.split(line)
            if len(pieces) == 1:
                blocks[-1] += line + "\n"
            else:
                self._lines.append(_FilledLine(pieces[::2], [int(number) for number in pieces[1::2]]))
                blocks.append("")
        self._is_7bit = all(map(mime.is_7bit, blocks))
        self._plain = [mime.head(subtype, "7bit"), *map(mime.plain, blocks)]
        self._quoted = [mime.head(subtype, "quoted-printable"), *map(mime.quoted, blocks)]

    def fill(self, values: Sequence[str]) -> bytes:
        lines = [line.fill(values) for line in self._lines]
        is_7bit = self._is_7bit and mime.is_7bit("".join(lines))
        encode, blocks = (mime.plain, self._plain) if is_7bit else (mime.quoted, self._quoted)
        parts = blocks[:2]
        for line, block in zip(lines, blocks[2:], strict=True):
            parts += (encode(line), block)
        return b"".join(parts)


class _FilledForm:
    def __init__(self, texts: MailTexts) -> None:
        self._subject = texts.subject
        self._text, self._html = _FilledPart("plain", texts.text), _FilledPart("html", texts.html)

    def fill(self, values: Sequence[str]) -> MailParts:
        escaped = [str(escape(one)) for one in values]
        return MailParts(self._subject, self._text.fill(values), self._html.fill(escaped))


class FilledTexts:
    """Renders the mails of one installation."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._forms: OrderedDict[Shape, _FilledForm | None] = OrderedDict()  # None: of a shape that must be rendered

    def render(
        self, template: str, lang: str, context: Mapping[str, object], about: LetterAbout | None, names: SignatoryNames
    ) -> MailParts:
        """Return what ``mail_texts.render`` does with ``about``, ``names`` and ``context``, which has ``VALUES``."""
        context = {**context, "about": about, "names": names}
        values = [names.person, names.organization, *(context[name] for name in VALUES)]
        rest = {name: value for name, value in context.items() if name not in {"names", "about", "links", *VALUES}}
        there = tuple(map(bool, values))
        shape = template, lang, about, tuple(sorted(rest.items())), there
        texts = ["" if value is None else str(value) for value in values]
        if shape not in self._forms:
            return self._add(shape, template, lang, context, texts)
        self._forms.move_to_end(shape)
        form = self._forms[shape]
        if form is None or any("\0" in text or len(text.splitlines()) > 1 for text in texts):
            return mime.encoded(mail_texts.render(self._renderer, template, lang, context))
        return form.fill(texts)

    def _add(
        self, shape: Shape, template: str, lang: str, context: Mapping[str, object], values: Sequence[str]
    ) -> MailParts:
        """Remember a shape, out of a mail that has marks for its values; return the mail itself, rendered."""
        marks = [f"{_MARK}{number}x" if value else None for number, value in enumerate(values)]
        marked = {**context, "names": SignatoryNames(*marks[:2]), **dict(zip(VALUES, marks[2:], strict=True))}
        form = _FilledForm(mail_texts.render(self._renderer, template, lang, marked))
        parts = mime.encoded(mail_texts.render(self._renderer, template, lang, context))
        self._forms[shape] = form if form.fill(values) == parts else None
        if len(self._forms) > MAX_SHAPES:
            self._forms.popitem(last=False)
        return parts
