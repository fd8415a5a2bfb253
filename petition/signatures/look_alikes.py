"""Websites and names in letters that look like others: what a moderator has to see, since they look the same.

No library: those that know all of Unicode's confusable letters mark honest names in one script, and find no more of
what is tried: Cyrillic or Greek letters between or instead of Latin ones. It is a hint; a moderator judges.
"""

import unicodedata

from petition.signatures.signals import host_of

_PREFIX = "xn--"
# Each looks like a Latin letter in the fonts of browsers.
_LIKE_LATIN = frozenset("авеёзіїјкмнорсстухһԁԛԝѕґгԍьѵ" + "αβγεζηικμνορτυχωϲϳ" + "օոսհքցզգյ")

# Of names, which come in capitals too: letters and digits with the Latin ones that either form looks like. The same
# table is in the database (``organization_shapes``).
_SHAPES = str.maketrans(
    "авекмнорстухзгпьіїёѕԁԛԝјӏһ" + "αβεζηικμνορτυχ" + "01iı" + "éèêëáàâäãåóòôöõøúùûüíìîïçñý",
    "abekmhopctyx3rnbllesdqwjlh" + "abezhlkmnoptyx" + "olll" + "eeeeaaaaaaoooooouuuullllcny",
)


def shape(folded: str) -> str:
    """Return a folded name as it looks: two names of the same shape can hardly be distinguished."""
    return folded.translate(_SHAPES)


def ascii_host(website: str) -> str | None:
    """Return the host as name servers are asked for it ("xn--…"), or ``None`` where that is how it is written."""
    host = host_of(website)
    return host if host is not None and _PREFIX in host else None


def imitates(website: str) -> bool:
    """Return whether letters of the host may be taken for others: of several scripts in one label, or all like Latin.

    A label that is all like Latin is no trick where the top-level domain is in the same script (``сор.рф``).
    """
    host = ascii_host(website)
    if host is None:
        return False
    *labels, top = map(_unicode, host.split("."))
    return any(_mixes(label) or (top.isascii() and _is_like_latin(label)) for label in (*labels, top))


def _unicode(label: str) -> str:
    if not label.startswith(_PREFIX):
        return label
    try:
        return label.removeprefix(_PREFIX).encode().decode("punycode").lower()
    except UnicodeError:
        return label


def _mixes(label: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in label if letter.isalpha()}
    return len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1


def _is_like_latin(label: str) -> bool:
    letters = {letter for letter in label if letter.isalpha()}
    return not label.isascii() and bool(letters) and letters <= _LIKE_LATIN
