"""The counter inside an iframe: a page of its own, the only one of ours that may stand in other people's."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.templates import hash_of, sheet
from petition.letters.published import Board, Live
from petition.web import http
from petition.web.embeds import counter_text
from petition.web.embeds.colours import ACCENTS, DARK, LIGHT, ink_on, readable
from petition.web.embeds.options import Frame, key_of
from petition.web.embeds.snippets import address
from petition.web.page_cache import Header, Kept, Pages, keep
from petition.web.throttle import Throttle

PAPERS = {LIGHT: "#fbfaf6", DARK: "#15171a"}  # as in frame.css


async def show(request: Request) -> Response:
    """Show the counter as it was asked for."""
    site, slug = http.site_of(request), request.path_params["slug"]
    live = await site.get(Board).get(slug)
    languages = site.renderer.languages
    frame = Frame.read(request.query_params, languages, live.letter.partners)

    async def make() -> Kept:
        return _make(request, await site.get(Board).get(slug), frame)

    key, pages = key_of(request.url.path, frame.query(next(iter(languages))), {}), site.get(Pages)
    if frame.accent and key not in pages.fresh:
        site.get(Throttle).making(http.network_of(request))
    return http.KeptResponse(request, await pages.answer(key, slug, make, frame.shelf))


def _make(request: Request, live: Live, frame: Frame) -> Kept:
    site, letter = http.site_of(request), live.letter
    language = site.renderer.languages[frame.lang]
    css = sheet("frame.css") + _colours(frame.accent)
    body = site.renderer.render(
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
        url=address(site.settings.base_url, frame.lang, letter.slug, frame.partner),
        frame_css=css,
    )
    return keep(body.encode(), http.HTML, _headers(request, frame, css))


def _colours(accent: str | None) -> str:
    """Return the accent for light and for dark paper, moved until it stands out there, and an ink for each."""
    found = {theme: readable(accent or ACCENTS[theme], paper, 3) for theme, paper in PAPERS.items()}
    inks = {theme: ink_on(colour) for theme, colour in found.items()}
    told = [f"light-dark({each[LIGHT]}, {each[DARK]})" for each in (found, inks)]
    return f"\n:root {{ --accent: {told[0]}; --on-accent: {told[1]} }}"


def _headers(request: Request, frame: Frame, css: str) -> list[Header]:
    # No frame-ancestors: "*" would shut out pages that an editor looks at from a disk, and previews in a sandbox.
    policy = (
        f"default-src 'none';style-src '{hash_of(css)}';script-src 'self';connect-src 'self';"
        "base-uri 'none';form-action 'self'"
    )
    settings = http.site_of(request).settings
    told = dict(http.html_headers(settings, "")) | {
        b"content-security-policy": policy.encode(),
        b"cross-origin-opener-policy": b"unsafe-none",  # with another one it may not stand in a sandbox
        b"content-language": frame.lang.encode(),
        b"cross-origin-resource-policy": b"cross-origin",
        b"x-robots-tag": b"noindex",
    }
    return list(told.items())


ROUTES: list[BaseRoute] = [Route("/embed/{slug}", show)]
