"""The public list of signatories: a page of it by cursor, or the result of a search."""

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.public.visit import Visit

# Unless the letter allows it. Results of a search are never indexed: there are any number of such pages.
NOT_INDEXED = [(b"x-robots-tag", b"noindex, noarchive")]


async def signatories(visit: Visit) -> Response:
    """Show people or organizations, newest first, or those who match ``q``. Other query parameters are ignored.

    Rendered for each request, unlike other pages: a name that was taken back a moment ago must not be in it.
    """
    published = await visit.published()
    params = visit.request.query_params
    if any("\0" in value for value in params.values()):
        raise HTTPException(400)
    kind = Kind.ORGANIZATION if params.get("kind") == Kind.ORGANIZATION else Kind.PERSON
    q = params.get("q", "").strip()[: listing.MAX_QUERY]
    after = Cursor.decode(params["after"]) if params.get("after") and not q else None
    items, following = await _entries(visit, published, kind, q=q, after=after)
    response = http.cacheable_page(
        visit.request,
        "signatures/list.html",
        [] if published.letter.names_in_search and not q else NOT_INDEXED,
        letter=published.letter,
        counts=published.counts,
        kind=kind,
        q=q,
        items=items,
        next=following.encode() if following else None,
        first_page=after is None,
        here=f"/{visit.slug}/signatories?{_query(kind, q, after)}",
    )
    return http.CachedPageResponse(visit.request, response)


async def _entries(
    visit: Visit, published: PublishedLetter, kind: Kind, *, q: str, after: Cursor | None
) -> tuple[list[Signatory], Cursor | None]:
    if published.letter.switches.list_hidden:
        return [], None
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        return await listing.read(conn, published.letter.id, kind, q, after)


def _query(kind: Kind, q: str, after: Cursor | None) -> str:
    """Return the query that leads to the same page in another language."""
    parts = {"kind": kind.value, "q": q, "after": after.encode() if after else ""}
    return urlencode({key: value for key, value in parts.items() if value}, errors="replace")
