"""The public pages of letters: the list of open ones, the letter, its whole text, its versions."""

import re
from collections.abc import Mapping

from starlette.responses import Response

from petition.addressees import addressee_words
from petition.core.database import Connection, Record
from petition.core.errors import NotFound
from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.ids import LetterId, ResponseId
from petition.letters import addressee_queries, queries, update_queries
from petition.letters.addressees import timeline
from petition.letters.published import MAX_SLUG, PublishedLetter
from petition.letters.version_changes import with_changes
from petition.web import http
from petition.web.page_cache import ALL, CachedResponse, CacheTier
from petition.web.public import letter_page, stored_files
from petition.web.public.visit import Visit
from petition.web.shared_addresses import cleaned

NEWS_PER_PAGE = 20
LETTERS_PER_PAGE = 100
MAX_REACHED = 3  # addressees of a closed letter in the list of letters


async def home(visit: Visit) -> Response:
    """Redirect to the list in the browser's language."""
    response = visit.redirect("/")
    response.headers["vary"] = "Accept-Language"
    return response


async def to_index(visit: Visit) -> Response:
    return visit.redirect("/")


async def index(visit: Visit) -> Response:
    """Show a page of the list: open letters, newest first, then closed ones with what they reached."""
    number = _page_number(visit.request.query_params)
    if number > 1 and number > await _pages(visit):  # before the cache sees the address
        raise NotFound("the list has no such page")
    path = "/" if number == 1 else f"/?page={number}"

    async def build() -> CachedResponse:
        groups = await visit.services.letters.part((number - 1) * LETTERS_PER_PAGE, LETTERS_PER_PAGE)
        newest: Mapping[LetterId, object] = {}
        if closed := groups[1]:
            async with visit.services.database.connection() as conn:
                newest = await update_queries.newest_titles(conn, [published.letter.id for published in closed])
        reached = {
            published.letter.id: addressee_words.brief(
                visit.language, published.letter.addressees, published.today, MAX_REACHED
            )
            for published in closed
        }
        return http.cacheable_page(
            visit.request,
            "letters/index.html",
            groups=groups,
            newest=newest,
            reached=reached,
            number=number,
            pages=await _pages(visit),
            here=path,
            canonical=f"{visit.services.settings.base_url}/{visit.lang}{path}",
        )

    return await visit.cached_page(path, ALL, build, CacheTier.COMMON if number == 1 else CacheTier.VARIANT)


async def _pages(visit: Visit) -> int:
    return -(-await visit.services.letters.number() // LETTERS_PER_PAGE)


def _page_number(params: Mapping[str, str]) -> int:
    """Return which page a query names; the first if it names none."""
    param = cleaned(params.get("page", ""))
    return int(param) if re.fullmatch("[1-9][0-9]{0,5}", param) else 1


async def show(visit: Visit) -> Response:
    """Show the letter with its count and the form, all in one answer that fits into the first flight."""
    kind = letter_page.kind_in_query(visit)
    # Partners that no organizer has registered must not fill the cache.
    params = visit.request.query_params
    partner = letter_page.registered_partner(await visit.published(), params) if "from" in params else ""

    async def build(published: PublishedLetter) -> CachedResponse:
        return await letter_page.build(visit, published, kind, partner)

    tier = CacheTier.VARIANT if partner else CacheTier.COMMON
    return await visit.cached_letter_page(letter_page.query_of(kind, partner), build, tier)


async def text(visit: Visit) -> Response:
    """Show the whole text of a letter that is too long for its page."""

    async def build(published: PublishedLetter) -> CachedResponse:
        context = _letter_context(published, visit.lang) | {"text": published.letter.text(visit.lang)}
        return http.cacheable_page(visit.request, "letters/text.html", **context)

    return await visit.cached_letter_page("/text", build)


async def versions(visit: Visit) -> Response:
    """Show what changed in the text, when, and how many had signed before."""

    async def build(published: PublishedLetter) -> CachedResponse:
        async with visit.services.database.connection() as conn:
            rows = await queries.versions(conn, published.letter.id)
        context = _letter_context(published, visit.lang) | {"versions": with_changes(rows, visit.lang)}
        return http.cacheable_page(visit.request, "letters/versions.html", **context)

    return await visit.cached_letter_page("/versions", build)


async def updates(visit: Visit) -> Response:
    """Show the news on a letter, newest first."""
    param = visit.request.query_params.get("before", "")
    before = int(param) if re.fullmatch("[1-9][0-9]{0,8}", param) else 0

    async def build(published: PublishedLetter) -> CachedResponse:
        async with visit.services.database.connection() as conn:
            rows = await update_queries.published(conn, published.letter.id, before, NEWS_PER_PAGE + 1)
        context = _letter_context(published, visit.lang) | {
            "news": rows[:NEWS_PER_PAGE],
            "next": rows[NEWS_PER_PAGE - 1][0]["id"] if len(rows) > NEWS_PER_PAGE else None,
        }
        return http.cacheable_page(visit.request, "letters/updates.html", **context)

    if not before:
        return await visit.cached_letter_page("/updates", build)
    published = await visit.published()
    visit.services.throttle.allow_render(
        visit.network
    )  # never cached: anyone can make up such addresses by the thousand
    return http.CachedPageResponse(visit.request, await build(published))


async def answers(visit: Visit) -> Response:
    """Show what every addressee did, and all deliveries and answers by date."""

    async def build(published: PublishedLetter) -> CachedResponse:
        letter, language, base_url = published.letter, visit.language, visit.services.settings.base_url
        context = _letter_context(published, visit.lang) | {
            "addressees": addressee_words.lines(language, letter, published.today, base_url),
            "events": [
                addressee_words.event_line(language, letter, addressee, response, base_url)
                for addressee, response in timeline(letter.addressees)
            ],
        }
        return http.cacheable_page(visit.request, "letters/answers.html", **context)

    return await visit.cached_letter_page("/answers", build)


async def document(visit: Visit) -> Response:
    """Answer with the document of an addressee's answer, to be saved: it is a file of others."""
    slug, response_id = visit.slug, id_of(visit.request.path_params["response"], ResponseId, MAX_INTEGER)

    async def read(conn: Connection, start: int, length: int) -> Record | None:
        return await addressee_queries.document(conn, slug, response_id or 0, start, length)

    is_possible = response_id is not None and len(slug) <= MAX_SLUG
    first = await stored_files.first_part(visit, read) if is_possible else None
    if first is None:
        await visit.published()  # raises ``Gone`` if the letter was taken down
        raise NotFound("there is no such document")
    headers = http.document_headers(first["type"], f"answer-{response_id}", "public, max-age=300")
    return stored_files.respond(visit, first, read, headers)


def _letter_context(published: PublishedLetter, lang: str) -> dict[str, object]:
    letter = published.letter
    return {"letter": letter, "counts": published.counts, "text_lang": letter.shown_in(lang)}
