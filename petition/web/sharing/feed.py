"""A letter's Atom feed (RFC 4287) in one language: its updates, and what became of its text.

Ids are tag URIs (RFC 4151), which stay the same when the installation moves to another address of the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from markupsafe import escape

from petition.core.i18n import Language
from petition.letters.model import Letter, Text, Version
from petition.web.sharing.xml import child, sane, written

ATOM = "http://www.w3.org/2005/Atom"
XML = "http://www.w3.org/XML/1998/namespace"
NEWEST = 20  # entries
MAX_CHARACTERS = 500_000  # characters of all texts together; older ones have only their title


@dataclass(frozen=True, slots=True)
class News:
    """An update on the letter, as readers see it."""

    id: int
    texts: Mapping[str, Text]
    published_at: datetime
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry: ``name`` makes its id and never changes, ``path`` follows the letter's address."""

    name: str
    path: str
    title: str
    html: str
    published_at: datetime
    updated_at: datetime
    lang: str


def atom(letter: Letter, versions: Sequence[Version], news: Sequence[News], language: Language, base_url: str) -> bytes:
    """Return the feed; ``versions`` are all of them, the newest first, ``news`` the newest updates."""
    lang = letter.shown_in(language.code)
    page = f"{base_url}/{lang}/{letter.slug}"
    tag = f"tag:{urlsplit(base_url).hostname},{versions[-1].published_at:%Y-%m-%d}:{letter.slug}/{lang}"
    entries = [_of_version(each, lang, language) for each in versions[:NEWEST]] + [
        _of_news(each, lang) for each in news
    ]
    entries.sort(key=lambda each: each.published_at, reverse=True)
    root = ET.Element(f"{{{ATOM}}}feed", {f"{{{XML}}}lang": lang, f"{{{XML}}}base": f"{base_url}/"})
    _add(root, "id", tag)
    _add(root, "title", letter.text(lang).title)
    _add(root, "updated", _time(max(each.updated_at for each in entries)))
    _add(root, "link", rel="self", type="application/atom+xml", href=f"{page}/feed.atom")
    _add(root, "link", rel="alternate", type="text/html", href=page, hreflang=lang)
    _authors(root, letter, lang)
    room = MAX_CHARACTERS
    for entry in entries[:NEWEST]:
        room -= len(entry.html)
        _write(root, entry, tag, page, entry.html if room > 0 else f"<p>{escape(entry.title)}</p>")
    return written(root, {"": ATOM})


def _of_version(version: Version, lang: str, language: Language) -> _Entry:
    shown = lang if lang in version.texts else next(iter(version.texts))
    title = language.gettext("The letter") if version.number == 1 else language.gettext("Version %(number)s")
    note = version.note.get(language.code, "")
    return _Entry(
        name=str(version.number),
        path=f"versions#v{version.number}",
        title=title % {"number": language.number(version.number)},
        html=(f"<p>{escape(note)}</p>" if note else "") + version.texts[shown].html,
        published_at=version.published_at,
        updated_at=version.published_at,
        lang=shown,
    )


def _of_news(news: News, lang: str) -> _Entry:
    shown = lang if lang in news.texts else next(iter(news.texts))
    text = news.texts[shown]
    updated_at = news.edited_at or news.published_at
    path = f"updates#u{news.id}"
    return _Entry(f"update/{news.id}", path, text.title, text.html, news.published_at, updated_at, shown)


def _write(root: ET.Element, told: _Entry, tag: str, page: str, html: str) -> None:
    entry = _add(root, "entry")
    entry.attrib[f"{{{XML}}}lang"] = told.lang
    _add(entry, "id", f"{tag}/{told.name}")
    _add(entry, "title", told.title)
    _add(entry, "published", _time(told.published_at))
    _add(entry, "updated", _time(told.updated_at))
    _add(entry, "link", rel="alternate", type="text/html", href=f"{page}/{told.path}")
    _add(entry, "content", html, type="html")


def _authors(root: ET.Element, letter: Letter, lang: str) -> None:
    """Say who issued the letter: RFC 4287 wants at least one."""
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
    return sane(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
