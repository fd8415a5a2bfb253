"""A letter's Atom feed (RFC 4287) in one language: its updates, its versions, and what its addressees did.

Ids are tag URIs (RFC 4151), which do not change with the scheme or port of the installation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from markupsafe import escape

from petition.addressees.addressee_words import EventLine
from petition.core.i18n import Language
from petition.formats.xml import child, serialize
from petition.letters.model import Letter, Text, Version

ATOM = "http://www.w3.org/2005/Atom"
XML = "http://www.w3.org/XML/1998/namespace"
MAX_ENTRIES = 20
MAX_CHARACTERS = 500_000  # of all texts together; older entries have only their title


@dataclass(frozen=True, slots=True)
class FeedUpdate:
    """A published update on the letter."""

    id: int
    texts: Mapping[str, Text]
    published_at: datetime
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class _FeedEntry:
    """One entry: its id is made from ``name``, which never changes; ``path`` follows the letter's address."""

    name: str
    path: str
    title: str
    html: str
    published_at: datetime
    updated_at: datetime
    lang: str


def render_feed(
    letter: Letter,
    versions: Sequence[Version],
    updates: Sequence[FeedUpdate],
    events: Sequence[EventLine] = (),
    *,
    language: Language,
    base_url: str,
) -> bytes:
    """Return the feed; ``versions`` are all, newest first, ``updates`` and ``events`` (of addressees) the newest."""
    lang = letter.shown_in(language.code)
    page = f"{base_url}/{lang}/{letter.slug}"
    tag = f"tag:{urlsplit(base_url).hostname},{versions[-1].published_at:%Y-%m-%d}:{letter.slug}/{lang}"
    entries = [_version_entry(version, lang, language) for version in versions[:MAX_ENTRIES]]
    entries += [_update_entry(update, lang) for update in updates]
    entries += [_event_entry(event, language) for event in events]
    entries.sort(key=lambda entry: entry.published_at, reverse=True)
    root = ET.Element(f"{{{ATOM}}}feed", {f"{{{XML}}}lang": lang, f"{{{XML}}}base": f"{base_url}/"})
    _add(root, "id", tag)
    _add(root, "title", letter.text(lang).title)
    _add(root, "updated", _time(max(entry.updated_at for entry in entries)))
    _add(root, "link", rel="self", type="application/atom+xml", href=f"{page}/feed.atom")
    _add(root, "link", rel="alternate", type="text/html", href=page, hreflang=lang)
    _add_authors(root, letter, lang)
    budget = MAX_CHARACTERS
    for entry in entries[:MAX_ENTRIES]:
        budget -= len(entry.html)
        html = entry.html if budget > 0 else f"<p>{escape(entry.title)}</p>"
        _add_entry(root, entry, tag, page=page, html=html)
    return serialize(root, {"": ATOM})


def _version_entry(version: Version, lang: str, language: Language) -> _FeedEntry:
    text_lang = lang if lang in version.texts else next(iter(version.texts))
    title = language.gettext("The letter") if version.number == 1 else language.gettext("Version %(number)s")
    note = version.note.get(language.code, "")
    return _FeedEntry(
        name=str(version.number),
        path=f"versions#v{version.number}",
        title=title % {"number": language.number(version.number)},
        html=(f"<p>{escape(note)}</p>" if note else "") + version.texts[text_lang].html,
        published_at=version.published_at,
        updated_at=version.published_at,
        lang=text_lang,
    )


def _update_entry(update: FeedUpdate, lang: str) -> _FeedEntry:
    text_lang = lang if lang in update.texts else next(iter(update.texts))
    text = update.texts[text_lang]
    return _FeedEntry(
        name=f"update/{update.id}",
        path=f"updates#u{update.id}",
        title=text.title,
        html=text.html,
        published_at=update.published_at,
        updated_at=update.edited_at or update.published_at,
        lang=text_lang,
    )


def _event_entry(event: EventLine, language: Language) -> _FeedEntry:
    summary = f"<p>{escape(event.summary)}</p>" if event.summary else f"<p>{escape(event.title)}</p>"
    words = language.gettext("The answer itself")
    link = f'<p><a href="{escape(event.url)}">{escape(words)}</a></p>' if event.url else ""
    return _FeedEntry(
        name=f"response/{event.id}",
        path=f"answers#r{event.id}",
        title=event.title,
        html=summary + link,
        published_at=event.at,
        updated_at=event.at,
        lang=language.code,
    )


def _add_entry(root: ET.Element, entry: _FeedEntry, tag: str, *, page: str, html: str) -> None:
    element = _add(root, "entry")
    element.attrib[f"{{{XML}}}lang"] = entry.lang
    _add(element, "id", f"{tag}/{entry.name}")
    _add(element, "title", entry.title)
    _add(element, "published", _time(entry.published_at))
    _add(element, "updated", _time(entry.updated_at))
    _add(element, "link", rel="alternate", type="text/html", href=f"{page}/{entry.path}")
    _add(element, "content", html, type="html")


def _add_authors(root: ET.Element, letter: Letter, lang: str) -> None:
    """Add the initiators, or the title: RFC 4287 requires an author."""
    for party in letter.initiators:
        author = _add(root, "author")
        _add(author, "name", party.name(lang))
        if party.url:
            _add(author, "uri", party.url)
    if not letter.initiators:
        _add(_add(root, "author"), "name", letter.text(lang).title)


def _add(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    return child(parent, f"{{{ATOM}}}{name}", text, **attributes)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
