"""The public pages of letters: the list of open ones, the letter, its whole text, its versions."""

import re

from starlette.requests import Request
from starlette.responses import Response

from petition.letters import plain_text, queries, text_diff, update_queries
from petition.letters.model import Version
from petition.web import http
from petition.web.page_cache import CachedResponse, CacheTier
from petition.web.public import letter_page

NEWS = 20  # updates on a page
ALL = ""  # the group of pages that show more than one letter


async def home(request: Request) -> Response:
    """Lead to the reader's language."""
    languages = http.services_of(request).renderer.languages
    lang = languages.best(request.headers.get("accept-language", ""))
    response = http.redirect(f"/{lang}/")
    response.headers["vary"] = "Accept-Language"
    return response


async def to_index(request: Request) -> Response:
    """Lead whoever left out the last stroke to the list."""
    return http.redirect(f"/{http.check_lang(request)}/")


async def index(request: Request) -> Response:
    """Show the open letters."""
    lang = http.check_lang(request)
    services = http.services_of(request)

    async def make() -> CachedResponse:
        letters = [(live.letter, live.counts) for live in await services.letters.index()]
        return http.cacheable_page(request, "letters/index.html", letters=letters)

    kept = await services.pages.get(f"/{lang}/", ALL, make)
    return http.CachedPageResponse(request, kept)


async def show(request: Request) -> Response:
    """Show the letter with its count and the form, all in one answer that fits into the first flight."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    kind = letter_page.kind_asked(request)
    # A letter that is not there has no pages to keep, nor has a partner whom nobody registered.
    partner = letter_page.partner_in(await services.letters.get(slug), request.query_params)
    key = f"/{lang}/{slug}{letter_page.query_of(kind, partner)}"

    async def make() -> CachedResponse:
        return await letter_page.make(request, await services.letters.get(slug), kind, partner)

    shelf = CacheTier.VARIANT if partner else CacheTier.COMMON
    return http.CachedPageResponse(request, await services.pages.get(key, slug, make, shelf))


async def text(request: Request) -> Response:
    """Show the whole text of a letter that is too long for its page."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    await services.letters.get(slug)

    async def make() -> CachedResponse:
        letter = (await services.letters.get(slug)).letter
        shown = {"letter": letter, "shown_lang": letter.shown_in(lang), "text": letter.text(lang)}
        return http.cacheable_page(request, "letters/text.html", **shown)

    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/text", slug, make))


async def versions(request: Request) -> Response:
    """Show what changed in the text, when, and how many had signed before."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    await services.letters.get(slug)

    async def make() -> CachedResponse:
        live = await services.letters.get(slug)
        async with services.database.connection() as conn:
            found = await queries.versions(conn, live.letter.id)
        shown = {"letter": live.letter, "shown_lang": live.letter.shown_in(lang)}
        return http.cacheable_page(request, "letters/versions.html", **shown, versions=_compared(found, lang))

    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/versions", slug, make))


async def updates(request: Request) -> Response:
    """Show the news on a letter, newest first."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    await services.letters.get(slug)
    given = request.query_params.get("before", "")
    before = int(given) if re.fullmatch("[1-9][0-9]{0,8}", given) else 0

    async def make() -> CachedResponse:
        live = await services.letters.get(slug)
        async with services.database.connection() as conn:
            found = await update_queries.shown(conn, live.letter.id, before, NEWS + 1)
        shown = {"letter": live.letter, "shown_lang": live.letter.shown_in(lang), "news": found[:NEWS]}
        following = found[NEWS - 1][0]["id"] if len(found) > NEWS else None
        return http.cacheable_page(request, "letters/updates.html", **shown, next=following)

    if before:  # an address anybody can make up by the thousand is kept by nobody
        services.throttle.allow_render(http.network_of(request))
        return http.CachedPageResponse(request, await make())
    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/updates", slug, make))


def _compared(found: list[Version], lang: str) -> list[tuple[Version, list[text_diff.Block]]]:
    """Return each version with what it changed in the language that is shown; nothing for the first."""
    pairs: list[tuple[Version, list[text_diff.Block]]] = []
    for version, before in zip(found, [*found[1:], None], strict=True):
        shown = lang if lang in version.texts else next(iter(version.texts))
        if before is None or shown not in before.texts:
            pairs.append((version, []))
            continue
        pairs.append((version, text_diff.changes(*plain_text.both(before.texts[shown], version.texts[shown]))))
    return pairs


async def privacy(request: Request) -> Response:
    """Say what is kept, and until when."""
    lang = http.check_lang(request)

    async def make() -> CachedResponse:
        return http.cacheable_page(request, "privacy.html")

    return http.CachedPageResponse(request, await http.services_of(request).pages.get(f"/{lang}/privacy", ALL, make))
