"""All public names on one page, to print: sent in parts, so that no request holds a connection or much memory."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from petition.core.errors import Unavailable
from petition.core.i18n import N_
from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import http
from petition.web.public import stored_files
from petition.web.public.signatories import NOT_INDEXED, cursor_of, kind_of
from petition.web.public.visit import Visit

MAX_NAMES = 10_000  # on one page: what browsers still lay out for the printer; a letter with more has several pages
PART = 500  # names that are read and rendered at once
ROWS = Markup("<!--rows-->")
KINDS = (Kind.ORGANIZATION, Kind.PERSON)  # in the order of the page
TITLES = {Kind.ORGANIZATION: N_("Organizations"), Kind.PERSON: N_("People")}


@dataclass(slots=True)
class _Position:
    """Where the next part begins, and how many names still fit onto the page."""

    kind: Kind
    after: Cursor | None
    left: int = field(default_factory=lambda: MAX_NAMES)
    is_untitled: bool = True  # the heading of the kind is not yet on the page


async def show(visit: Visit) -> Response:
    """Answer with the organizations and people in the public list; ``kind`` and ``after`` say where a page begins."""
    published = await visit.published()
    if published.letter.conceals_names:
        raise HTTPException(404)
    params = visit.request.query_params
    position = _Position(kind_of(params) if params.get("kind") else KINDS[0], cursor_of(params))
    visit.services.throttle.allow_print(visit.network)
    first = await _part(visit, published, position)
    head, tail = _frame(visit, published)
    if visit.request.method == "HEAD":
        return _response([], visit)
    return _response(_all(visit, published, position, first=[head, first], tail=tail), visit)


def _frame(visit: Visit, published: PublishedLetter) -> tuple[str, str]:
    """Return the page in front of the names, and behind them."""
    html = visit.services.renderer.render(
        "signatures/print.html",
        visit.lang,
        **http.context(
            visit.request,
            letter=published.letter,
            counts=published.counts,
            counted_at=published.counted_at,
            max_names=MAX_NAMES,
            rows=ROWS,
        ),
    )
    head, _, tail = html.partition(ROWS)
    return head, tail


async def _all(
    visit: Visit, published: PublishedLetter, position: _Position, *, first: list[str], tail: str
) -> AsyncIterator[str]:
    for text in first:
        yield text
    while position.left > 0:
        if (await visit.published()).letter.conceals_names:  # since the page was begun: it ends here
            break
        yield await _next_part(visit, published, position)
    yield tail


async def _next_part(visit: Visit, published: PublishedLetter, position: _Position) -> str:
    """Render the next names as soon as there is a turn; where none comes, end the page with the way to go on."""
    try:
        return await stored_files.patiently(lambda: _part(visit, published, position))
    except Unavailable:
        position.left = 0
        return _rows(visit, following=_address(visit, position))


async def _part(visit: Visit, published: PublishedLetter, position: _Position) -> str:
    """Render the next names, and move ``position`` behind them; ``left`` is 0 when no more are to come."""
    kind, title = position.kind, visit.gettext(TITLES[position.kind]) if position.is_untitled else ""
    letter_id, after, limit = published.letter.id, position.after, min(PART, position.left)
    async with visit.services.throttle.part_slot(visit.network):
        entries, following = await visit.read_names(lambda conn: listing.page(conn, letter_id, kind, after, limit))
    _move(position, entries, following)
    is_full = position.left == 0 and (position.after is not None or position.kind is not kind)
    following_page = _address(visit, position) if is_full else ""
    return _rows(visit, title=title if entries else "", entries=entries, following=following_page)


def _rows(visit: Visit, *, title: str = "", entries: Sequence[Signatory] = (), following: str) -> str:
    return visit.services.renderer.render(
        "signatures/_print_rows.html", visit.lang, title=title, entries=entries, following=following
    )


def _move(position: _Position, entries: list[Signatory], following: Cursor | None) -> None:
    position.left -= len(entries)
    position.after, position.is_untitled = following, False
    if following is None and position.kind is KINDS[0]:
        position.kind, position.is_untitled = KINDS[1], True
    elif following is None:
        position.left = 0


def _address(visit: Visit, position: _Position) -> str:
    params = {"kind": position.kind.value} | ({"after": position.after.encode()} if position.after else {})
    return f"/{visit.lang}/{visit.slug}/signatories/print?{urlencode(params)}"


def _response(content: AsyncIterator[str] | list[str], visit: Visit) -> Response:
    headers = {name.decode(): value.decode() for name, value in NOT_INDEXED}
    headers |= {"cache-control": "no-store", "content-language": visit.lang}
    return StreamingResponse(content, headers=headers, media_type="text/html")
