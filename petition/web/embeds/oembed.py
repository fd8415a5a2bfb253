"""oEmbed (oembed.com): the frame to embed for a letter's address."""

import json
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import N_
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.embeds.options import FOR_ANYONE, JSON, FrameOptions
from petition.web.embeds.snippets import HEIGHTS, MIN_WIDTH, WIDTH, Snippets
from petition.web.page_cache import build_response
from petition.web.services import Services
from petition.web.shared_addresses import cleaned, segments_of

MAX_URL = 2000  # characters of an address
PROVIDER = N_("Open letters")
CACHE_AGE = 3600  # seconds; the frame updates its count by itself


async def show(request: Request) -> Response:
    """Answer with the frame for ``url``.

    Raises a 400 without ``url`` or with an empty ``format``, a 404 if it is no letter of this site or the frame would
    be too small, a 501 for XML.
    """
    params = request.query_params
    file_format = params.get("format", "json")
    if file_format not in {"json", ""}:
        raise HTTPException(501)
    if not params.get("url") or not file_format:
        raise HTTPException(400)
    services = http.services_of(request)
    services.throttle.allow_render(http.network_of(request))
    published, lang, partner = await _letter_at(services, params["url"])
    width = min(WIDTH, _max_size(params.get("maxwidth", "")))
    max_height = _max_size(params.get("maxheight", ""))
    variants = ("button", "count") if published.letter.is_open else ("addressees", "count")  # nothing to sign any more
    variant = next((variant for variant in variants if HEIGHTS[variant] <= max_height), None)
    if variant is None or width < MIN_WIDTH:
        raise HTTPException(404)
    languages = services.renderer.languages
    frame = FrameOptions(lang=lang, show=variant, partner=partner)
    snippets = Snippets(
        base_url=services.settings.base_url,
        default_lang=next(iter(languages)),
        published=published,
        frame=frame,
        language=languages[lang],
    )
    answer = {
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
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    response_headers = [*FOR_ANYONE, *headers.common_headers(services.settings)]
    return http.CachedPageResponse(request, build_response(body, JSON, response_headers))


async def _letter_at(services: Services, url: str) -> tuple[PublishedLetter, str, str]:
    """Return the letter whose page ``url`` is, the page's language, and the partner it names. Raises a 404."""
    try:
        parts = urlsplit(url[:MAX_URL].strip())
        is_ours = _host(parts) in {_host(urlsplit(origin)) for origin in services.settings.origins}
    except ValueError:
        raise HTTPException(404) from None
    lang, _, slug = "/".join(segments_of(unquote(parts.path))).partition("/")
    if not is_ours or lang not in services.renderer.languages or "/" in slug:
        raise HTTPException(404)
    published = await services.letters.get(slug)
    partner = cleaned(parse_qs(parts.query).get("from", [""])[-1])
    return published, lang, partner if partner in published.letter.partners else ""


def _host(parts: SplitResult) -> tuple[str, int | None]:
    """Return the host as browsers send it and the port, None for the default one; the scheme does not matter.

    People paste addresses with the other scheme, with the default port, and with the host in its own script (RFC 5891).
    Raises ``ValueError`` if there is none.
    """
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    if default_port is None or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an address on the web")
    host = unquote(parts.hostname).rstrip(".").encode("idna").decode().lower()
    return host, None if parts.port == default_port else parts.port


def _max_size(text: str) -> int:
    """Return the maximum in pixels; a huge one if ``text`` is not a number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 10**6


ROUTES: list[BaseRoute] = [Route("/oembed", show)]
