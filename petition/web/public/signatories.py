"""The public list of signatories: a page by its place in the list, or what a search has found."""

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import http

# Unless the letter allows it. What a search has found is never for them: there are any number of such pages.
NOT_FOR_ENGINES = [(b"x-robots-tag", b"noindex, noarchive")]


async def signatories(request: Request) -> Response:
    """Show people or organizations, newest first, or those who match ``q``. Other query parameters are ignored.

    Made anew each time, unlike other pages: a name that was taken back a moment ago must not be in it.
    """
    http.check_lang(request)
    services, slug = http.services_of(request), request.path_params["slug"]
    live = await services.letters.get(slug)
    asked = request.query_params
    if any("\0" in value for value in asked.values()):
        raise HTTPException(400)
    kind = Kind.ORGANIZATION if asked.get("kind") == Kind.ORGANIZATION else Kind.PERSON
    q = asked.get("q", "").strip()[: listing.MAX_QUERY]
    after = Cursor.decode(asked["after"]) if asked.get("after") and not q else None
    items, following = await _entries(request, live, kind, q, after)
    kept = http.cacheable_page(
        request,
        "signatures/list.html",
        [] if live.letter.names_in_search and not q else NOT_FOR_ENGINES,
        letter=live.letter,
        counts=live.counts,
        kind=kind,
        q=q,
        items=items,
        next=following.encode() if following else None,
        first_page=after is None,
        here=f"/{slug}/signatories?{_query(kind, q, after)}",
    )
    return http.CachedPageResponse(request, kept)


async def _entries(
    request: Request, live: PublishedLetter, kind: Kind, q: str, after: Cursor | None
) -> tuple[list[Signatory], Cursor | None]:
    if live.letter.switches.list_hidden:
        return [], None
    services = http.services_of(request)
    turn = services.throttle.read_slot(http.network_of(request))
    async with turn, services.database.connection() as conn:
        return await listing.read(conn, live.letter.id, kind, q, after)


def _query(kind: Kind, q: str, after: Cursor | None) -> str:
    """Return the query that leads to the same page in another language."""
    parts = {"kind": kind.value, "q": q, "after": after.encode() if after else ""}
    return urlencode({key: value for key, value in parts.items() if value}, errors="replace")
