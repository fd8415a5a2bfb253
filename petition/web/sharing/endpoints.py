"""Where a letter is found and passed on: the picture beside a shared link, the feed, the site map."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.i18n import Language
from petition.letters import queries as letter_queries
from petition.letters import update_queries
from petition.letters.model import Party
from petition.letters.published import Board, Live
from petition.web import http
from petition.web.page_cache import Kept, Pages, is_known, keep
from petition.web.sharing import queries
from petition.web.sharing.card import LONGEST_LINE, LONGEST_TITLE, Card, direction_of, drawable
from petition.web.sharing.card_cache import Cards
from petition.web.sharing.feed import NEWEST, News, atom
from petition.web.sharing.sitemap import MOST, Place, sitemap

ALL = ""  # the group of pages that show more than one letter
# No name of a signatory is on it; and the address on the letter's page is another one when the figure is.
PICTURE = "public, max-age=600"
ATOM = b"application/atom+xml; charset=utf-8"
XML = b"application/xml; charset=utf-8"


async def card(request: Request) -> Response:
    """Give the picture that stands beside a shared link."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    live = await site.get(Board).get(slug)
    wanted = card_of(live, http.language_of(request), site.settings.base_url)
    picture = await site.get(Cards).picture(f"{lang}/{slug}", wanted)
    headers = {"etag": picture.etag, "cache-control": PICTURE}
    if is_known(picture.etag.encode(), request.headers.get("if-none-match", "").encode("latin-1")):
        return Response(status_code=304, headers=headers)
    return Response(picture.png, headers=headers, media_type="image/png")


def card_of(live: Live, language: Language, base_url: str) -> Card:
    """Return what stands on a letter's picture for readers of ``language``."""
    letter, counts = live.letter, live.counts
    title = drawable(letter.text(language.code).title, LONGEST_TITLE) or letter.slug
    to = language.gettext("An open letter to %(names)s") % {"names": _names(letter.addressees, language)}
    more = "+" if counts.step < counts.total else ""
    return Card(
        lang=language.code,
        title=title,
        title_lang=letter.shown_in(language.code),
        direction=direction_of(title),
        to=drawable(to, LONGEST_LINE),
        number=language.number(counts.step) + more if counts.total else "",
        label=language.ngettext("signature", "signatures", counts.step) if counts.total else "",
        sender=drawable(_names(letter.initiators, language), LONGEST_LINE),
        site=urlsplit(base_url).netloc,
    )


def _names(parties: tuple[Party, ...], language: Language) -> str:
    return ", ".join(each.name(language.code) for each in parties)


async def feed(request: Request) -> Response:
    """Give the letter's feed."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    site = http.site_of(request)
    await site.get(Board).get(slug)

    async def make() -> Kept:
        letter = (await site.get(Board).get(slug)).letter
        # A feed in a language the letter does not have is the feed of the one it has, word for word.
        shown_lang = letter.shown_in(lang)
        async with site.database.connection() as conn:
            versions = await letter_queries.versions(conn, letter.id)
            shown = await update_queries.shown(conn, letter.id, 0, NEWEST)
        news = [News(row["id"], texts, row["published_at"], row["edited_at"]) for row, texts in shown]
        body = atom(letter, versions, news, site.renderer.languages[shown_lang], site.settings.base_url)
        return keep(body, ATOM, [(b"content-language", shown_lang.encode()), *http.common_headers(site.settings)])

    return http.KeptResponse(request, await site.get(Pages).answer(f"/{lang}/{slug}/feed.atom", slug, make))


async def site_map(request: Request) -> Response:
    """Give the addresses of all letters that search engines may find, each with its other languages."""
    site = http.site_of(request)

    async def make() -> Kept:
        langs = tuple(site.renderer.languages)
        async with site.database.connection() as conn:
            rows = await queries.letters(conn, MOST)
        letters = [
            Place(row["slug"], [each for each in langs if each in row["langs"]], row["published_at"]) for row in rows
        ]
        body = sitemap([Place("", langs), Place("privacy", langs), *letters], site.settings.base_url)
        return keep(body, XML, http.common_headers(site.settings))

    return http.KeptResponse(request, await site.get(Pages).answer("/sitemap.xml", ALL, make))


ROUTES: list[BaseRoute] = [
    Route("/sitemap.xml", site_map),
    Route("/{lang}/{slug}/card.png", card),
    Route("/{lang}/{slug}/feed.atom", feed),
]
