"""What ``petition check`` says about shared caches: whether each purges, for us alone, and what BASE_URL shows."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import aiohttp

from petition.core.cache_requests import SEVERAL, opened_session, request_purge
from petition.core.cache_settings import CacheSettings, SharedCache
from petition.core.settings import Settings

PAGE = "/sitemap.xml"  # the same in all languages; its keys are those of pages with several letters
TOO_OLD = 2  # seconds in a cache; what obeys ``s-maxage=1`` is younger
KEY = "petition-check"  # of no response


async def findings(settings: Settings) -> AsyncIterator[str]:
    """Yield what is wrong with the shared caches. Purges a page with several letters if it is held for too long."""
    caches = settings.shared_caches
    if not caches.caches:
        return
    async with opened_session() as session:
        is_well = True
        for cache in caches.caches:
            if trouble := await _trouble(session, cache, caches.token):
                yield f"{cache.name}: {trouble}"
                is_well = False
        if is_well and (trouble := await _held(session, caches, settings.base_url + PAGE)):
            yield trouble


async def _trouble(session: aiohttp.ClientSession, cache: SharedCache, token: str) -> str | None:
    if trouble := await request_purge(session, cache, token, [KEY]):
        return (
            f"it does not purge ({trouble}), so a hidden name stays as long as it stores pages; see that it runs, and"
            " that its address, method and token are those of CACHE_PURGE_URLS and CACHE_PURGE_TOKEN"
        )
    if await request_purge(session, cache, secrets.token_hex(16), [KEY]) is None:
        return "it purges with a wrong token too, so that strangers can empty it; have it compare CACHE_PURGE_TOKEN"
    return None


async def _held(session: aiohttp.ClientSession, caches: CacheSettings, url: str) -> str | None:
    """Return what is wrong if what BASE_URL shows is older than it may be, and stays so when it is purged."""
    if not await _is_old(session, url):
        await asyncio.sleep(TOO_OLD + 0.5)
        if not await _is_old(session, url):
            return None  # no cache in between, or one that obeys
    for cache in caches.caches:
        await request_purge(session, cache, caches.token, [SEVERAL])
    if not await _is_old(session, url):
        return None
    return (
        "BASE_URL shows pages that are held for longer than their Cache-Control says, and purges do not end that: list"
        " that cache in CACHE_PURGE_URLS, see that it reads Surrogate-Key, or have it obey s-maxage"
    )


async def _is_old(session: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a page comes out of a cache that should have asked again; no if it cannot be read from here."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            return int(answer.headers.get("age", "0")) >= TOO_OLD
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
