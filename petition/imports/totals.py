"""Rows below a list that say how long it is: "Итого:", "Total: 35". They are no signatories."""

import re
from collections.abc import Sequence

from petition.signatures.names import fold

_BEGIN = re.compile(
    r"\W*(?:итог|всего|подыт|общ|колич|числ|сумм|подпис|total|sub|sum|grand|count|number|signat|all|overall)", re.I
)
_TOTALS = frozenset(
    "итого итог всего подытог подитог сумма количество число total totals subtotal sum count number overall".split()  # noqa: SIM905
)
_WORDS = _TOTALS | frozenset(
    "общее общий общая кол во подписей подписи подпись подписавших подписавшихся подписавшие подписантов человек чел "  # noqa: SIM905
    "людей организаций участников строк записей ответов лиц граждан по в на и за из странице листе листу списку списке "
    "signatures signature signatories signers people persons organizations organisations rows entries records answers "
    "responses of the in on this page list sheet grand all and".split()
)


def may_be_total(text: str) -> bool:
    """Return whether a row with this text, and no other, could have a total."""
    return _BEGIN.match(text) is not None


def is_total(cells: Sequence[str]) -> bool:
    """Return whether a row has a total and, besides that, only numbers."""
    texts = [cell for cell in cells if cell and any(map(str.isalpha, cell))]
    if len(texts) != 1 or not _BEGIN.match(texts[0]) or len(texts[0]) > 200:
        return False
    words = [word for word in fold(texts[0]).split() if not word.isdigit()]
    return bool(_TOTALS & set(words)) and all(word in _WORDS for word in words)
