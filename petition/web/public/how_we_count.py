"""How the count is made up and proven, for the press: the page "How we count"."""

from collections.abc import Sequence

from starlette.responses import Response

from petition.core.database import Connection
from petition.count_report import reading
from petition.count_report.model import CountReport
from petition.count_report.page_context import page_context
from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.page_cache import CachedResponse
from petition.web.public.signatories import cursor_of
from petition.web.public.visit import Visit

PATH = "/how-we-count"


async def show(visit: Visit) -> Response:
    """Show the report with the organizations, newest first; ``after`` says where their page begins."""
    after = cursor_of(visit.request.query_params)

    async def build(published: PublishedLetter) -> CachedResponse:
        async with (
            visit.services.database.connection() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            report = await reading.read(conn, published)
            items, following = await _organizations(conn, published, after)
        return _page(visit, report, items, after, following)

    if after is None:
        return await visit.cached_letter_page(PATH, build, dated=True)
    published = await visit.published()
    visit.services.throttle.allow_render(visit.network)  # never cached: there are many such addresses
    return http.CachedPageResponse(visit.request, await build(published))


async def _organizations(
    conn: Connection, published: PublishedLetter, after: Cursor | None
) -> tuple[Sequence[Signatory], Cursor | None]:
    """Return a page of them where readers may see names on a page that search engines keep."""
    letter = published.letter
    if letter.conceals_names or letter.sensitive:
        return (), None
    return await listing.page(conn, letter.id, Kind.ORGANIZATION, after)


def _page(
    visit: Visit, report: CountReport, items: Sequence[Signatory], after: Cursor | None, following: Cursor | None
) -> CachedResponse:
    return http.cacheable_page(
        visit.request,
        "letters/how_we_count.html",
        **page_context(report, visit.services.renderer.languages, visit.lang),
        letter=report.letter,
        items=items,
        first_page=after is None,
        next=following.encode() if following else None,
        here=f"/{report.letter.slug}{PATH}",
    )
