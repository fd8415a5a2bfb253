"""Endpoints of the share card, the feed and the site map."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.addressees import addressee_words
from petition.letters import queries as letter_queries
from petition.letters import update_queries
from petition.letters.addressees import timeline
from petition.pictures.letter_pictures import card_of
from petition.web import headers, http
from petition.web.page_cache import ALL, CachedResponse, build_response, etag_matches
from petition.web.sharing.feed import MAX_ENTRIES, FeedUpdate, render_feed
from petition.web.sharing.sitemap import SitemapEntry, letter_entries, render_sitemap

# It contains no signatory's name, and the letter's page links to it by another address when the count changes.
CARD_CACHE_CONTROL = "public, max-age=600"
ATOM = b"application/atom+xml; charset=utf-8"
XML = b"application/xml; charset=utf-8"


async def card(request: Request) -> Response:
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    content = card_of(await services.letters.get(slug), http.language_of(request), services.settings.base_url)
    picture = await services.cards.picture(f"{lang}/{slug}", content)
    headers = {"etag": picture.etag, "cache-control": CARD_CACHE_CONTROL}
    if etag_matches(picture.etag.encode(), request.headers.get("if-none-match", "").encode("latin-1")):
        return Response(status_code=304, headers=headers)
    return Response(picture.png, headers=headers, media_type="image/png")


async def feed(request: Request) -> Response:
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    if f"/{lang}/{slug}/feed.atom" not in services.pages:
        await services.letters.get(slug)

    async def render() -> CachedResponse:
        letter = (await services.letters.get(slug)).letter
        # In a language the letter does not have, the feed is that of the one it has.
        feed_lang = letter.shown_in(lang)
        async with services.database.connection() as conn:
            versions = await letter_queries.versions(conn, letter.id)
            rows = await update_queries.published(conn, letter.id, 0, MAX_ENTRIES)
        updates = [FeedUpdate(row["id"], texts, row["published_at"], row["edited_at"]) for row, texts in rows]
        language, base_url = services.renderer.languages[feed_lang], services.settings.base_url
        events = [
            addressee_words.event_line(language, letter, addressee, response, base_url)
            for addressee, response in timeline(letter.addressees)[-MAX_ENTRIES:]
        ]
        body = render_feed(letter, versions, updates, events, language=language, base_url=base_url)
        content_language = (b"content-language", feed_lang.encode())
        return build_response(body, ATOM, [content_language, *headers.common_headers(services.settings)])

    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/{slug}/feed.atom", slug, render))


async def site_map(request: Request) -> Response:
    services = http.services_of(request)

    async def render() -> CachedResponse:
        langs = tuple(services.renderer.languages)
        async with services.database.connection() as conn:
            letters = await letter_entries(conn, langs)
        entries = [SitemapEntry("", langs), SitemapEntry("privacy", langs), SitemapEntry("security", langs), *letters]
        body = render_sitemap(entries, services.settings.base_url)
        return build_response(body, XML, headers.common_headers(services.settings))

    return http.CachedPageResponse(request, await services.pages.get("/sitemap.xml", ALL, render))


ROUTES: list[BaseRoute] = [
    Route("/sitemap.xml", site_map),
    Route("/{lang}/{slug}/card.png", card),
    Route("/{lang}/{slug}/feed.atom", feed),
]
