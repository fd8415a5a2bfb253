"""The badge, for pages and for Shields, and the component's script. For any site, without cookies."""

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
from petition.pictures import counter_text
from petition.pictures.badge import css, shields, svg
from petition.pictures.letter_pictures import badge_of
from petition.web import headers, http
from petition.web.embeds.options import FOR_ANYONE, JSON, STYLES, THEMES, choice, key_of
from petition.web.page_cache import CachedResponse, CacheTier, Header, build_response

SVG = b"image/svg+xml"
SCRIPT = b"text/javascript; charset=utf-8"
ONE_HOUR = b"public, max-age=3600, s-maxage=300"
WORDS_PLACEHOLDER = "const WORDS = {}; // by language; the server fills it in"
ORIGINS_PLACEHOLDER = "const ORIGINS = []; // of the letter's site, the usual one first; likewise"
BADGE_DEFAULTS = {"style": STYLES[0], "theme": THEMES[0]}


async def badge_svg(request: Request) -> Response:
    language = _language(request)
    style, theme = choice(request.query_params, "style", STYLES), choice(request.query_params, "theme", THEMES)
    params = {"lang": language.code, "style": style, "theme": theme}

    async def render() -> CachedResponse:
        published = await _published(request)
        badge = badge_of(published, language, style, theme)
        return build_response(svg(badge), SVG, [*FOR_ANYONE, _svg_policy(theme), *_common_headers(request)])

    tier = CacheTier.COMMON if (style, theme) == (STYLES[0], THEMES[0]) else CacheTier.VARIANT
    key = key_of(request.url.path, params, BADGE_DEFAULTS | _default_lang(request))
    return await _answer(request, key, render, tier)


async def badge_json(request: Request) -> Response:
    language = _language(request)

    async def render() -> CachedResponse:
        total = (await _published(request)).counts.total
        answer = shields(counter_text.signatures_label(language), language.number(total))
        body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
        return build_response(body, JSON, [*FOR_ANYONE, *_common_headers(request)])

    key = key_of(request.url.path, {"lang": language.code}, _default_lang(request))
    return await _answer(request, key, render)


async def _answer(
    request: Request, key: str, render: Callable[[], Awaitable[CachedResponse]], tier: CacheTier = CacheTier.COMMON
) -> Response:
    """Answer with the page cached under ``key``. Raises ``NotFound`` for an unknown letter."""
    await _published(request)
    slug = request.path_params["slug"]
    return http.CachedPageResponse(request, await http.services_of(request).pages.get(key, slug, render, tier))


async def _published(request: Request) -> PublishedLetter:
    return await http.services_of(request).letters.get(request.path_params["slug"])


def _language(request: Request) -> Language:
    languages = http.services_of(request).renderer.languages
    return languages[choice(request.query_params, "lang", languages)]


def _default_lang(request: Request) -> dict[str, str]:
    return {"lang": next(iter(http.services_of(request).renderer.languages))}


def _common_headers(request: Request) -> list[Header]:
    return headers.common_headers(http.services_of(request).settings)


def _svg_policy(theme: str) -> Header:
    """Return the policy of a badge opened as a page: only its own style sheet."""
    digest = base64.b64encode(hashlib.sha256(css(theme).encode()).digest()).decode()
    return b"content-security-policy", f"default-src 'none';style-src 'sha256-{digest}';frame-ancestors 'none'".encode()


async def component(request: Request) -> Response:
    """Answer with the script of ``<petition-counter>``, with the words of every language in it."""
    services = http.services_of(request)

    async def render() -> CachedResponse:
        source = (PACKAGE / "web" / "embeds" / "counter.js").read_text(encoding="utf-8")
        words = counter_text.words_by_language(services.renderer.languages)
        words_json = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
        base_url = services.settings.base_url
        origins = json.dumps([base_url, *sorted(services.settings.origins - {base_url})])
        body = source.replace(WORDS_PLACEHOLDER, f"const WORDS = {words_json};", 1)
        body = body.replace(ORIGINS_PLACEHOLDER, f"const ORIGINS = {origins};", 1)
        return build_response(body.encode(), SCRIPT, [*FOR_ANYONE, *_common_headers(request)], ONE_HOUR)

    return http.CachedPageResponse(request, await services.pages.get("/embed.js", "/embed.js", render))


ROUTES: list[BaseRoute] = [
    Route("/badge/{slug}.svg", badge_svg),
    Route("/badge/{slug}.json", badge_json),
    Route("/embed.js", component),
]
