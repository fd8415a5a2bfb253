"""What the words of a file mean: which column is what by its title, and what the cells of a choice say.

A title may be a whole question, as in a form. What is guessed wrong shows on the page where columns are chosen; what a
cell says of who may see a name is never guessed: in doubt fewer see it, or the row is asked about.
"""

# ruff: noqa: SIM905  # so many words are read more easily without their quotes

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from petition.signatures.model import Kind, Visibility
from petition.signatures.names import fold

# Titles as ``fold`` leaves them; the first field with a fitting one is guessed.
_TITLES: Mapping[str, str] = {
    "email": r"e ?mail|почт\w*|адрес эл\w*",
    "signed_at": r"timestamp|отметка времени|date|signed at|signed|дата\w*|время",
    "last": r"last name|surname|family name|фамили\w+",
    "name_ru": r"name ru|название.*рус\w*|organi[sz]ation ru",
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
    "visibility": r"visibility|видимость|публичн\w*|who (may |can )?sees?( it)?|кто (может )?(у?вид\w*)",
}
_GIVEN, _FAMILY = r"\b(имя|first|given|name)\b", r"\b(фамили\w+|last|family|surname)\b"
_WHOLE_NAME = re.compile(rf"{_GIVEN}.*{_FAMILY}|{_FAMILY}.*\b(имя|first|given)\b|surname.*\bname\b|\bфио\b")
_FIRST_NAME = re.compile(r"\b(first|given) name\b")
# A title that asks whether, or by whom, something may be seen; of what, the next three tell.
_ASKS = re.compile(
    r"(please |пожалуйста )?(may|can|could|do|shall|should|would|i|is|dont|hide|keep|show|publish|"
    r"display (my|your|the)|consent|agree|who (may |can |should )?sees?|можно|могу|можем|может|показ\w*|публик\w*|"
    r"опублик\w*|разреш\w*|соглас\w*|даю|вы|хотите|готовы|не|скры\w*|кто (может |сможет )?у?вид\w*)\b"
)
_SHOWN = re.compile(
    r"\b(show\w*|publi\w*|display\w*|visib\w*|sees?|seen|hid\w*|private|anonym\w*|показ\w*|покаж\w*|публи\w*|опубл\w*|"
    r"отобра\w*|видн\w*|видет\w*|видит|видят|увид\w*|скры\w*|анони\w*)\b"
)
_ASKS_ANYWHERE = re.compile(
    r"\b(visibility|видимость|((show|publish)|(показ|опублик)\w*) ((your|my|the|ваше|мое) )?(name|имя))\b"
)
_A_NAME = re.compile(r"\b(name|имя|имени|подпись|подписи|меня|me|signature)\b")
_SOMETHING_ELSE = re.compile(
    r"\b(e?mail\w*|address\w*|phone\w*|employ\w*|compan\w*|work\w*|job|position|affiliation|occupation|organi[sz]ation\w*|"
    r"institution\w*|photo\w*|comment\w*|press|media|journalist\w*|почт\w*|адрес\w*|телефон\w*|работ\w*|должност\w*|"
    r"компани\w*|организаци\w*|учреждени\w*|аффилиаци\w*|професси\w*|фото\w*|комментари\w*|пресс\w*|журналист\w*|сми)\b"
)
# Under such a title yes may mean no: "Do not show my name", "Would you mind if we show your name?"
_TURNED = re.compile(
    r"\b(not?|non|dont|cant|cannot|wont|never|without|except|but|rather|instead|mind|object\w*|against|refuse\w*|decline\w*|"
    r"problem\w*|hid\w*|conceal\w*|withh\w*|secre\w*|confident\w*|unlist\w*|remov\w*|forbid\w*|pseudonym\w*|не|нет|ни|нельзя|"
    r"без|кроме|вместо|против|возраж\w*|отказ\w*|запре\w*|проблем\w*|непубл\w*|скры\w*|скро\w*|секрет\w*|тайн\w*|"
    r"конфиденц\w*|закры\w*|убр\w*|удал\w*|исключ\w*|псевдоним\w*)\b"
)
# Or it may be a choice told in the title: "Who sees the name (everyone, organizers, nobody)?"
_NARROWED = re.compile(
    r"\b(only|just|private\w*|privacy|anonym\w*|nobody|organi[sz]er\w*|counted|только|лишь|анони\w*|никому|никто|"
    r"организатор\w*|приватн\w*)\b"
)
_WHO = re.compile(r"visibility|видимость|who |кто ")
_DATUM = re.compile(r"[^\s@]@[^\s@]+\.|^\d+[./-]\d+[./-]\d+|^[\d .]+$")
_NOT_OURS = re.compile(r"\bbirth|\bborn\b|рожден")  # a date, but not that of signing

_PERSON = re.compile(r"\b(person|people|personal|individual\w*|человек|люди|частн\w*|физ\w*|гражда\w*)\b")
_ORGANIZED = (
    r"organi[sz]ations?|company|companies|org|ngo|legal entity|организаци\w*|юр|юрлиц\w*|юридическ\w*|компани\w*|нко|ип"
)
_ORGANIZATION = re.compile(rf"\b({_ORGANIZED})\b")
# An employee of a company is not one: an organization is taken for it only if nothing else is said.
_ORGANIZATION_ONLY = re.compile(
    rf"(({_ORGANIZED}|an?|the|as|of|on|behalf|for|my|our|i|we|are|or|represent\w*|sign|signing|"
    r"(non ?)?(profit|governmental)|от|имени|лица|лицо|как|я|мы|или|моей|нашей|представител\w+|представля\w+|"
    r"подписыва\w+|общественн\w+|(не)?коммерческ\w+)( |$))+"
)
_NOT = frozenset("no not non dont cant wont never only cannot нет не ни нельзя только кроме".split())
_YES_NO = frozenset("yes no да нет".split())
_OPEN = frozenset("public publicly everyone everybody yes да публично всем открыто все публичная".split())
_SHUT = frozenset(
    "organizers organisers private privately hide hidden secret secretly confidential confidentially организаторам "
    "организаторы скрыть скрыто скрывать скройте закрыто секретно тайно конфиденциально непублично".split()
)
_COUNTED = frozenset("counted anonymous anonymously nobody анонимно анонимный никому".split())
_YOU_MAY_SHOW = re.compile(r"\byou (?=(may|can|could) (show|publish|display|list)\b)")  # but not: you may see
# What may stand beside an open word and takes nothing back.
_NEUTRAL = frozenset(
    "please thanks ok i it is be to on in the a of course sure agree consent want may can could would like see seen "
    "show shown publish published display displayed visible list listed site website page letter under my name "
    "signature пожалуйста спасибо конечно я мое имя подпись согласен согласна на в под хочу можно может могут быть это "
    "видно виден видна видят видеть увидеть показать показывать покажите показано публиковать опубликовать опубликуйте "
    "опубликовано публикуйте отображать список списке открытом сайт сайте странице письмом".split()
)


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
    if re.fullmatch(_WHOLE["visibility"], text):
        return "visibility"
    if (_ASKS.match(text) and _SHOWN.search(text)) or _ASKS_ANYWHERE.search(text):
        return "visibility" if _is_visibility(text) else ""
    if _WHOLE_NAME.search(text):
        return "name"
    titles = (*_TITLES.items(), *_WHOLE.items())
    if exact := next((name for name, pattern in titles if re.fullmatch(pattern, text)), None):
        return exact
    if _FIRST_NAME.search(text):
        return "first"
    return next((name for name, pattern in _TITLES.items() if re.search(rf"\b(?:{pattern})\b", text)), "")


def _is_visibility(text: str) -> bool:
    """Return whether yes, below a title that asks, can only mean that the name may be shown."""
    doubts = (_SOMETHING_ELSE, _TURNED, _NARROWED)
    return _A_NAME.search(text) is not None and not any(each.search(text) for each in doubts)


def _sorted_out(found: list[str]) -> tuple[str, ...]:
    """A first name without a last one is all the name there is; a name beside a last one is the first."""
    if "last" in found and "first" not in found and "name" in found:
        found = ["first" if each == "name" else each for each in found]
    if "name" not in found and ("first" in found) != ("last" in found):
        found = ["name" if each in {"first", "last"} else each for each in found]
    return tuple(found)


def is_no_header(header: Sequence[str]) -> bool:
    """Return whether the first row is rather a signatory than the names of columns."""
    return any(_DATUM.search(cell) for cell in header) or not any(guess(header))


def kind_of(cell: str) -> Kind | None:
    """Return who signs by what a cell says; None if it says neither, or both."""
    text = fold(cell)
    if _ORGANIZATION.search(text):
        return Kind.ORGANIZATION if _ORGANIZATION_ONLY.fullmatch(text) else None
    return Kind.PERSON if _PERSON.search(text) else None


def visibility_of(cell: str, title: str = "") -> Visibility | None:
    """Return who may see a name by what a cell says below a title; None if that is not clear.

    "No, not to everyone" has the word everyone in it: whatever says no, or only, shuts. Shown to all is who says so and
    nothing besides: "yes, except my surname" is asked about. So is yes, or no, below "Do not show my name".
    """
    said = set(_YOU_MAY_SHOW.sub("", fold(cell)).split())
    turned, narrowed = _doubts_of(title)
    if said & _YES_NO and said <= _OPEN | _NEUTRAL | _YES_NO and (turned or narrowed):
        return None
    if said & _COUNTED:
        return None if said & (_NOT | _SHUT) else Visibility.COUNTED
    if said & (_NOT | _SHUT):
        return Visibility.ORGANIZERS
    return Visibility.PUBLIC if said & _OPEN and said <= _OPEN | _NEUTRAL and not turned else None


@lru_cache(maxsize=16)  # asked once for each row
def _doubts_of(title: str) -> tuple[bool, bool]:
    """Return whether a title may turn its answers round, and whether it may narrow what yes means."""
    text = fold(title)
    narrowed = _NARROWED.search(text) is not None
    return _TURNED.search(text) is not None or (narrowed and not _WHO.match(text)), narrowed
