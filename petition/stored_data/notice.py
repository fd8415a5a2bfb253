"""The notice that a signatory agrees to, and its versions: each signature stores the number of the one it saw."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date

from petition.core.i18n import Language
from petition.stored_data import paragraphs
from petition.stored_data.model import Subject
from petition.stored_data.paragraphs import Circumstances
from petition.stored_data.sentences import When
from petition.stored_data.tables import TABLES
from petition.stored_data.translation import personal_columns, readers_text, until_text

# The number that ``pending.consent`` and ``signature.consent`` store.
NOTICE_VERSION = 4

# SHA-256 of the notice in each language, by version. Version 1 was older than this list. A text that changes needs the
# next number: a signature must not seem to have agreed to what was written later.
DIGESTS: Mapping[int, Mapping[str, str]] = {
    4: {
        "en": "0dee821cabe49eef5663a2bbea7fd3f5952f8402d938261c99d8fd15a668493b",
        "ru": "77cd047546a825d6a836239fb4bf47bb3a7fa1eec86af832220480c39aba097f",
    },
    3: {
        "en": "0dee821cabe49eef5663a2bbea7fd3f5952f8402d938261c99d8fd15a668493b",
        "ru": "ade338d431b97fe6e536c3de4a2099458dd406bbd0fb4c50e096de3e62cbebe7",
    },
    2: {
        "en": "6906fc16ed8b151d340c712c38b46225cb45ec6764afa690b0ef2dc2e5c10eea",
        "ru": "4b34e92d59bdb0b89b8f8b93d62f555ed5237eb0b1be8c0128031d82272cf490",
    },
}


# What only a letter can say, in the notice of the installation.
EXAMPLES: Mapping[str, date | int] = {"date": date(2030, 1, 1), "days": 30}


def text(language: Language) -> str:
    """Return the whole notice as lines of plain text, with everything that only some installations say."""
    parts = paragraphs.page(language, Circumstances(holds=tuple(When), values=EXAMPLES))
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
