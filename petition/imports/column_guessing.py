"""Interprets the words of a file: the field of a column by its title, and the cells of a choice.

A title may be a whole question, as in a form. A wrong guess is visible on the page where columns are chosen. The
visibility in a cell is never guessed: in doubt fewer people see the name, or the row is a problem.
"""

# ruff: noqa: SIM905  # so many words are read more easily without their quotes

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from petition.signatures.model import Kind, Visibility
from petition.signatures.names import fold

# Titles after ``fold``; the first field with a matching one is the guess.
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
# Patterns that must match all of the title.
_WHOLE: Mapping[str, str] = {
    "email": "username|имя пользователя",  # Google's title for addresses that it collected itself
    "last": "last",
    "first": "first|(your )?(first|given) name|forename|имя",
    "kind": "kind|тип|вид|signing as|вы подписываете( как)?|кто подписывает|you sign as",
    "visibility": r"visibility|видимость|публичн\w*|who (may |can )?sees?( it)?|кто (может )?(у?вид\w*)",
}
_FIRST, _FAMILY = r"\b(имя|first|given|name)\b", r"\b(фамили\w+|last|family|surname)\b"
_WHOLE_NAME = re.compile(rf"{_FIRST}.*{_FAMILY}|{_FAMILY}.*\b(имя|first|given)\b|surname.*\bname\b|\bфио\b")
_FIRST_NAME = re.compile(r"\b(first|given) name\b")
# A title that asks whether something may be seen, or who may see it; the next three patterns decide what.
_ASKS = re.compile(
    r"(please |пожалуйста )?(may|can|could|do|shall|should|would|i|is|dont|hide|keep|show|publish|"
    r"display (my|your|the)|consent|agree|who (may |can |should )?sees?|можно|могу|можем|может|показ\w*|публик\w*|"
    r"опублик\w*|разреш\w*|соглас\w*|даю|вы|хотите|готовы|не|скры\w*|кто (может |сможет )?у?вид\w*)\b"
)
_DISPLAY = re.compile(
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
# Below such a title yes may mean no: "Do not show my name", "Would you mind if we show your name?"
_NEGATED = re.compile(
    r"\b(not?|non|dont|cant|cannot|wont|never|without|except|but|rather|instead|mind|object\w*|against|refuse\w*|decline\w*|"
    r"problem\w*|hid\w*|conceal\w*|withh\w*|secre\w*|confident\w*|unlist\w*|remov\w*|forbid\w*|pseudonym\w*|не|нет|ни|нельзя|"
    r"без|кроме|вместо|против|возраж\w*|отказ\w*|запре\w*|проблем\w*|непубл\w*|скры\w*|скро\w*|секрет\w*|тайн\w*|"
    r"конфиденц\w*|закры\w*|убр\w*|удал\w*|исключ\w*|псевдоним\w*)\b"
)
# Or the title lists the choices: "Who sees the name (everyone, organizers)?"
_NARROWED = re.compile(
    r"\b(only|just|private\w*|privacy|anonym\w*|nobody|organi[sz]er\w*|counted|только|лишь|анони\w*|никому|никто|"
    r"организатор\w*|приватн\w*)\b"
)
_ASKS_WHO = re.compile(r"visibility|видимость|who |кто ")
_DATUM = re.compile(r"[^\s@]@[^\s@]+\.|^\d+[./-]\d+[./-]\d+|^[\d .]+$")
_OF_PROBLEMS = re.compile(r"problem|что исправить")  # the column that a file of problems has besides its own
_OTHER_DATE = re.compile(r"\bbirth|\bborn\b|рожден")

_PERSON = re.compile(
    r"\b(person|people|personal|personally|individual\w*|myself|(my|own) (own )?(behalf|name)|citizen|private|natural|"
    r"человек|люди|частн\w*|физ\w*|фл|гражда\w*|от себя|лично|личн\w*|своего имени|себя|сам|сама)\b"
)
_ORGANIZED = (
    r"organi[sz]ations?|company|companies|org|ngo|legal entity|association|foundation|institution|business|firm|"
    r"организаци\w*|юр|юл|юрлиц\w*|юридическ\w*|компани\w*|нко|ано|ооо|ип|учреждени\w*|фонд\w*|ассоциаци\w*|"
    r"объединени\w*|редакци\w*|фирм\w*|предприяти\w*|сми"
)
_ORGANIZATION = re.compile(rf"\b({_ORGANIZED})\b")
# "Employee of a company" is a person: a cell means an organization only if it has no other words.
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
# Answers to a question, in a column that asks one.
_TICKED = frozenset("1 true истина y д + v ✓ ✔ ☑ x х on checked вкл согласен согласна agree agreed ok ок".split())
_UNTICKED = frozenset("0 false ложь n н off unchecked выкл ☐ ✗".split())
_YOU_MAY_SHOW = re.compile(r"\byou (?=(may|can|could) (show|publish|display|list)\b)")  # unlike "you may see"
# Words that may stand beside an open one without restricting it.
_NEUTRAL = frozenset(
    "please thanks ok i it is be to on in the a of course sure agree consent want may can could would like see seen "
    "show shown publish published display displayed visible list listed site website page letter under my name "
    "signature пожалуйста спасибо конечно я мое имя подпись согласен согласна на в под хочу можно может могут быть это "
    "видно виден видна видят видеть увидеть показать показывать покажите показано публиковать опубликовать опубликуйте "
    "опубликовано публикуйте отображать список списке открытом сайт сайте странице письмом".split()
)


def guess(header: Sequence[str]) -> tuple[str, ...]:
    """Return the likely field of each column, "" for none."""
    fields: list[str] = []
    for cell in header:
        text = fold(cell.replace("_", " "))
        field = "" if _OF_PROBLEMS.fullmatch(text) else _field_of(text)
        fields.append("" if field in fields else field)
    return _resolve_names(fields)


def is_of_problems(cell: str) -> bool:
    """Return whether a title is that of the column that a file of problems has besides its own."""
    return _OF_PROBLEMS.fullmatch(fold(cell)) is not None


def title_score(cell: str) -> int:
    """Return how much a cell looks like the name of a column.

    2 for one that is known, 1 for a sentence with one, -3 for what only a signatory has.
    """
    if _DATUM.search(cell):
        return -3
    text = fold(cell.replace("_", " "))
    if not text or _OTHER_DATE.search(text):
        return 0
    if any(re.fullmatch(pattern, text) for pattern in (*_TITLES.values(), *_WHOLE.values())):
        return 2
    return 1 if _WHOLE_NAME.search(text) or _field_of(text) else 0


def _field_of(text: str) -> str:
    if _OTHER_DATE.search(text):
        return ""
    if re.fullmatch(_WHOLE["visibility"], text):
        return "visibility"
    if (_ASKS.match(text) and _DISPLAY.search(text)) or _ASKS_ANYWHERE.search(text):
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
    doubts = (_SOMETHING_ELSE, _NEGATED, _NARROWED)
    return _A_NAME.search(text) is not None and not any(pattern.search(text) for pattern in doubts)


def _resolve_names(fields: list[str]) -> tuple[str, ...]:
    """Take a first name without a last one for the whole name, and a name beside a last one for the first."""
    if "last" in fields and "first" not in fields and "name" in fields:
        fields = ["first" if field == "name" else field for field in fields]
    if "name" not in fields and ("first" in fields) != ("last" in fields):
        fields = ["name" if field in {"first", "last"} else field for field in fields]
    return tuple(fields)


def is_no_header(header: Sequence[str]) -> bool:
    """Return whether the first row looks like a signatory rather than the names of columns."""
    return any(_DATUM.search(cell) for cell in header) or not any(guess(header))


def kind_of(cell: str) -> Kind | None:
    """Return the kind of signatory that a cell means; None if it is neither, or both."""
    text = fold(cell)
    if _ORGANIZATION.search(text):
        return Kind.ORGANIZATION if _ORGANIZATION_ONLY.fullmatch(text) else None
    return Kind.PERSON if _PERSON.search(text) else None


def visibility_of(cell: str, title: str = "") -> Visibility | None:
    """Return the visibility that a cell below a title means; None if that is not clear.

    "No, not to everyone" contains everyone: any word like no, or only, means organizers. A name is public only if the
    cell says so and nothing else: "yes, except my surname" is unclear. So is yes, or no, below "Do not show my name".
    """
    words = set(_YOU_MAY_SHOW.sub("", fold(cell)).split())
    negated, narrowed = _doubts_of(title)
    answer = cell.strip().casefold()
    if answer in _TICKED or answer in _UNTICKED:
        if negated or narrowed or not _asks_for_name(title):
            return None
        return Visibility.PUBLIC if answer in _TICKED else Visibility.ORGANIZERS
    if words & _YES_NO and words <= _OPEN | _NEUTRAL | _YES_NO and (negated or narrowed):
        return None
    if words & _COUNTED:
        return None if words & (_NOT | _SHUT) else Visibility.COUNTED
    if words & (_NOT | _SHUT):
        return Visibility.ORGANIZERS
    return Visibility.PUBLIC if words & _OPEN and words <= _OPEN | _NEUTRAL and not negated else None


@lru_cache(maxsize=16)  # called for each row
def _asks_for_name(title: str) -> bool:
    """Return whether a title asks whether the name may be shown, so that a tick is an answer."""
    text = fold(title)
    is_question = (_ASKS.match(text) and _DISPLAY.search(text)) or _ASKS_ANYWHERE.search(text)
    is_name = re.fullmatch(_WHOLE["visibility"], text) or _is_visibility(text)
    return bool((is_question or re.fullmatch(_WHOLE["visibility"], text)) and is_name and not _ASKS_WHO.match(text))


@lru_cache(maxsize=16)  # called for each row
def _doubts_of(title: str) -> tuple[bool, bool]:
    """Return whether a title may negate its answers, and whether it may narrow the meaning of yes."""
    text = fold(title)
    narrowed = _NARROWED.search(text) is not None
    return _NEGATED.search(text) is not None or (narrowed and not _ASKS_WHO.match(text)), narrowed
