"""The line that is filled in to sign by mail: "Name: …; Visibility: …; City: …", wherever a reply has it.

What was typed anew goes before what is quoted. Of quoted lines only a line that says who may see the name counts: a
letter may well have a line of its own that begins with "Name:". Two different answers to one question are none.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from petition.core.i18n import SOURCE_LANGUAGE
from petition.core.text_cleaning import clean
from petition.signatures.model import Visibility

# Field of the form → what its label may be, the one that we write first, by language.
LABELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "name": ("Name", "Full name", "Your name"),
        "visibility": ("Visibility", "Who may see your name", "Who may see my name"),
        "city": ("City", "Town"),
        "affiliation": ("Profession or affiliation", "Affiliation", "Profession"),
        "country": ("Country",),
        "updates": ("News", "Updates"),
        "organization": ("Organization", "Organisation"),
    },
    "ru": {
        "name": ("Имя", "Имя и фамилия", "Ваше имя", "ФИО"),
        "visibility": ("Видимость", "Кому видно имя", "Кто увидит имя", "Имя видно"),
        "city": ("Город",),
        "affiliation": ("Профессия или место работы", "Профессия", "Место работы"),
        "country": ("Страна",),
        "updates": ("Новости",),
        "organization": ("Организация",),
    },
}
# The first of each is the word that we ask for.
CHOICES: Mapping[str, Mapping[Visibility, tuple[str, ...]]] = {
    "en": {
        Visibility.PUBLIC: ("public", "everyone"),
        Visibility.ORGANIZERS: ("organizers", "organisers", "only organizers", "only the organizers"),
        Visibility.COUNTED: ("counted", "nobody", "no one"),
    },
    "ru": {
        Visibility.PUBLIC: ("всем", "публично"),
        Visibility.ORGANIZERS: ("организаторам", "только организаторам"),
        Visibility.COUNTED: ("никому",),
    },
}
YES = frozenset(("yes", "y", "да", "д"))
ASKED = ("name", "visibility", "city")  # in this order, on the line that we send

MAX_LINES = 4000
MAX_LINE = 2000  # characters; a longer line is no line of ours
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_BULLET = re.compile(r"[\s*|•·_#-]*")
_EDGES = " \t;,|·•*_.…-–—\"“”«»'"
_BLANK = re.compile(r"[\W_]*")
# What mail programs put between a reply and the mail that it answers.
_SEPARATOR = re.compile(
    r"\s*(?:-{2,}\s*(?:original message|исходное сообщение|пересылаемое сообщение|forwarded message|конец письма).*"
    r"|_{20,}|(?:from|от|от кого)\s*:\s?\S.*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FilledLines:
    """What was filled in, by the form's field; ``lang`` is that of the labels.

    ``visibility`` is a value of ``Visibility``, or missing. ``unclear`` are fields that have two different answers.
    ``is_quoted``: the line stands in what is quoted, so that its author may be another.
    """

    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    lang: str | None = None
    unclear: frozenset[str] = frozenset()
    is_quoted: bool = False

    def __bool__(self) -> bool:
        return bool(self.fields or self.unclear)


def blank_line(lang: str) -> str:
    """Return the line to fill in, in English where a language has no labels."""
    labels = LABELS.get(lang, LABELS[SOURCE_LANGUAGE])
    return " ".join(f"{labels[name][0]}: ;" for name in ASKED).removesuffix(" ;")


def choices(lang: str) -> dict[str, str]:
    """Return the word to write for each visibility, by its value."""
    words = CHOICES.get(lang, CHOICES[SOURCE_LANGUAGE])
    return {visibility.value: names[0] for visibility, names in words.items()}


def _folded(text: str) -> str:
    return clean(text).casefold().replace("ё", "е").strip(_EDGES)


_FIELD_OF = {
    _folded(label): (name, lang) for lang, labels in LABELS.items() for name, known in labels.items() for label in known
}
_VISIBILITY_OF = {
    _folded(word): visibility for words in CHOICES.values() for visibility, known in words.items() for word in known
}
_LABEL = re.compile(
    r"(?<!\w)(" + "|".join(re.escape(label) for label in sorted(_FIELD_OF, key=len, reverse=True)) + r")\s*[:：=]"
)


def read(text: str) -> FilledLines:
    """Return what is filled in in the text of a mail."""
    typed, quoted = _split(text.splitlines()[:MAX_LINES])
    if lines := _merged(map(_pairs, typed)):
        return lines
    return replace(_merged(filter(_says_visibility, map(_pairs, _joined(quoted)))), is_quoted=True)


def are_alone(text: str) -> bool:
    """Return whether nothing else was typed than lines with labels, above a mail program's separator or signature."""
    typed = typed_text(text).split("\n-- \n")[0].splitlines()
    return all(_pairs(line) for line in typed if line.strip())


def _says_visibility(pairs: list[tuple[str, str, str]]) -> bool:
    return any(name == "visibility" and value for name, value, _ in pairs)


def typed_text(text: str) -> str:
    """Return what was typed anew: the lines that are neither quoted nor below a mail program's separator."""
    return "\n".join(_split(text.splitlines()[:MAX_LINES])[0])


def _split(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines that were typed, and the quoted ones without their marks."""
    typed: list[str] = []
    quoted: list[str] = []
    is_below = False
    for line in lines:
        mark = _QUOTE.match(line)
        is_below = is_below or (mark is None and _SEPARATOR.fullmatch(line) is not None)
        if mark:
            quoted.append(line[mark.end() :])
        else:
            (quoted if is_below else typed).append(line)
    return typed, quoted


def _joined(lines: list[str]) -> list[str]:
    """Return the lines, those that begin with a label joined with the ones before: a reply may have wrapped ours."""
    joined: list[str] = []
    was_labelled = False
    for line in lines:
        is_labelled = bool(_pairs(line))
        if is_labelled and was_labelled:
            joined[-1] += f"; {line}"
        else:
            joined.append(line)
        was_labelled = is_labelled
    return joined


def _pairs(line: str) -> list[tuple[str, str, str]]:
    """Return (field, value, language) of a line that begins with a label; values may be empty."""
    if len(line) > MAX_LINE:
        return []
    text = line[_BULLET.match(line).end() :]  # type: ignore[union-attr]  # it matches nothing as well
    folded = "".join(map(_lower, text))
    if not _LABEL.match(folded):
        return []
    matches = list(_LABEL.finditer(folded))
    ends = [match.start() for match in matches[1:]] + [len(text)]
    pairs = []
    for match, end in zip(matches, ends, strict=True):
        name, lang = _FIELD_OF[match[1]]
        pairs.append((name, _value(name, text[match.end() : end]), lang))
    return pairs


def _lower(character: str) -> str:
    """Return a letter as labels have it; the length of a text stays."""
    lower = character.lower()
    return "е" if lower == "ё" else lower if len(lower) == 1 else character


def _value(name: str, typed: str) -> str:
    """Return a field's value, empty where the place was left as it was."""
    value = clean(typed).strip(" \t;,|·•*_")
    return "" if name != "visibility" and _BLANK.fullmatch(value) else value


def _merged(lines: Iterable[list[tuple[str, str, str]]]) -> FilledLines:
    fields: dict[str, str] = {}
    unclear: set[str] = set()
    lang: str | None = None
    for name, value, label_lang in (pair for line in lines for pair in line):
        answer = _answer(name, value)
        lang = lang or (label_lang if value else None)
        if answer and fields.setdefault(name, answer) != answer:
            unclear.add(name)
    return FilledLines({name: value for name, value in fields.items() if name not in unclear}, lang, frozenset(unclear))


def _answer(name: str, value: str) -> str:
    if name == "visibility":
        visibility = _VISIBILITY_OF.get(_folded(value))
        return visibility.value if visibility else ""
    if name == "updates":
        return "yes" if _folded(value) in YES else ""
    return value
