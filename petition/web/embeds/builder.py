"""The page "Show the count": a preview of every embed with the line to copy."""

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
    "addressees": N_("with what the addressees did"),
}


async def show(request: Request) -> Response:
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    published = await services.letters.get(slug)
    frame = FrameOptions.read(request.query_params, services.renderer.languages, published.letter.partners, lang)

    async def render() -> CachedResponse:
        return _render(request, await services.letters.get(slug), frame)

    if frame.query(lang) or _invalid_values(request, frame):
        services.throttle.allow_render(http.network_of(request))
        return http.CachedPageResponse(request, await render())
    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/embed", slug, render))


def _render(request: Request, published: PublishedLetter, frame: FrameOptions) -> CachedResponse:
    services, lang = http.services_of(request), http.lang_of(request)
    languages = services.renderer.languages
    css = services.renderer.sheet.css + sheet("builder.css")
    body = services.renderer.render(
        "embeds/builder.html",
        lang,
        **http.context(request, canonical=services.settings.base_url + request.url.path),
        css=css,
        letter=published.letter,
        shown_lang=published.letter.shown_in(lang),
        frame=frame,
        snippets=Snippets(
            base_url=services.settings.base_url,
            default_lang=next(iter(languages)),
            published=published,
            frame=frame,
            language=languages[frame.lang],
        ),
        themes={theme: THEME_NAMES[theme] for theme in THEMES},
        variants={variant: VARIANT_NAMES[variant] for variant in VARIANTS},
        size=(WIDTH, HEIGHTS[frame.show]),
        sandbox=SANDBOX,
        invalid=_invalid_values(request, frame),
    )
    policy = headers.policy(hash_of(css), {"frame-src": "'self'"})
    page_headers = dict(headers.html_headers(services.settings, "")) | {
        b"content-security-policy": policy.encode(),
        b"content-language": lang.encode(),
    }
    return build_response(body.encode(), http.HTML, page_headers.items())


def _invalid_values(request: Request, frame: FrameOptions) -> dict[str, str]:
    """Return the values that were typed and have no meaning, by field."""
    typed = {name: request.query_params.get(name, "")[:60] for name in ("accent", "from")}
    valid = {"accent": frame.accent or "", "from": frame.partner}
    return {name: value for name, value in typed.items() if value and not valid[name]}


ROUTES: list[BaseRoute] = [Route("/{lang}/{slug}/embed", show)]
