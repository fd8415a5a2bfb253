"""The notice that a signatory agrees to, and its versions: each signature stores the number of the one it saw."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date

from petition.core.i18n import Language
from petition.stored_data import sentences
from petition.stored_data.model import Subject
from petition.stored_data.sentences import Circumstances, When
from petition.stored_data.tables import TABLES
from petition.stored_data.translation import personal_columns, readers_text, until_text

# The number that ``pending.consent`` and ``signature.consent`` store.
NOTICE_VERSION = 3

# SHA-256 of the notice in each language, by version. Version 1 was older than this list. A text that changes needs the
# next number: a signature must not seem to have agreed to what was written later.
DIGESTS: Mapping[int, Mapping[str, str]] = {
    3: {
        "en": "69781c3b8f6711fa149d0f906ee56642691128cdb198f3709ffd00eb2c94e80a",
        "ru": "401f0e70ccf1353b7b0151c8ccd280de91e39fa44ddeceb31b376c96dcaad417",
    },
    2: {
        "en": "ae93f5c0310ec0625808cfdf6c6cb21c2da6a3f33706fc8fd733866d87b3c418",
        "ru": "9e7b3f0671b584c008f9f3c4e78eb524272ffb33e358c9e8f22f138f55f49818",
    },
}


# What only a letter can say, in the notice of the installation.
EXAMPLES: Mapping[str, date | int] = {"date": date(2030, 1, 1), "days": 30}


def text(language: Language) -> str:
    """Return the whole notice as lines of plain text, with everything that only some installations say."""
    parts = sentences.page(language, Circumstances(holds=tuple(When), values=EXAMPLES))
    lines = [line for part in parts for line in (part.title, *(text for _, text in part.texts))]
    return "\n".join(lines) + "\n"


def digest(language: Language) -> str:
    """Return the SHA-256 of the notice (64 hexadecimal digits)."""
    return hashlib.sha256(text(language).encode()).hexdigest()


def entries(language: Language) -> Iterator[dict[str, str]]:
    """Yield what is stored about signatories and addressees, table by table, for the page."""
    for table in TABLES.values():
        if table.is_personal and table.about is not Subject.ORGANIZERS:
            yield {
                "name": table.name,
                "what": language.gettext(table.what),
                "columns": "; ".join(personal_columns(language, table)),
                "why": language.gettext(table.why),
                "until": until_text(language, table.until),
                "readers": readers_text(language, table),
            }
