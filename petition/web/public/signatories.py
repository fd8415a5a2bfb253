"""The public list of signatories: a page of it by cursor, or the result of a search."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.letters.published import PublishedLetter
from petition.signatures import employees, listing
from petition.signatures.employee_queries import MIN_NUMBER
from petition.signatures.employees import Employees
from petition.signatures.listing import Cursor
from petition.signatures.listing_queries import MAX_RESULTS
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.page_cache import CachedResponse, list_group
from petition.web.public.visit import Visit
from petition.web.shared_addresses import cleaned, tokens_in

# Unless the letter allows it. Results of a search are never indexed: there are any number of such pages.
NOT_INDEXED = [(b"x-robots-tag", b"noindex, noarchive")]
# The first page of each list under the addresses that pages of ours link to.
_QUERIES = {Kind.PERSON: "kind=person", Kind.ORGANIZATION: "kind=organization"}
_CACHED_QUERIES = {"", *_QUERIES.values()}


async def signatories(visit: Visit) -> Response:
    """Show people or organizations, newest first, or those who match ``q``. Other query parameters are ignored.

    The first page is cached like the letter's: see docs/decisions/page-cache.md. All others are rendered for each
    request, as there are any number of them.
    """
    params = visit.request.query_params
    if any("\0" in value for value in params.values()):
        raise HTTPException(400)
    kind, q = kind_of(params), params.get("q", "").strip()[: listing.MAX_QUERY]
    after = None if q else cursor_of(params)
    if q or after is not None:
        response = await _page(visit, await visit.published(), kind, q=q, after=after)
        return http.CachedPageResponse(visit.request, response)

    async def build(published: PublishedLetter) -> CachedResponse:
        return await _page(visit, published, kind)

    query = visit.request.url.query if visit.request.url.query in _CACHED_QUERIES else _QUERIES[kind]
    # Dated: what moves neither count nor revision (another representative of an organization) shows after seconds.
    return await visit.cached_letter_page(
        "/signatories" + (f"?{query}" if query else ""), build, dated=True, group=list_group(visit.slug)
    )


async def _page(
    visit: Visit, published: PublishedLetter, kind: Kind, *, q: str = "", after: Cursor | None = None
) -> CachedResponse:
    items, following = await _entries(visit, published, kind, q=q, after=after)
    is_beginning = kind is Kind.PERSON and not q and after is None
    return http.cacheable_page(
        visit.request,
        "signatures/list.html",
        [] if published.letter.names_in_search and not q else NOT_INDEXED,
        letter=published.letter,
        counts=published.counts,
        nameless=visit.is_nameless,
        kind=kind,
        q=q,
        items=items,
        listed=listed(published, kind),
        employees=await _employees(visit, published) if is_beginning else (),
        min_number=MIN_NUMBER,
        max_results=MAX_RESULTS,
        next=following.encode() if following else None,
        first_page=after is None,
        here=f"/{visit.slug}/signatories?{query_of(kind, q, after)}",
    )


def kind_of(params: Mapping[str, str]) -> Kind:
    """Return which list a query names; a person's by default. Raises a 404 for a kind that there is not."""
    try:
        return Kind(cleaned(params.get("kind", "")) or Kind.PERSON)
    except ValueError:
        raise HTTPException(404) from None


def cursor_of(params: Mapping[str, str]) -> Cursor | None:
    """Return the position that a query names, without what was added to it. Raises ``BadCursor``."""
    tokens = tokens_in(params.get("after", "").strip())
    return Cursor.decode(tokens[0]) if tokens else None


def listed(published: PublishedLetter, kind: Kind) -> int:
    """Return how many entries of this kind are in the list: all but hidden names and those counted on paper."""
    counts = published.counts
    if kind is Kind.ORGANIZATION:
        return counts.organizations
    return max(counts.people - counts.hidden - sum(tally.people for tally in published.letter.tallies), 0)


async def _entries(
    visit: Visit, published: PublishedLetter, kind: Kind, *, q: str, after: Cursor | None
) -> tuple[list[Signatory], Cursor | None]:
    if published.letter.conceals_names or visit.is_nameless:
        return [], None
    letter_id = published.letter.id
    async with visit.services.throttle.read_slot(visit.network):
        if q or after is not None:
            return await visit.read_names(lambda conn: listing.read(conn, letter_id, kind, q, after))
        return await visit.read_page(visit.slug, lambda conn: listing.page(conn, letter_id, kind))


async def _employees(visit: Visit, published: PublishedLetter) -> Sequence[Employees]:
    if not published.letter.employers or visit.is_nameless:
        return ()
    async with visit.services.throttle.read_slot(visit.network):
        return await visit.read_page(visit.slug, lambda conn: employees.count(conn, published.letter))


def query_of(kind: Kind, q: str, after: Cursor | None = None) -> str:
    """Return the query that leads to the same page in another language."""
    parts = {"kind": kind.value, "q": q, "after": after.encode() if after else ""}
    return urlencode({key: value for key, value in parts.items() if value}, errors="replace")
