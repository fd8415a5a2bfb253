"""The site map (sitemaps.org, 0.9) with every page's other languages."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET

from petition.web.sharing.xml import child, written

MAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
XHTML = "http://www.w3.org/1999/xhtml"
MAX_URLS = 50_000  # addresses: the format's own limit


class SitemapEntry(NamedTuple):
    """A page that there is in ``langs``; ``path`` follows the language in its address."""

    path: str
    langs: Sequence[str]
    changed_at: datetime | None = None


def sitemap(places: Iterable[SitemapEntry], base_url: str) -> bytes:
    """Return the site map, cut off where the format's limit is reached."""
    root = ET.Element(f"{{{MAP}}}urlset")
    for place in places:
        if len(root) + len(place.langs) > MAX_URLS:
            break
        for lang in place.langs:
            url = child(root, f"{{{MAP}}}url")
            child(url, f"{{{MAP}}}loc", f"{base_url}/{lang}/{place.path}")
            if place.changed_at is not None:
                child(url, f"{{{MAP}}}lastmod", place.changed_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
            for other in place.langs:
                link = {"rel": "alternate", "hreflang": other, "href": f"{base_url}/{other}/{place.path}"}
                child(url, f"{{{XHTML}}}link", **link)
    return written(root, {"": MAP, "xhtml": XHTML})
