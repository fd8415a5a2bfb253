"""The context of a mirror's templates in one language: what the public pages show, with the links of the copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from markupsafe import Markup

from petition.addressees import addressee_words
from petition.core.database import Record
from petition.core.i18n import Language, pick_language
from petition.core.typography import typeset
from petition.letters.addressees import timeline
from petition.letters.model import Letter, Text
from petition.letters.sources import sources_of
from petition.letters.version_changes import with_changes
from petition.mirrors.links import CopyLinks
from petition.mirrors.model import CopyFacts, LetterSnapshot


@dataclass(frozen=True, slots=True)
class NewsItem:
    """An update in the language that is shown."""

    id: int
    at: datetime
    edited_at: datetime | None
    lang: str
    title: str
    html: Markup


@dataclass(frozen=True, slots=True)
class LinkedAddress:
    """An address of the letter, and the words for it."""

    url: str
    host: str
    is_onion: bool


def context_of(snapshot: LetterSnapshot, facts: CopyFacts, language: Language, links: CopyLinks) -> dict[str, Any]:
    """Return everything that the templates show of a letter in ``language``."""
    published, letter, lang = snapshot.published, snapshot.letter, language.code
    base_url, text_lang = facts.addresses.base_url, letter.shown_in(lang)
    text = letter.text(lang)
    return {
        "letter": letter,
        "text_lang": text_lang,
        "text": text,
        "text_html": _html(text, text_lang, links),
        "counts": published.counts,
        "counted_at": published.counted_at,
        "written_at": facts.written_at,
        "sources": sources_of(letter, published.counts),
        "goal": letter.goal_at(published.counts.total),
        "paused": None if letter.pause is None else pick_language(letter.pause, lang),
        "notices": [pick_language(texts, lang) for texts in letter.switches.banners],
        "addressees": [
            replace(line, url=links.url(line.url))
            for line in addressee_words.lines(language, letter, published.today, base_url)
        ],
        "events": [
            replace(
                addressee_words.event_line(language, letter, addressee, response, base_url),
                url=links.url(response.url(base_url, lang, letter.slug)),
            )
            for addressee, response in timeline(letter.addressees)
        ],
        "versions": with_changes(list(snapshot.versions), lang),
        "news": [_news_item(row, texts, lang, links) for row, texts in snapshot.news],
        "original": f"{base_url}/{text_lang}/{letter.slug}",
        "signing": [_linked(f"{origin}/{lang}/{letter.slug}#sign") for origin in facts.addresses.signing],
        "copies": [_linked(f"{url}/{letter.slug}/{lang}/index.html") for url in facts.addresses.copies],
        "host": facts.addresses.host,
    }


def _html(text: Text, lang: str, links: CopyLinks) -> Markup:
    return Markup(links.html(typeset(text.html, lang)))  # noqa: S704  # sanitized when saved


def _news_item(row: Record, texts: Mapping[str, Text], lang: str, links: CopyLinks) -> NewsItem:
    in_lang = lang if lang in texts else next(iter(texts))
    return NewsItem(
        id=row["id"],
        at=row["published_at"],
        edited_at=row["edited_at"],
        lang=in_lang,
        title=texts[in_lang].title,
        html=_html(texts[in_lang], in_lang, links),
    )


def _linked(url: str) -> LinkedAddress:
    host = url.partition("://")[2].partition("/")[0]
    return LinkedAddress(url, host, host.partition(":")[0].endswith(".onion"))


def policy(css_hash: str, images: str) -> str:
    """Return the policy that stands inside each page of a copy: nothing but its own style and pictures."""
    return f"default-src 'none';style-src '{css_hash}';img-src {images};form-action 'none';base-uri 'none'"


def titles(letter: Letter, languages: Sequence[str]) -> list[tuple[str, str]]:
    """Return (language, title) of every text of the letter, in the order of ``languages``."""
    return [(lang, letter.text(lang).title) for lang in languages if lang in letter.languages]
