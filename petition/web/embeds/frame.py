"""The counter inside an iframe: the only page that other sites may frame."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.addressees import addressee_words
from petition.core.templates import hash_of, sheet
from petition.letters.published import PublishedLetter
from petition.pictures import counter_text
from petition.pictures.colours import ACCENTS, DARK, LIGHT, ink_on, readable
from petition.web import headers, http
from petition.web.embeds.options import FrameOptions, key_of
from petition.web.embeds.snippets import address
from petition.web.page_cache import CachedResponse, Header, build_response

MAX_ADDRESSEES = 3
BACKGROUNDS = {LIGHT: "#fbfaf6", DARK: "#15171a"}  # as in frame.css


async def show(request: Request) -> Response:
    services, slug = http.services_of(request), request.path_params["slug"]
    published = await services.letters.get(slug)
    languages = services.renderer.languages
    frame = FrameOptions.read(request.query_params, languages, published.letter.partners)

    async def render() -> CachedResponse:
        return _render(request, await services.letters.get(slug), frame)

    key, pages = key_of(request.url.path, frame.query(next(iter(languages))), {}), services.pages
    if frame.accent and key not in pages.fresh:
        services.throttle.allow_render(http.network_of(request))
    return http.CachedPageResponse(request, await pages.get(key, slug, render, frame.tier))


def _render(request: Request, published: PublishedLetter, frame: FrameOptions) -> CachedResponse:
    services, letter, counts = http.services_of(request), published.letter, published.counts
    language = services.renderer.languages[frame.lang]
    css = sheet("frame.css") + _colours(frame.accent)
    body = services.renderer.render(
        "embeds/frame.html",
        frame.lang,
        frame=frame,
        letter=letter,
        text=letter.text(frame.lang),
        shown_lang=letter.shown_in(frame.lang),
        counts=counts,
        goal=letter.goal_at(counts.total),
        word=counter_text.signatures(language, counts.total),
        words=counter_text.words(language),
        addressees=addressee_words.brief(language, letter.addressees, published.today, MAX_ADDRESSEES),
        title_count=counter_text.signatures_with_number(language, counts.total),
        url=address(services.settings.base_url, frame.lang, letter.slug, frame.partner),
        frame_css=css,
    )
    return build_response(body.encode(), http.HTML, _headers(request, frame, css))


def _colours(accent: str | None) -> str:
    """Return CSS with the accent for a light and a dark background, contrasting enough, and the text colour on it."""
    light, dark = (readable(accent or ACCENTS[theme], background, 3) for theme, background in BACKGROUNDS.items())
    on_accent = f"light-dark({ink_on(light)}, {ink_on(dark)})"
    return f"\n:root {{ --accent: light-dark({light}, {dark}); --on-accent: {on_accent} }}"


def _headers(request: Request, frame: FrameOptions, css: str) -> list[Header]:
    # No frame-ancestors: even "*" would exclude pages opened from a disk, and previews in a sandbox.
    policy = (
        f"default-src 'none';style-src '{hash_of(css)}';script-src 'self';connect-src 'self';"
        "base-uri 'none';form-action 'self'"
    )
    settings = http.services_of(request).settings
    frame_headers = dict(headers.html_headers(settings, "")) | {
        b"content-security-policy": policy.encode(),
        b"cross-origin-opener-policy": b"unsafe-none",  # any other value forbids framing in a sandbox
        b"content-language": frame.lang.encode(),
        b"cross-origin-resource-policy": b"cross-origin",
        b"x-robots-tag": b"noindex",
    }
    return list(frame_headers.items())


ROUTES: list[BaseRoute] = [Route("/embed/{slug}", show)]
