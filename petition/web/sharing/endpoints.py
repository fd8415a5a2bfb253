"""Where a letter is found and passed on: the picture beside a shared link, the feed, the site map."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import Language
from petition.letters import queries as letter_queries
from petition.letters import update_queries
from petition.letters.model import Party
from petition.letters.published import PublishedLetter
from petition.web import headers, http
from petition.web.page_cache import CachedResponse, build_response, etag_matches
from petition.web.share_card import MAX_LINE, MAX_TITLE, Card, direction_of, drawable
from petition.web.sharing import queries
from petition.web.sharing.feed import NEWEST, News, atom
from petition.web.sharing.sitemap import MAX_URLS, SitemapEntry, sitemap

ALL = ""  # the group of pages that show more than one letter
# No name of a signatory is on it; and the address on the letter's page is another one when the figure is.
PICTURE = "public, max-age=600"
ATOM = b"application/atom+xml; charset=utf-8"
XML = b"application/xml; charset=utf-8"


async def card(request: Request) -> Response:
    """Give the picture that stands beside a shared link."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    live = await services.letters.get(slug)
    wanted = card_of(live, http.language_of(request), services.settings.base_url)
    picture = await services.cards.picture(f"{lang}/{slug}", wanted)
    headers = {"etag": picture.etag, "cache-control": PICTURE}
    if etag_matches(picture.etag.encode(), request.headers.get("if-none-match", "").encode("latin-1")):
        return Response(status_code=304, headers=headers)
    return Response(picture.png, headers=headers, media_type="image/png")


def card_of(live: PublishedLetter, language: Language, base_url: str) -> Card:
    """Return what stands on a letter's picture for readers of ``language``."""
    letter, counts = live.letter, live.counts
    title = drawable(letter.text(language.code).title, MAX_TITLE) or letter.slug
    to = language.gettext("An open letter to %(names)s") % {"names": _names(letter.addressees, language)}
    more = "+" if counts.step < counts.total else ""
    return Card(
        lang=language.code,
        title=title,
        title_lang=letter.shown_in(language.code),
        direction=direction_of(title),
        to=drawable(to, MAX_LINE),
        number=language.number(counts.step) + more if counts.total else "",
        label=language.ngettext("signature", "signatures", counts.step) if counts.total else "",
        sender=drawable(_names(letter.initiators, language), MAX_LINE),
        site=urlsplit(base_url).netloc,
    )


def _names(parties: tuple[Party, ...], language: Language) -> str:
    return ", ".join(each.name(language.code) for each in parties)


async def feed(request: Request) -> Response:
    """Give the letter's feed."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    await services.letters.get(slug)

    async def make() -> CachedResponse:
        letter = (await services.letters.get(slug)).letter
        # A feed in a language the letter does not have is the feed of the one it has, word for word.
        shown_lang = letter.shown_in(lang)
        async with services.database.connection() as conn:
            versions = await letter_queries.versions(conn, letter.id)
            shown = await update_queries.shown(conn, letter.id, 0, NEWEST)
        news = [News(row["id"], texts, row["published_at"], row["edited_at"]) for row, texts in shown]
        body = atom(letter, versions, news, services.renderer.languages[shown_lang], services.settings.base_url)
        return build_response(
            body, ATOM, [(b"content-language", shown_lang.encode()), *headers.common_headers(services.settings)]
        )

    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/feed.atom", slug, make))


async def site_map(request: Request) -> Response:
    """Give the addresses of all letters that search engines may find, each with its other languages."""
    services = http.services_of(request)

    async def make() -> CachedResponse:
        langs = tuple(services.renderer.languages)
        async with services.database.connection() as conn:
            rows = await queries.letters(conn, MAX_URLS)
        letters = [
            SitemapEntry(row["slug"], [each for each in langs if each in row["langs"]], row["published_at"])
            for row in rows
        ]
        body = sitemap([SitemapEntry("", langs), SitemapEntry("privacy", langs), *letters], services.settings.base_url)
        return build_response(body, XML, headers.common_headers(services.settings))

    return http.CachedPageResponse(request, await services.pages.get("/sitemap.xml", ALL, make))


ROUTES: list[BaseRoute] = [
    Route("/sitemap.xml", site_map),
    Route("/{lang}/{slug}/card.png", card),
    Route("/{lang}/{slug}/feed.atom", feed),
]
