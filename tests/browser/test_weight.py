"""One request and 10 KB on the wire are enough to read and to sign: no script, no cookie, no third party."""

import asyncio
import re
from urllib.parse import urlsplit

import brotli
import pytest

from tests.browser import album
from tests.browser.album import CLOSED, LONG, QUIET, Gallery
from tests.browser.visitor import Meet
from tests.running import SLUG

pytestmark = pytest.mark.browser

MOST = 10 * 1024  # bytes, headers and status line included
PAGES = pytest.mark.parametrize(
    "path", [f"/{slug}{query}" for slug in (SLUG, LONG) for query in ("", "?as=organization")]
)
LANGUAGES = pytest.mark.parametrize("lang", ["en", "ru"])
FIELDS = {"version", "kind", "visibility", "name", "email", "city", "affiliation", "country", "updates", "consent"} | {
    "organization_en",
    "organization_ru",
    "website",
    "position",
}


async def on_the_wire(base: str, path: str) -> tuple[int, str, str]:
    """Return (bytes of the whole answer, its head, its unpacked body) as a browser of today asks for it."""
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    ask = [
        f"GET {path} HTTP/1.1",
        f"Host: {address.netloc}",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Connection: close",
    ]
    writer.write("\r\n".join([*ask, "", ""]).encode())
    whole = await reader.read(-1)
    writer.close()
    head, _, body = whole.partition(b"\r\n\r\n")
    return len(whole), head.decode("latin-1").lower(), brotli.decompress(body).decode()


@LANGUAGES
@PAGES
async def test_the_letter_and_its_form_come_in_one_flight(gallery: Gallery, lang: str, path: str) -> None:
    size, head, page = await on_the_wire(gallery.town.base, f"/{lang}{path}")
    assert size <= MOST
    assert "set-cookie" not in head
    fields = set(re.findall(r'<input[^>]* name="(\w+)"', page))
    assert fields == FIELDS
    assert f'action="/{lang}{urlsplit(path).path}/sign"' in page
    assert not re.search(r"<[^>]+ style=", page)
    assert not re.search(r"<[^>]+ on\w+=", page)
    assert "url(" not in page
    assert not re.findall(r'<(?:img|iframe|link rel="stylesheet"|script(?! type="module" src="/static/))[^>]*>', page)


@LANGUAGES
async def test_read_on_leads_to_the_whole_of_a_long_letter(gallery: Gallery, meet: Meet, lang: str) -> None:
    visitor = await meet(gallery.town, lang, scripts=False)
    await visitor.follow(f"/{lang}/{LONG}")
    beginning = await visitor.text(".text")
    assert len(beginning) > 1000
    await visitor.page.click(".letter .more a")
    await visitor.page.wait_for_url(f"**/{LONG}/text")
    whole = await visitor.text(".text")
    assert whole.startswith(beginning)
    assert len(whole.encode()) > 60_000
    await visitor.page.click(".letter a.button")
    await visitor.page.wait_for_url(f"**/{lang}/{LONG}#sign")


async def test_without_scripts_a_page_is_all_that_is_asked_for(gallery: Gallery, meet: Meet) -> None:
    visitor = await meet(gallery.town, "ru", scripts=False)
    for way in album.ways(gallery).values():
        await way(visitor)
    assert {kind for kind, _ in visitor.requests} == {"document"}


async def test_scripts_are_ours_and_come_later(gallery: Gallery, meet: Meet) -> None:
    visitor = await meet(gallery.town)
    await visitor.open()
    assert visitor.requests[0] == ("document", visitor.address())
    assert {(kind, urlsplit(address).path) for kind, address in visitor.requests[1:]} == {
        ("script", "/static/js/sign.js"),
        ("script", "/static/js/busy.js"),
        ("script", "/static/js/pow.js"),
        ("script", "/static/js/live.js"),
        ("script", "/static/js/share.js"),
    }
    assert await visitor.page.evaluate("[...document.scripts].every(script => script.type == 'module')")


@pytest.mark.parametrize("slug", [SLUG, CLOSED, QUIET])
async def test_everyone_gets_the_same_bytes(gallery: Gallery, slug: str) -> None:
    pages = {(await on_the_wire(gallery.town.base, f"/en/{slug}{junk}"))[2] for junk in ("", "?x=1", "?as=dog")}
    assert len(pages) == 1
