"""What shared caches are asked, and when: against servers that note it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from petition.core.cache_settings import CacheSettings, SharedCache
from petition.web import cache_purging
from petition.web.cache_purging import CachePurger
from petition.web.page_cache import ALL, CachedResponse, PageCache, build_response, list_group

TOKEN = "a-token-of-the-tests"


class Cache:
    """A cache's interface: notes (method, headers, keys), and answers ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], set[str]]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        keys = json.loads(body)["tags"] if body else request.headers["Surrogate-Key"].split()
        self.requests.append((request.method, dict(request.headers), set(keys)))
        return web.Response(status=self.status, headers={"location": "/elsewhere"})

    def purged(self, *, is_soft: bool = False) -> list[set[str]]:
        return [keys for _, headers, keys in self.requests if ("Fastly-Soft-Purge" in headers) is is_soft]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():
                await asyncio.sleep(0.01)


@pytest.fixture
async def cache() -> AsyncIterator[Cache]:
    cache, app = Cache(), web.Application()
    app.router.add_route("*", "/{path:.*}", cache.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cache.url = f"http://127.0.0.1:{runner.addresses[0][1]}/purge"
    yield cache
    await runner.cleanup()


@asynccontextmanager
async def purging(*caches: SharedCache) -> AsyncIterator[CachePurger]:
    purger = CachePurger(CacheSettings(caches, TOKEN))
    task = asyncio.create_task(purger.run())
    try:
        yield purger
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_start_and_what_is_taken_back_are_purged_twice_and_changes_never(cache: Cache) -> None:
    async with purging(SharedCache(cache.url, "cache")) as purger:
        await cache.until(lambda: cache.purged().count({"petition"}) == 2)
        purger.refresh("letter")
        purger.refresh("letter")
        purger.purge("letter")
        await cache.until(lambda: cache.purged().count({"letter-letter", "letters"}) == 2)
    assert not cache.purged(is_soft=True)
    assert {method for method, _, _ in cache.requests} == {"PURGE"}
    assert {headers["Authorization"] for _, headers, _ in cache.requests} == {f"Bearer {TOKEN}"}


async def test_a_cache_that_stores_for_long_follows_changes(cache: Cache) -> None:
    async with purging(SharedCache(cache.url, "cache", follows_changes=True)) as purger:
        purger.refresh("letter")  # seen for the first time
        await cache.until(lambda: cache.purged().count({"petition"}) == 2)
        assert not cache.purged(is_soft=True)
        for _ in range(50):
            purger.refresh("letter")
            await asyncio.sleep(0)
        await cache.until(lambda: cache.purged(is_soft=True) == [{"letter-letter", "letters"}])


async def test_a_cdn_is_asked_as_it_wants(cache: Cache) -> None:
    fastly = SharedCache(cache.url, "one", "POST", token_header="Fastly-Key")
    cloudflare = SharedCache(cache.url, "two", "POST", takes_tags=True)
    async with purging(fastly, cloudflare) as purger:
        purger.purge("letter")
        await cache.until(lambda: len(cache.requests) >= 4)
    assert {method for method, _, _ in cache.requests} == {"POST"}
    assert {headers.get("Fastly-Key", headers.get("Authorization")) for _, headers, _ in cache.requests} == {
        TOKEN,
        f"Bearer {TOKEN}",
    }
    assert purger.key_headers is not None
    assert purger.key_headers(list_group("letter")) == [
        (b"surrogate-key", b"petition letter-letter"),
        (b"cache-tag", b"petition,letter-letter"),
    ]
    assert purger.key_headers(ALL)[0] == (b"surrogate-key", b"petition letters")


@pytest.mark.parametrize("status", [302, 405, 500])
async def test_a_cache_that_fails_is_asked_until_it_has_done_it(
    cache: Cache, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_purging, "RETRY", 0.01)
    cache.status = status
    async with purging(SharedCache(cache.url, "cache")) as purger:
        purger.purge("letter")
        await cache.until(lambda: len(cache.requests) >= 3)
        cache.status, tried = 200, len(cache.requests)
        await cache.until(lambda: len(cache.requests) > tried)
    assert {"petition", "letter-letter", "letters"} in cache.purged()


async def test_too_many_orders_become_one_for_everything(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_purging, "RETRY", 0.01)
    monkeypatch.setattr(cache_purging, "MAX_ORDERS", 10)
    cache.status = 503
    async with purging(SharedCache(cache.url, "cache")) as purger:
        for number in range(100):
            purger.purge(f"letter-{number}")
        cache.status = 200
        await cache.until(lambda: any("petition" in keys for keys in cache.purged()))
        await cache.until(lambda: len(cache.requests) >= 2)
    assert max(map(len, cache.purged())) <= 10


async def test_no_cache_is_asked_for_nothing() -> None:
    purger = CachePurger(CacheSettings())
    assert purger.key_headers is None
    await purger.run()


async def test_cached_pages_carry_their_keys_in_every_coding() -> None:
    pages = PageCache()
    pages.key_headers = CachePurger(CacheSettings((SharedCache("http://127.0.0.1/", "cache"),), TOKEN)).key_headers

    async def render() -> CachedResponse:
        return build_response(b"<p>text</p>", b"text/html", [])

    page = await pages.get("/en/letter/signatories", list_group("letter"), render)
    for coding in (b"br", b"gzip", None):
        _, headers, _ = page.select(coding, None)
        assert headers.count((b"surrogate-key", b"petition letter-letter")) == 1
