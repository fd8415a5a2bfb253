"""oEmbed (oembed.com): whoever is given a letter's address asks here what to show for it."""

import json
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import N_
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.embeds.options import FOR_ANYONE, JSON, FrameOptions
from petition.web.embeds.snippets import HEIGHTS, NARROWEST, WIDTH, Snippets
from petition.web.page_cache import build_response
from petition.web.services import Services

MAX_URL = 2000  # characters of an address
PROVIDER = N_("Open letters")
CACHE_AGE = 3600  # seconds; the count inside the frame moves by itself


async def show(request: Request) -> Response:
    """Tell what to show for ``url``.

    Raises a 400 without an address, a 404 if it is no letter of ours or the place is too small, a 501 for XML.
    """
    asked = request.query_params
    if asked.get("format", "json") != "json":
        raise HTTPException(501)
    if not asked.get("url"):
        raise HTTPException(400)
    services = http.services_of(request)
    services.throttle.allow_render(http.network_of(request))
    live, lang, partner = await _letter_at(services, asked["url"])
    width = min(WIDTH, _most(asked.get("maxwidth", "")))
    high = _most(asked.get("maxheight", ""))
    variant = next((each for each in ("button", "count") if HEIGHTS[each] <= high), None)
    if variant is None or width < NARROWEST:
        raise HTTPException(404)
    languages = services.renderer.languages
    frame = FrameOptions(lang=lang, show=variant, partner=partner)
    snippets = Snippets(services.settings.base_url, next(iter(languages)), live, frame, languages[lang])
    body = {
        "version": "1.0",
        "type": "rich",
        "provider_name": languages[lang].gettext(PROVIDER),
        "provider_url": f"{services.settings.base_url}/{lang}/",
        "title": snippets.title,
        "cache_age": CACHE_AGE,
        "html": snippets.iframe(width),
        "width": width,
        "height": HEIGHTS[variant],
    }
    told = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return http.CachedPageResponse(
        request, build_response(told, JSON, [*FOR_ANYONE, *headers.common_headers(services.settings)])
    )


async def _letter_at(services: Services, url: str) -> tuple[PublishedLetter, str, str]:
    """Return the letter whose page ``url`` is, the page's language, and the partner it names. Raises a 404."""
    try:
        parts = urlsplit(url[:MAX_URL])
    except ValueError:
        raise HTTPException(404) from None
    lang, _, slug = parts.path.strip("/").partition("/")
    if not _is_ours(services, parts) or lang not in services.renderer.languages or "/" in slug:
        raise HTTPException(404)
    live = await services.letters.get(slug)
    partner = parse_qs(parts.query).get("from", [""])[-1]
    return live, lang, partner if partner in live.letter.partners else ""


def _is_ours(services: Services, parts: SplitResult) -> bool:
    """Tell whether an address is of a host of ours; people paste it with the other scheme too, or the usual port."""
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if usual is None:
        return False
    return parts.netloc.lower().removesuffix(usual) in {urlsplit(each).netloc for each in services.settings.origins}


def _most(text: str) -> int:
    """Return a bound; a huge one if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 10**6


ROUTES: list[BaseRoute] = [Route("/oembed", show)]
