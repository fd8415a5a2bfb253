"""The site map (sitemaps.org, 0.9), each page with its other languages."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET

from petition.core.database import Connection
from petition.formats.xml import child, serialize

LETTERS = """
SELECT l.slug, ARRAY(SELECT jsonb_object_keys(v.texts) ORDER BY 1) AS langs,
       CASE WHEN v.number = 1 THEN least(v.published_at, l.opened_at) ELSE v.published_at END AS published_at
FROM letter l JOIN version v ON v.letter = l.id AND v.number = l.version
WHERE l.effective_state IN ('open', 'closed') ORDER BY l.opened_at DESC, l.id DESC LIMIT $1
"""

MAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
XHTML = "http://www.w3.org/1999/xhtml"
MAX_URLS = 50_000  # the format's own limit


class SitemapEntry(NamedTuple):
    """A page in ``langs``; ``path`` follows the language in its address."""

    path: str
    langs: Sequence[str]
    changed_at: datetime | None = None


async def letter_entries(conn: Connection, langs: Sequence[str]) -> list[SitemapEntry]:
    """Return the letters that search engines may find, the newest first; ``langs`` sets the order of languages."""
    rows = await conn.fetch(LETTERS, MAX_URLS)
    return [
        SitemapEntry(row["slug"], [lang for lang in langs if lang in row["langs"]], row["published_at"]) for row in rows
    ]


def render_sitemap(entries: Iterable[SitemapEntry], base_url: str) -> bytes:
    """Return the site map, truncated at ``MAX_URLS``."""
    root = ET.Element(f"{{{MAP}}}urlset")
    for entry in entries:
        if len(root) + len(entry.langs) > MAX_URLS:
            break
        for lang in entry.langs:
            url = child(root, f"{{{MAP}}}url")
            child(url, f"{{{MAP}}}loc", f"{base_url}/{lang}/{entry.path}")
            if entry.changed_at is not None:
                child(url, f"{{{MAP}}}lastmod", entry.changed_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
            for other in entry.langs:
                link = {"rel": "alternate", "hreflang": other, "href": f"{base_url}/{other}/{entry.path}"}
                child(url, f"{{{XHTML}}}link", **link)
    return serialize(root, {"": MAP, "xhtml": XHTML})
