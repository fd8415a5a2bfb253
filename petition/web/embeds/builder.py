"""The page "Show the count": every step of the ladder as it will look, with the line to copy."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import N_
from petition.core.templates import hash_of, sheet
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.embeds.options import THEMES, VARIANTS, FrameOptions
from petition.web.embeds.snippets import HEIGHTS, SANDBOX, WIDTH, Snippets
from petition.web.page_cache import CachedResponse, build_response

THEME_NAMES = {"auto": N_("same as the reader’s device"), "light": N_("light"), "dark": N_("dark")}
VARIANT_NAMES = {
    "count": N_("count only"),
    "progress": N_("with progress towards the goal"),
    "organizations": N_("with organizations"),
    "button": N_("with a sign button"),
}


async def show(request: Request) -> Response:
    """Show every step as it was asked for."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    live = await services.letters.get(slug)
    frame = FrameOptions.read(request.query_params, services.renderer.languages, live.letter.partners, lang)

    async def make() -> CachedResponse:
        return _make(request, await services.letters.get(slug), frame)

    if frame.query(lang) or _wrong(request, frame):
        services.throttle.allow_render(http.network_of(request))
        return http.CachedPageResponse(request, await make())
    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/embed", slug, make))


def _make(request: Request, live: PublishedLetter, frame: FrameOptions) -> CachedResponse:
    services, lang = http.services_of(request), http.lang_of(request)
    languages = services.renderer.languages
    css = services.renderer.css + "\n" + sheet("builder.css")
    body = services.renderer.render(
        "embeds/builder.html",
        lang,
        **http.context(request, canonical=services.settings.base_url + request.url.path),
        css=css,
        letter=live.letter,
        shown_lang=live.letter.shown_in(lang),
        frame=frame,
        snippets=Snippets(services.settings.base_url, next(iter(languages)), live, frame, languages[frame.lang]),
        themes={each: THEME_NAMES[each] for each in THEMES},
        variants={each: VARIANT_NAMES[each] for each in VARIANTS},
        size=(WIDTH, HEIGHTS[frame.show]),
        sandbox=SANDBOX,
        wrong=_wrong(request, frame),
    )
    policy = headers.policy(hash_of(css), {"frame-src": "'self'"})
    usual = [each for each in headers.html_headers(services.settings, "") if each[0] != b"content-security-policy"]
    told = [(b"content-security-policy", policy.encode()), (b"content-language", lang.encode())]
    return build_response(body.encode(), http.HTML, [*usual, *told])


def _wrong(request: Request, frame: FrameOptions) -> dict[str, str]:
    """Return what was typed and means nothing, by field."""
    typed = {name: request.query_params.get(name, "")[:60] for name in ("accent", "from")}
    meant = {"accent": frame.accent or "", "from": frame.partner}
    return {name: value for name, value in typed.items() if value and not meant[name]}


ROUTES: list[BaseRoute] = [Route("/{lang}/{slug}/embed", show)]
