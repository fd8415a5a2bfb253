"""Cached pages: rendered once per change, served from memory, also while the database is down."""

import asyncio
import gzip

import brotli
import pytest

from petition.core import resources
from petition.core.errors import NotFound, Unavailable
from petition.web import page_cache as module
from petition.web.content_codings import Coding
from petition.web.page_cache import CachedResponse, CacheTier, PageCache, build_response

HTML = b"text/html; charset=utf-8"
PAGE = build_response(b"<p>one</p>" * 100, HTML, [(b"content-language", b"en")])


class Maker:
    """Renders a page with its number, or raises."""

    def __init__(self) -> None:
        self.renders = 0
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> CachedResponse:
        self.renders += 1
        body = b"page %d" % self.renders
        await self.open.wait()
        if self.error:
            raise self.error
        return build_response(body, HTML, [])


def test_a_kept_page_is_whole_small_and_says_so() -> None:
    gzipped = PAGE.encoded(Coding.GZIP)
    assert gzip.decompress(gzipped.body) == PAGE.plain
    plain, unchanged = dict(PAGE.encoded(Coding.IDENTITY).headers), dict(PAGE.not_modified_headers)
    small = dict(gzipped.headers)
    assert small[b"content-encoding"] == b"gzip"
    assert small[b"content-length"] == str(len(gzipped.body)).encode()
    assert plain[b"content-length"] == str(len(PAGE.plain)).encode()
    assert b"content-encoding" not in plain
    assert b"content-length" not in unchanged
    for headers in (small, plain, unchanged):
        assert headers[b"etag"] == PAGE.etag
        assert headers[b"cache-control"] == b"public, max-age=0, s-maxage=1"
        assert headers[b"vary"] == b"Accept-Encoding"
    assert small[b"content-language"] == plain[b"content-language"] == b"en"


def test_what_is_unchanged_repeats_only_what_a_reader_needs() -> None:
    allowed = (b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"ETag")
    policy = (b"content-security-policy", b"default-src 'none'"), (b"x-content-type-options", b"nosniff")
    response = build_response(b"{}", b"application/json", [*allowed, *policy])
    assert {*allowed, *policy} <= set(response.headers)
    names = {b"cache-control", b"etag", b"vary", *(name for name, _ in allowed)}
    assert {name for name, _ in response.not_modified_headers} == names


def test_the_same_bytes_have_the_same_mark_and_no_time_in_them() -> None:
    assert build_response(b"same", HTML, []) == build_response(b"same", HTML, [])
    assert build_response(b"same", HTML, []).etag != build_response(b"other", HTML, []).etag


def test_the_weight_is_what_goes_over_the_wire() -> None:
    small = PAGE.encoded(Coding.BROTLI)
    lines = [b"HTTP/1.1 200 OK", *(name + b": " + value for name, value in small.headers), b"", small.body]
    assert PAGE.wire_size == len(b"\r\n".join(lines))


async def test_a_page_is_made_once_until_it_moves() -> None:
    pages, make = PageCache(), Maker()
    assert (await pages.get("/en/a", "a", make)).plain == b"page 1"
    assert (await pages.get("/en/a", "a", make)).plain == b"page 1"
    assert pages.fresh["/en/a"].plain == b"page 1"
    pages.invalidate("b")
    assert "/en/a" in pages.fresh
    pages.invalidate("a")
    assert pages.fresh == {}
    assert (await pages.get("/en/a", "a", make)).plain == b"page 2"


async def test_however_many_ask_it_is_made_once() -> None:
    pages, make = PageCache(), Maker()
    make.open.clear()
    requests = [asyncio.create_task(pages.get("/en/a", "a", make)) for _ in range(50)]
    await asyncio.sleep(0)
    make.open.set()
    assert {page.plain for page in await asyncio.gather(*requests)} == {b"page 1"}
    assert make.renders == 1


async def test_what_moved_while_the_page_was_made_is_not_kept() -> None:
    pages, make = PageCache(), Maker()
    make.open.clear()
    requests = asyncio.create_task(pages.get("/en/a", "a", make))
    await asyncio.sleep(0)
    pages.invalidate("a")
    make.open.set()
    assert (await requests).plain == b"page 1"
    assert pages.fresh == {}
    assert (await pages.get("/en/a", "a", make)).plain == b"page 2"
    assert "/en/a" in pages.fresh


async def test_what_is_not_to_be_seen_again_while_it_was_made_is_not_even_kept_for_later() -> None:
    pages, make = PageCache(), Maker()
    make.open.clear()
    requests = asyncio.create_task(pages.get("/en/a", "a", make))
    await asyncio.sleep(0)
    pages.purge("a")
    make.open.set()
    await requests
    make.error = Unavailable()
    with pytest.raises(Unavailable):
        await pages.get("/en/a", "a", make)


async def test_while_the_database_is_away_the_last_one_is_good() -> None:
    pages, make = PageCache(), Maker()
    make.error = Unavailable()
    with pytest.raises(Unavailable):
        await pages.get("/en/a", "a", make)
    make.error = None
    last = await pages.get("/en/a", "a", make)
    pages.invalidate("a")
    make.error = Unavailable()
    assert await pages.get("/en/a", "a", make) is last
    assert pages.fresh == {}  # rendered again as soon as the database is back
    make.error = NotFound()
    with pytest.raises(NotFound):
        await pages.get("/en/a", "a", make)


async def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    pages, make = PageCache(), Maker()
    for number in range(5):
        await pages.get(f"/en/{number}", "letter", make)
    assert list(pages.fresh) == ["/en/2", "/en/3", "/en/4"]
    make.error = Unavailable()
    with pytest.raises(Unavailable):
        await pages.get("/en/0", "letter", make)


async def test_what_anybody_can_make_up_crowds_out_only_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 7)
    monkeypatch.setattr(module, "CAPACITY", {CacheTier.COMMON: 7, CacheTier.VARIANT: 3, CacheTier.ARBITRARY: 2})
    pages, make = PageCache(), Maker()
    await pages.get("/letter", "a", make)
    for number in range(4):
        await pages.get(f"/partner/{number}", "a", make, CacheTier.VARIANT)
    for number in range(100):
        await pages.get(f"/colour/{number}", "b", make, CacheTier.ARBITRARY)
    chosen = ["/partner/1", "/partner/2", "/partner/3"]
    assert list(pages.fresh) == ["/letter", *chosen, "/colour/98", "/colour/99"]
    for number in range(3):  # the usual ones take the room of the others, of what is made up first
        await pages.get(f"/letter/{number}", "a", make)
    assert list(pages.fresh) == ["/letter", *chosen, "/letter/0", "/letter/1", "/letter/2"]
    await pages.get("/letter/3", "a", make)
    assert "/letter" in pages.fresh
    assert "/partner/1" not in pages.fresh
    pages.invalidate("a")
    pages.invalidate("b")
    assert pages.fresh == {}


async def test_what_cannot_be_made_leaves_nothing_behind() -> None:
    pages, make = PageCache(), Maker()
    make.error = NotFound()
    for number in range(10):
        with pytest.raises(NotFound):
            await pages.get(f"/colour/{number}", "a", make, CacheTier.ARBITRARY)
    assert not pages._renders
    assert not pages._current


async def test_its_bytes_have_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, make = PageCache(), Maker()
    size = (await pages.get("/en/0", "letter", make)).size
    monkeypatch.setattr(module, "MAX_BYTES", 3 * size + 20)
    for number in range(1, 5):
        await pages.get(f"/en/{number}", "letter", make)
    assert list(pages.fresh) == ["/en/2", "/en/3", "/en/4"]
    for _ in range(5):  # a page that is made anew takes the place of the one before
        pages.invalidate("letter")
        await pages.get("/en/4", "letter", make)
    pages.invalidate("letter")
    make.error = Unavailable()
    for number in (2, 3, 4):
        assert (await pages.get(f"/en/{number}", "letter", make)).plain


async def test_what_says_when_it_was_counted_is_made_anew_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AGE", 0.01)
    pages, dated, other = PageCache(), Maker(), Maker()
    aging = asyncio.create_task(pages.expire_dated())
    try:
        await pages.get("/other", "letter", other)
        async with asyncio.timeout(120):
            while dated.renders < 3:
                await pages.get("/count", "letter", dated, dated=True)
                await asyncio.sleep(0.005)
    finally:
        aging.cancel()
    await pages.get("/other", "letter", other)
    assert other.renders == 1


async def test_a_page_that_lasts_is_compressed_harder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LASTING", 0.01)
    text = (resources.folder("templates") / "letters" / "show.html").read_bytes()
    pages = PageCache()
    shrinking = asyncio.create_task(pages.shrink_lasting())

    async def render() -> CachedResponse:
        return build_response(text, HTML, [])

    asked, unasked = await pages.get("/en/a", "a", render), await pages.get("/en/b", "b", render)
    quick, etag = asked.select(b"br", None)[2], asked.etag
    async with asyncio.timeout(30):
        while len(asked.encoded(Coding.BROTLI).body) == len(quick):
            await asyncio.sleep(0.01)
    shrinking.cancel()
    _, headers, body = asked.select(b"br", None)
    assert brotli.decompress(body) == brotli.decompress(quick) == text
    assert len(body) < len(quick)
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert asked.etag == etag
    assert not asked.can_shrink
    assert unasked.encoded(Coding.BROTLI).body == quick, "nobody had asked for its brotli"


async def test_a_page_rendered_again_the_same_keeps_its_codings() -> None:
    pages = PageCache()

    async def render() -> CachedResponse:
        return build_response(b"<p>the same</p>" * 50, HTML, [])

    first = await pages.get("/en/a", "a", render)
    await first.shrink()
    pages.invalidate("a")
    assert await pages.get("/en/a", "a", render) is first
    assert pages.fresh["/en/a"] is first
