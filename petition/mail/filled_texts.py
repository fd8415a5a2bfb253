"""The texts of mails to signatories: rendered once for each shape, then filled in with names, links and codes.

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

MAX_SHAPES = 100  # that are remembered, some 20 KB each
VALUES = ("link", "code", "never_link")  # of the context; the names are filled in besides
_MARK = secrets.token_hex(12)  # in no text
_SLOT = re.compile(rf"{_MARK}(\d)x")

Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A text in pieces: literals, and between them the numbers of values."""

    literals: Sequence[str]
    slots: Sequence[int]

    def fill(self, values: Sequence[str]) -> str:
        parts = [self.literals[0]]
        for slot, literal in zip(self.slots, self.literals[1:], strict=True):
            parts += (values[slot], literal)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Form:
    subject: str
    text: _Pieces
    html: _Pieces

    def fill(self, values: Sequence[str]) -> MailTexts:
        return MailTexts(self.subject, self.text.fill(values), self.html.fill([str(escape(one)) for one in values]))


class FilledTexts:
    """Renders the mails of one installation."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._forms: OrderedDict[Shape, _Form | None] = OrderedDict()  # None: of a shape that must be rendered

    def render(
        self, template: str, lang: str, context: Mapping[str, object], about: LetterAbout | None, names: SignatoryNames
    ) -> MailTexts:
        """Return what ``mail_texts.render`` does with ``about``, ``names`` and ``context``, which has ``VALUES``."""
        context = {**context, "about": about, "names": names}
        values = [names.person, names.organization, *(context[name] for name in VALUES)]
        rest = {name: value for name, value in context.items() if name not in {"names", "about", "links", *VALUES}}
        there = tuple(value is not None for value in values)
        shape = template, lang, about, tuple(sorted(rest.items())), there
        texts = ["" if value is None else str(value) for value in values]
        if shape not in self._forms:
            return self._add(shape, template, lang, context, texts)
        self._forms.move_to_end(shape)
        form = self._forms[shape]
        if form is None or any("\0" in text or len(text.splitlines()) > 1 for text in texts):
            return mail_texts.render(self._renderer, template, lang, context)
        return form.fill(texts)

    def _add(
        self, shape: Shape, template: str, lang: str, context: Mapping[str, object], values: Sequence[str]
    ) -> MailTexts:
        """Remember a shape, out of a mail that has marks for its values; return the mail itself, rendered."""
        marks = [f"{_MARK}{number}x" if value else None for number, value in enumerate(values)]
        marked = {**context, "names": SignatoryNames(*marks[:2]), **dict(zip(VALUES, marks[2:], strict=True))}
        form = _form(mail_texts.render(self._renderer, template, lang, marked))
        texts = mail_texts.render(self._renderer, template, lang, context)
        self._forms[shape] = form if form.fill(values) == texts else None
        if len(self._forms) > MAX_SHAPES:
            self._forms.popitem(last=False)
        return texts


def _form(texts: MailTexts) -> _Form:
    return _Form(texts.subject, _pieces(texts.text), _pieces(texts.html))


def _pieces(text: str) -> _Pieces:
    parts = _SLOT.split(text)
    return _Pieces(parts[::2], [int(number) for number in parts[1::2]])
