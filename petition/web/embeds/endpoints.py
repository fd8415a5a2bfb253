"""What other sites show of a letter: the badge and the component. For anyone, without cookies."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import Language
from petition.core.resources import PACKAGE
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.embeds import badge as drawing
from petition.web.embeds import counter_text
from petition.web.embeds.options import FOR_ANYONE, JSON, STYLES, THEMES, choice, key_of
from petition.web.page_cache import CachedResponse, CacheTier, Header, build_response

SVG = b"image/svg+xml"
SCRIPT = b"text/javascript; charset=utf-8"
FOR_AN_HOUR = b"public, max-age=3600, s-maxage=300"
NO_WORDS = "const WORDS = {}; // by language; the server fills it in"
BADGE_USUAL = {"style": STYLES[0], "theme": THEMES[0]}


async def badge(request: Request) -> Response:
    """Draw the count."""
    language = _language_asked(request)
    style, theme = choice(request.query_params, "style", STYLES), choice(request.query_params, "theme", THEMES)
    given = {"lang": language.code, "style": style, "theme": theme}

    async def make() -> CachedResponse:
        live = await _live(request)
        total, text = live.counts.total, live.letter.text(language.code)
        label = counter_text.signatures(language, total)
        title = f"{text.title}: {counter_text.how_many(language, total)}"
        picture = drawing.svg(label, language.number(total), title, style, theme, language.code)
        return build_response(picture, SVG, [*FOR_ANYONE, _drawn(theme), *_common(request)])

    shelf = CacheTier.COMMON if (style, theme) == (STYLES[0], THEMES[0]) else CacheTier.VARIANT
    return await _answer(request, key_of(request.url.path, given, BADGE_USUAL | _usual(request)), make, shelf)


async def shields(request: Request) -> Response:
    """Tell Shields the count."""
    language = _language_asked(request)

    async def make() -> CachedResponse:
        total = (await _live(request)).counts.total
        told = drawing.shields(counter_text.signatures(language, total), language.number(total))
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        return build_response(body, JSON, [*FOR_ANYONE, *_common(request)])

    return await _answer(request, key_of(request.url.path, {"lang": language.code}, _usual(request)), make)


async def _answer(
    request: Request, key: str, make: Callable[[], Awaitable[CachedResponse]], shelf: CacheTier = CacheTier.COMMON
) -> Response:
    """Answer with what is kept under ``key``. Raises ``NotFound`` for a letter that is not there."""
    await _live(request)
    slug = request.path_params["slug"]
    return http.CachedPageResponse(request, await http.services_of(request).pages.get(key, slug, make, shelf))


async def _live(request: Request) -> PublishedLetter:
    return await http.services_of(request).letters.get(request.path_params["slug"])


def _language_asked(request: Request) -> Language:
    languages = http.services_of(request).renderer.languages
    return languages[choice(request.query_params, "lang", languages)]


def _usual(request: Request) -> dict[str, str]:
    return {"lang": next(iter(http.services_of(request).renderer.languages))}


def _common(request: Request) -> list[Header]:
    return headers.common_headers(http.services_of(request).settings)


def _drawn(theme: str) -> Header:
    """Return the policy of a badge that is opened by itself: its own colours, nothing else."""
    digest = base64.b64encode(hashlib.sha256(drawing.css(theme).encode()).digest()).decode()
    return b"content-security-policy", f"default-src 'none';style-src 'sha256-{digest}';frame-ancestors 'none'".encode()


async def component(request: Request) -> Response:
    """Give the script of ``<petition-counter>``, with the words of every language in it."""
    services = http.services_of(request)

    async def make() -> CachedResponse:
        source = (PACKAGE / "web" / "embeds" / "counter.js").read_text(encoding="utf-8")
        told = json.dumps(counter_text.table(services.renderer.languages), ensure_ascii=False, separators=(",", ":"))
        body = source.replace(NO_WORDS, f"const WORDS = {told};", 1)
        return build_response(body.encode(), SCRIPT, [*FOR_ANYONE, *_common(request)], FOR_AN_HOUR)

    return http.CachedPageResponse(request, await services.pages.get("/embed.js", "/embed.js", make))


ROUTES: list[BaseRoute] = [
    Route("/badge/{slug}.svg", badge),
    Route("/badge/{slug}.json", shields),
    Route("/embed.js", component),
]
