"""What a shared cache is asked: to drop all that it stored under some keys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from petition.core.cache_settings import SharedCache

if TYPE_CHECKING:
    import aiohttp

KEY_HEADER = "Surrogate-Key"  # Fastly's, which Varnish's vmod xkey takes as well
TAG_HEADER = "Cache-Tag"  # Cloudflare's, of responses only
SITE = "petition"  # the key of every response
SEVERAL = "letters"  # of pages that show more than one letter
SOFT = {"Fastly-Soft-Purge": "1"}  # an old copy may still be shown while no new one is to be had
TIMEOUT = 3  # seconds


def letter_key(slug: str) -> str:
    return f"letter-{slug}"


def opened_session() -> "aiohttp.ClientSession":
    """Return a session that keeps no cookies and gives a cache three seconds."""
    import aiohttp  # much memory, which only installations with a cache in front need

    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT), cookie_jar=aiohttp.DummyCookieJar())


async def request_purge(
    session: "aiohttp.ClientSession", cache: SharedCache, token: str, keys: Sequence[str], *, is_soft: bool = False
) -> str | None:
    """Send one request; return what went wrong, in words for the log."""
    import aiohttp

    headers = dict(SOFT) if is_soft else {}
    if not cache.takes_tags:
        headers[KEY_HEADER] = " ".join(keys)
    if cache.token_header is None:
        headers["Authorization"] = f"Bearer {token}"
    else:
        headers[cache.token_header] = token
    body = {"tags": list(keys)} if cache.takes_tags else None
    try:
        async with session.request(
            cache.method, cache.url, headers=headers, json=body, allow_redirects=False
        ) as answer:
            return None if answer.status < 300 else f"status {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return type(error).__name__
