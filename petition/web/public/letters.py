"""The public pages of letters: the list of open ones, the letter, its whole text, its versions."""

import re

from starlette.requests import Request
from starlette.responses import Response

from petition.letters import plain_text, queries, text_diff, update_queries
from petition.letters.model import Version
from petition.letters.published import Board
from petition.web import http
from petition.web.page_cache import Kept, Pages, Shelf
from petition.web.public import letter_page
from petition.web.throttle import Throttle

NEWS = 20  # updates on a page
ALL = ""  # the group of pages that show more than one letter


async def home(request: Request) -> Response:
    """Lead to the reader's language."""
    languages = http.site_of(request).renderer.languages
    lang = languages.best(request.headers.get("accept-language", ""))
    response = http.see_other(f"/{lang}/")
    response.headers["vary"] = "Accept-Language"
    return response


async def to_index(request: Request) -> Response:
    """Lead whoever left out the last stroke to the list."""
    return http.see_other(f"/{http.check_lang(request)}/")


async def index(request: Request) -> Response:
    """Show the open letters."""
    lang = http.check_lang(request)
    site = http.site_of(request)

    async def make() -> Kept:
        letters = [(live.letter, live.counts) for live in await site.get(Board).index()]
        return http.kept_page(request, "letters/index.html", letters=letters)

    kept = await site.get(Pages).answer(f"/{lang}/", ALL, make)
    return http.KeptResponse(request, kept)


async def show(request: Request) -> Response:
    """Show the letter with its count and the form, all in one answer that fits into the first flight."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    kind = letter_page.kind_asked(request)
    # A letter that is not there has no pages to keep, nor has a partner whom nobody registered.
    partner = letter_page.partner_in(await site.get(Board).get(slug), request.query_params)
    key = f"/{lang}/{slug}{letter_page.query_of(kind, partner)}"

    async def make() -> Kept:
        return await letter_page.make(request, await site.get(Board).get(slug), kind, partner)

    shelf = Shelf.CHOSEN if partner else Shelf.USUAL
    return http.KeptResponse(request, await site.get(Pages).answer(key, slug, make, shelf))


async def text(request: Request) -> Response:
    """Show the whole text of a letter that is too long for its page."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    await site.get(Board).get(slug)

    async def make() -> Kept:
        letter = (await site.get(Board).get(slug)).letter
        shown = {"letter": letter, "shown_lang": letter.shown_in(lang), "text": letter.text(lang)}
        return http.kept_page(request, "letters/text.html", **shown)

    return http.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/text", slug, make))


async def versions(request: Request) -> Response:
    """Show what changed in the text, when, and how many had signed before."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    await site.get(Board).get(slug)

    async def make() -> Kept:
        live = await site.get(Board).get(slug)
        async with site.database.connection() as conn:
            found = await queries.versions(conn, live.letter.id)
        shown = {"letter": live.letter, "shown_lang": live.letter.shown_in(lang)}
        return http.kept_page(request, "letters/versions.html", **shown, versions=_compared(found, lang))

    return http.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/versions", slug, make))


async def updates(request: Request) -> Response:
    """Show the news on a letter, newest first."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    await site.get(Board).get(slug)
    given = request.query_params.get("before", "")
    before = int(given) if re.fullmatch("[1-9][0-9]{0,8}", given) else 0

    async def make() -> Kept:
        live = await site.get(Board).get(slug)
        async with site.database.connection() as conn:
            found = await update_queries.shown(conn, live.letter.id, before, NEWS + 1)
        shown = {"letter": live.letter, "shown_lang": live.letter.shown_in(lang), "news": found[:NEWS]}
        following = found[NEWS - 1][0]["id"] if len(found) > NEWS else None
        return http.kept_page(request, "letters/updates.html", **shown, next=following)

    if before:  # an address anybody can make up by the thousand is kept by nobody
        site.get(Throttle).making(http.network_of(request))
        return http.KeptResponse(request, await make())
    return http.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/updates", slug, make))


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

    async def make() -> Kept:
        return http.kept_page(request, "privacy.html")

    return http.KeptResponse(request, await http.site_of(request).get(Pages).answer(f"/{lang}/privacy", ALL, make))
