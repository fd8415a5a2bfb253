"""What other programs do to a cell: entities, Excel's ``="…"``, words in place of nothing, invisible marks."""

import html
import re
import unicodedata
from html.entities import html5

from petition.formats.csv_rows import unguard

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)  # so that Excel does not take "007" for a number
_BREAKS = re.compile(r"[\t\r\n\x0b\x0c]+")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # phones copy these along with a name
_WRAPPED = re.compile(r"[(\[<«\"'-]?(.*?)[)\]>»\"'-]?")
PLACEHOLDERS = frozenset(
    (
        *("нет", "n/a", "n.a.", "n.a", "null", "nil", "none", "undefined", "nan", r"\n", "nothing", "blank", "empty"),
        *("#n/a", "#н/д", "#null!", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#error!", "#знач!", "#имя?"),
        *("#ссылка!", "#дел/0!", "#число!", "#пусто!", "н/д", "н.д.", "нд", "н/у", "не указано", "не указан"),
        *("не указана", "не указали", "не указал", "не указала", "не заполнено", "не применимо", "нет данных"),
        *("нет ответа", "отсутствует", "неизвестно", "пусто", "пропуск", "без ответа", "прочерк"),
        *("not specified", "not given", "not provided", "not available", "not applicable", "no data", "no answer"),
        *("unknown", "unspecified", "0000-00-00", "0000-00-00 00:00:00", "00.00.0000"),
    )
)
_CODES = frozenset(("na", "no"))  # placeholders, except where they are codes of countries
_MAX_PLACEHOLDER = max(map(len, PLACEHOLDERS)) + 2


def encodable(text: str) -> str:
    """Return a text with U+FFFD in place of bytes that could not be decoded."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def clean_cell(cell: str) -> str:
    """Return a cell without guards, wrappers, entities, line breaks and direction marks.

    Bytes that could not be decoded become U+FFFD.
    """
    if "&" in cell:
        cell = _without_entities(cell)
    if cell[:2] == '="' and (match := _AS_TEXT.fullmatch(cell)):
        cell = match[1].replace('""', '"')
    cell = _BREAKS.sub(" ", unguard(cell))
    if cell.isascii():
        return cell
    return _DIRECTION.sub("", encodable(cell))


def _without_entities(cell: str) -> str:
    """Decode entities that end with a semicolon, twice: some programs encode their own ampersands."""
    for _ in range(2):
        cell = _ENTITY.sub(_character, cell)
    return cell


def _character(match: re.Match[str]) -> str:
    is_known = match[0][1] == "#" or match[0][1:] in html5
    return html.unescape(match[0]) if is_known else match[0]


def is_placeholder(cell: str, *, is_code: bool = False) -> bool:
    """Return whether a cell has only what people and programs write in place of nothing.

    ``is_code``: the column has codes, so that two letters mean what they say.
    """
    if len(cell) > _MAX_PLACEHOLDER:
        return False
    if is_mark(cell):
        return True
    text = cell.casefold()
    match = _WRAPPED.fullmatch(text)
    inner = match[1].strip() if match else text
    return text in PLACEHOLDERS or inner in PLACEHOLDERS or (not is_code and inner in _CODES)


def is_mark(cell: str) -> bool:
    """Return whether a cell that is not empty has only dashes, dots and the like, or a spreadsheet's error."""
    if not cell or len(cell) > _MAX_PLACEHOLDER or "\ufffd" in cell:
        return False
    return (not cell[0].isalnum() and all(unicodedata.category(letter)[0] in "PSZ" for letter in cell)) or (
        cell[0] == "#" and cell.casefold() in PLACEHOLDERS
    )
