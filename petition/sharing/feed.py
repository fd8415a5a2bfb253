"""A letter's Atom feed (RFC 4287) in one language: what became of its text.

Ids are tag URIs (RFC 4151), which stay the same when the installation moves to another address of the same name.
"""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from markupsafe import escape

from petition.i18n import Language
from petition.letters.model import Letter, Version
from petition.sharing.xml import child, sane, written

ATOM = "http://www.w3.org/2005/Atom"
XML = "http://www.w3.org/XML/1998/namespace"
NEWEST = 20  # entries
MOST = 500_000  # characters of all texts together; older ones tell only why the text changed


def atom(letter: Letter, versions: Sequence[Version], language: Language, base_url: str) -> bytes:
    """Return the feed; ``versions`` are all of them, the newest first."""
    lang = letter.shown_in(language.code)
    page = f"{base_url}/{lang}/{letter.slug}"
    tag = f"tag:{urlsplit(base_url).hostname},{versions[-1].published_at:%Y-%m-%d}:{letter.slug}/{lang}"
    root = ET.Element(f"{{{ATOM}}}feed", {f"{{{XML}}}lang": lang, f"{{{XML}}}base": f"{base_url}/"})
    _add(root, "id", tag)
    _add(root, "title", letter.text(lang).title)
    _add(root, "updated", _time(versions[0].published_at))
    _add(root, "link", rel="self", type="application/atom+xml", href=f"{page}/feed.atom")
    _add(root, "link", rel="alternate", type="text/html", href=page, hreflang=lang)
    _authors(root, letter, lang)
    room = MOST
    for version in versions[:NEWEST]:
        text = version.texts.get(lang) or next(iter(version.texts.values()))
        room -= len(text.html)
        _entry(root, version, language, f"{tag}/{version.number}", page, text.html if room > 0 else "")
    return written(root, {"": ATOM})


def _entry(root: ET.Element, version: Version, language: Language, tag: str, page: str, html: str) -> None:
    entry = _add(root, "entry")
    _add(entry, "id", tag)
    title = language.gettext("The letter") if version.number == 1 else language.gettext("Version %(number)s")
    _add(entry, "title", title % {"number": language.number(version.number)})
    _add(entry, "published", _time(version.published_at))
    _add(entry, "updated", _time(version.published_at))
    _add(entry, "link", rel="alternate", type="text/html", href=f"{page}/versions#v{version.number}")
    note = version.note.get(language.code, "")
    body = (f"<p>{escape(note)}</p>" if note else "") + html
    _add(entry, "content", body or title % {"number": version.number}, type="html")


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
