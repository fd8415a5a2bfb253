"""What a mail says of its letter: title, initiators, the signatory's names. Nothing of it if the letter is sensitive.

Rules and reasons: docs/decisions/what-mails-say.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.i18n import Texts
from petition.core.ids import LetterId

MAX_NAME = 100  # characters of a typed name in a mail
MAX_INITIATORS = 3  # named; the others are a number

FACTS = """
SELECT l.slug, l.sensitive, l.wrapped_name_key, l.wrapped_digest_key,
       coalesce((SELECT jsonb_object_agg(t.key, t.value ->> 'title')
                 FROM version v, jsonb_each(v.texts) AS t WHERE v.letter = l.id AND v.number = l.version),
                (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id AND t.title <> ''),
                '{}') AS titles,
       coalesce((SELECT jsonb_agg(p.names ORDER BY p.position) FROM party p
                 WHERE p.letter = l.id AND p.role = 'initiator'), '[]') AS initiators
FROM letter l WHERE l.id = $1
"""

# What mail programs turn into a link by themselves, typed as part of a name.
_LINK = re.compile(r"(?<=[^\W_]{2})\.(?=[^\W\d_]{2})")
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class LetterAbout:
    """What a mail in one language says about its letter."""

    title: str
    title_lang: str
    initiators: tuple[str, ...]
    others: int  # initiators that are not named


@dataclass(frozen=True, slots=True)
class LetterFacts:
    """What is known of a letter, in all its languages."""

    slug: str
    titles: Texts = field(default_factory=dict)
    initiators: Sequence[Texts] = ()
    sensitive: bool = False
    wrapped_name_key: bytes | None = field(default=None, repr=False)
    wrapped_digest_key: bytes | None = field(default=None, repr=False)

    def about(self, lang: str) -> LetterAbout | None:
        """Return what a mail in ``lang`` says, in another language where there is no title in this one.

        None: the mail keeps to neutral words.
        """
        if self.sensitive or not self.titles:
            return None
        title_lang = lang if lang in self.titles else min(self.titles)
        names = [texts.get(lang) or next(iter(texts.values())) for texts in self.initiators if texts]
        others = max(0, len(names) - MAX_INITIATORS)
        return LetterAbout(self.titles[title_lang], title_lang, tuple(names[:MAX_INITIATORS]), others)


@dataclass(frozen=True, slots=True)
class SignatoryNames:
    """The names in a mail about a signature. Both are None if the person is only counted, or the key is destroyed."""

    person: str | None = field(default=None, repr=False)
    organization: str | None = field(default=None, repr=False)  # both names, if it has two


NO_NAMES = SignatoryNames()


async def load(conn: Connection, letter_id: LetterId) -> LetterFacts | None:
    row = await conn.fetchrow(FACTS, letter_id)
    if row is None:
        return None
    return LetterFacts(**row)


def names_in(row: Record | Mapping[str, object], keys: LetterKeys) -> SignatoryNames:
    """Return the names in a row with name, name_en, name_ru and the encrypted ``private``."""
    typed: Mapping[str, str] = {}
    if isinstance(private := row["private"], bytes):
        try:
            typed = keys.reveal(private)
        except KeyDestroyed:
            return NO_NAMES
    name, name_en, name_ru = (
        row[column] or typed.get(key)
        for column, key in (("name", "name"), ("name_en", "organization_en"), ("name_ru", "organization_ru"))
    )
    organization = " // ".join(str(part) for part in (name_en, name_ru) if part)
    return SignatoryNames(_displayed(name), _displayed(organization))


def _displayed(name: object) -> str | None:
    """Return a typed name as mails show it: cut, on one line, and without anything that becomes a link by itself."""
    if not name:
        return None
    text = " ".join(str(name).split())
    text = text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
    return _LINK.sub(f".{_WORD_JOINER}", text)
