"""What the words of a file mean: which column is what by its title, and what the cells of a choice say.

A title may be a whole question, as in a form. What is guessed wrong shows on the page where columns are chosen; what a
cell says of who may see a name is never guessed: in doubt fewer see it, or the row is asked about.
"""

# ruff: noqa: SIM905  # so many words are read more easily without their quotes

import re
from collections.abc import Mapping, Sequence

from petition.signatures.model import Kind, Visibility
from petition.signatures.names import fold

# Titles as ``fold`` leaves them; the first field with a fitting one is guessed.
_TITLES: Mapping[str, str] = {
    "email": r"e ?mail|почт\w*|адрес эл\w*",
    "signed_at": r"timestamp|отметка времени|date|signed at|signed|дата\w*|время",
    "last": r"last name|surname|family name|фамили\w+",
    "name_ru": r"name ru|название.*рус\w*|organi[sz]ation ru",
    "visibility": r"visibility|who (may |can )?sees?|(show|publish) your name|видимость|кто (может )?вид\w*|"
    r"показ\w* имя",
    "organization": r"organi[sz]ation( name)?|название.*|организаци\w+",
    "affiliation": r"affiliation|company|employer|institution|position|job|occupation|work|место работы|работ\w*|"
    r"должность|компани\w+|профессия|учреждени\w+|аффилиация",
    "city": r"city|town|place|город\w*|населенн\w+ пункт\w*|место жительства",
    "country": r"country|стран\w+",
    "name": r"(full |your )?name|signatory|фио|ф и о|полное имя|подпис\w*|ваше имя|вас зовут",
}
# What says it only when it is all of the title.
_WHOLE: Mapping[str, str] = {
    "email": "username|имя пользователя",  # what Google calls an address that it collected itself
    "last": "last",
    "first": "first|(your )?(first|given) name|forename|имя",
    "kind": "kind|тип|вид|signing as|вы подписываете( как)?|кто подписывает|you sign as",
    "visibility": r"публич\w*",
}
_GIVEN, _FAMILY = r"\b(имя|first|given|name)\b", r"\b(фамили\w+|last|family|surname)\b"
_WHOLE_NAME = re.compile(rf"{_GIVEN}.*{_FAMILY}|{_FAMILY}.*\b(имя|first|given)\b|surname.*\bname\b|\bфио\b")
_FIRST_NAME = re.compile(r"\b(first|given) name\b")
_MAY_IT_BE_SHOWN = re.compile(
    r"(may|can|could|do|shall|should|would|i|is|можно|могу|можем|показ\w*|публик\w*|опублик\w*|разреш\w*|соглас\w*|вы|"
    r"хотите|готовы|не возражаете)\b.*\b(show\w*|publi\w*|display\w*|visible|показ\w*|публи\w*|опубл\w*|"
    r"видн\w*|видет\w*|увид\w*)"
)
_DATUM = re.compile(r"[^\s@]@[^\s@]+\.|^\d+[./-]\d+[./-]\d+|^[\d .]+$")
_NOT_OURS = re.compile(r"\bbirth|\bborn\b|рожден")  # a date, but not that of signing

_KINDS = {
    Kind.PERSON: re.compile(r"\b(person|people|personal|individual\w*|человек|люди|частн\w*|физ\w*|гражда\w*)\b"),
    Kind.ORGANIZATION: re.compile(
        r"\b(organi[sz]ation\w*|company|org|ngo|организ\w*|юр\w*|компани\w*|нко|ип)\b",
    ),
}
_NOT = frozenset("no not dont cant wont never only cannot нет не ни нельзя только кроме".split())
_OPEN = frozenset("public publicly everyone everybody yes да публично всем открыто все публичная".split())
_SHUT = frozenset("organizers organisers private hide hidden организаторам организаторы скрыть скрыто закрыто".split())
_COUNTED = frozenset("counted anonymous anonymously nobody анонимно анонимный никому".split())


def guess(header: Sequence[str]) -> tuple[str, ...]:
    """Return the likely field of each column, "" for one that is none of ours."""
    found: list[str] = []
    for cell in header:
        guessed = _field_of(fold(cell.replace("_", " ")))
        found.append("" if guessed in found else guessed)
    return _sorted_out(found)


def _field_of(text: str) -> str:
    if _NOT_OURS.search(text):
        return ""
    for pattern, name in ((_MAY_IT_BE_SHOWN, "visibility"), (_WHOLE_NAME, "name")):
        if pattern.match(text) if name == "visibility" else pattern.search(text):
            return name
    titles = (*_TITLES.items(), *_WHOLE.items())
    if exact := next((name for name, pattern in titles if re.fullmatch(pattern, text)), None):
        return exact
    if _FIRST_NAME.search(text):
        return "first"
    return next((name for name, pattern in _TITLES.items() if re.search(rf"\b(?:{pattern})\b", text)), "")


def _sorted_out(found: list[str]) -> tuple[str, ...]:
    """A first name without a last one is all the name there is; a name beside a last one is the first."""
    if "last" in found and "first" not in found and "name" in found:
        found = ["first" if each == "name" else each for each in found]
    if "name" not in found and ("first" in found) != ("last" in found):
        found = ["name" if each in {"first", "last"} else each for each in found]
    return tuple(found)


def is_no_header(header: Sequence[str]) -> bool:
    """Tell whether the first row is rather a signatory than the names of columns."""
    return any(_DATUM.search(cell) for cell in header) or not any(guess(header))


def kind_of(cell: str) -> Kind | None:
    """Return who signs by what a cell says; None if it says neither, or both."""
    text = fold(cell)
    found = [kind for kind, pattern in _KINDS.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else None


def visibility_of(cell: str) -> Visibility | None:
    """Return who may see a name by what a cell says; None if that is not clear.

    "No, not to everyone" has the word everyone in it: whatever says no, or only, shuts.
    """
    said = set(fold(cell).split())
    if said & _COUNTED:
        return None if said & (_NOT | _SHUT) else Visibility.COUNTED
    if said & (_NOT | _SHUT):
        return Visibility.ORGANIZERS
    return Visibility.PUBLIC if said & _OPEN else None
