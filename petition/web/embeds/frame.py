"""The counter inside an iframe: a page of its own, the only one of ours that may stand in other people's."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.templates import hash_of, sheet
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.embeds import counter_text
from petition.web.embeds.colours import ACCENTS, DARK, LIGHT, ink_on, readable
from petition.web.embeds.options import FrameOptions, key_of
from petition.web.embeds.snippets import address
from petition.web.page_cache import CachedResponse, Header, build_response

PAPERS = {LIGHT: "#fbfaf6", DARK: "#15171a"}  # as in frame.css


async def show(request: Request) -> Response:
    """Show the counter as it was asked for."""
    services, slug = http.services_of(request), request.path_params["slug"]
    live = await services.letters.get(slug)
    languages = services.renderer.languages
    frame = FrameOptions.read(request.query_params, languages, live.letter.partners)

    async def make() -> CachedResponse:
        return _make(request, await services.letters.get(slug), frame)

    key, pages = key_of(request.url.path, frame.query(next(iter(languages))), {}), services.pages
    if frame.accent and key not in pages.fresh:
        services.throttle.allow_render(http.network_of(request))
    return http.CachedPageResponse(request, await pages.get(key, slug, make, frame.shelf))


def _make(request: Request, live: PublishedLetter, frame: FrameOptions) -> CachedResponse:
    services, letter = http.services_of(request), live.letter
    language = services.renderer.languages[frame.lang]
    css = sheet("frame.css") + _colours(frame.accent)
    body = services.renderer.render(
        "embeds/frame.html",
        frame.lang,
        frame=frame,
        letter=letter,
        text=letter.text(frame.lang),
        shown_lang=letter.shown_in(frame.lang),
        counts=live.counts,
        goal=letter.goal_at(live.counts.total),
        word=counter_text.signatures(language, live.counts.total),
        words=counter_text.of(language),
        how_many=counter_text.how_many(language, live.counts.total),
        url=address(services.settings.base_url, frame.lang, letter.slug, frame.partner),
        frame_css=css,
    )
    return build_response(body.encode(), http.HTML, _headers(request, frame, css))


def _colours(accent: str | None) -> str:
    """Return the accent for light and for dark paper, moved until it stands out there, and an ink for each."""
    found = {theme: readable(accent or ACCENTS[theme], paper, 3) for theme, paper in PAPERS.items()}
    inks = {theme: ink_on(colour) for theme, colour in found.items()}
    told = [f"light-dark({each[LIGHT]}, {each[DARK]})" for each in (found, inks)]
    return f"\n:root {{ --accent: {told[0]}; --on-accent: {told[1]} }}"


def _headers(request: Request, frame: FrameOptions, css: str) -> list[Header]:
    # No frame-ancestors: "*" would shut out pages that an editor looks at from a disk, and previews in a sandbox.
    policy = (
        f"default-src 'none';style-src '{hash_of(css)}';script-src 'self';connect-src 'self';"
        "base-uri 'none';form-action 'self'"
    )
    settings = http.services_of(request).settings
    told = dict(headers.html_headers(settings, "")) | {
        b"content-security-policy": policy.encode(),
        b"cross-origin-opener-policy": b"unsafe-none",  # with another one it may not stand in a sandbox
        b"content-language": frame.lang.encode(),
        b"cross-origin-resource-policy": b"cross-origin",
        b"x-robots-tag": b"noindex",
    }
    return list(told.items())


ROUTES: list[BaseRoute] = [Route("/embed/{slug}", show)]
