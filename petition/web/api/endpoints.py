"""JSON API, version 1: a letter, its count, history, signatories and partners. For any site, without cookies.

Letter and count come from memory. templates/api/openapi.json describes the responses. Errors are RFC 9457 problems
(``petition.web.error_pages``).
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.database import Record
from petition.core.errors import Unavailable
from petition.core.replicas import Load
from petition.count_report.document import source_of
from petition.letters import partner_queries
from petition.letters.addressees import Addressee
from petition.letters.model import Counts
from petition.letters.published import PublishedLetter
from petition.letters.sources import sources_of
from petition.signatures import employee_queries, employees, listing
from petition.signatures.listing import BadCursor, Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import headers, http, reads
from petition.web.api import queries
from petition.web.api.answers import DATABASE, EXPOSED, FOR_ANYONE, MEMORY, limited, policy_header
from petition.web.api.description import MAX_ITEMS, MAX_PERIODS
from petition.web.count_stream import SERVERS_SEND, CountStreams
from petition.web.page_cache import CachedResponse, Header, build_response, weak_etag

T = TypeVar("T")

JSON = b"application/json"
# ASCII digits only; the offset is required.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
NO_INDEX = (b"x-robots-tag", b"noindex, noarchive")


async def letter(request: Request) -> Response:
    published = await _published(request)
    about, counts, base_url = published.letter, published.counts, http.services_of(request).settings.base_url
    body = {
        "slug": about.slug,
        "state": about.state.value,
        "opened_at": _time(about.opened_at),
        "closes_at": _time(about.closes_at),
        "goal": about.goal_at(counts.total),
        "translations": {
            lang: {"title": text.title, "url": f"{base_url}/{lang}/{about.slug}"}
            for lang, text in about.version.texts.items()
        },
        "counts": {**_three_counts(counts), "hidden": counts.hidden, "imported": counts.imported},
        "sources": [source_of(source) for source in sources_of(about, counts)],
        "addressees": [_addressee(addressee, published, base_url) for addressee in about.addressees],
    }
    return http.CachedPageResponse(request, _counted(request, body, published))


async def count(request: Request) -> Response:
    """Answer with the count alone, from a cached response that expires every few seconds for its time."""
    slug, pages = request.path_params["slug"], http.services_of(request).pages
    if (key := f"/api/v1/letters/{slug}/count") not in pages:
        await _published(request)

    async def render() -> CachedResponse:
        published = await _published(request)
        return _counted(request, _three_counts(published.counts), published)

    return http.CachedPageResponse(request, await pages.get(key, slug, render, dated=True))


async def signatories(request: Request) -> Response:
    """Answer with a page of the public list, or the matches of a search."""
    published = await _published(request)
    kind, q, after, limit = _list_params(request)
    if published.letter.conceals_names:
        raise HTTPException(403)
    letter_id = published.letter.id
    entries, next_cursor = await _read_names(request, lambda conn: listing.read(conn, letter_id, kind, q, after, limit))
    body = {"items": [_item(entry) for entry in entries], "next": next_cursor.encode() if next_cursor else None}
    headers = [FOR_ANYONE, NO_INDEX, *http.as_of(request)]
    return http.CachedPageResponse(request, build_response(_dump(body), JSON, headers))


async def affiliations(request: Request) -> Response:
    """Answer with the employers whose employees signed without names, and how many, from five on."""
    published = await _published(request)
    if published.letter.conceals_names:
        raise HTTPException(403)
    lines = await _read_names(request, lambda conn: employees.count(conn, published.letter))
    items = [
        {
            "name": dict(line.employer.party.names),
            "domains": list(line.employer.domains),
            "people": line.number,
            "fewer_than": employee_queries.MIN_NUMBER if line.number is None else None,
        }
        for line in lines
    ]
    headers = [FOR_ANYONE, NO_INDEX, *http.as_of(request)]
    return http.CachedPageResponse(request, build_response(_dump({"items": items}), JSON, headers))


async def history(request: Request) -> Response:
    """Answer with the growth of the count by hours or days (UTC): the newest periods before ``before``."""
    published = await _published(request)
    params = request.query_params
    step, limit = params.get("step", "day"), _limit(params.get("limit"), MAX_PERIODS)
    if step not in {"hour", "day"}:
        raise HTTPException(422, "step must be hour or day")
    before = _parse_time(params["before"]) if "before" in params else None
    letter_id = published.letter.id
    rows = await _read_names(request, lambda conn: queries.history(conn, letter_id, step, before, limit + 1))
    items = [_period(row) for row in reversed(rows[:limit])]
    body = {"step": step, "items": items, "before": items[0]["start"] if len(rows) > limit else None}
    return http.CachedPageResponse(request, build_response(_dump(body), JSON, [FOR_ANYONE, *http.as_of(request)]))


async def partners(request: Request) -> Response:
    """Answer with the counts of the partners whose count an organizer has made public."""
    slug, pages = request.path_params["slug"], http.services_of(request).pages
    if f"/api/v1/letters/{slug}/partners" not in pages:
        await _published(request)

    async def render() -> CachedResponse:
        published = await _published(request)
        rows = await reads.read_page(request, slug, lambda conn: partner_queries.in_api(conn, published.letter.id))
        items = [{**dict(row), "total": row["people"] + row["representatives"]} for row in rows]
        return build_response(_dump({"items": items}), JSON, [*_cached_headers(request), *http.as_of(request)])

    return http.CachedPageResponse(request, await pages.get(f"/api/v1/letters/{slug}/partners", slug, render))


async def events(request: Request) -> Response:
    """Stream the count if the gateway did not, which knows only letters in memory and stops at the limits."""
    await _published(request)
    streams = http.services_of(request).count_streams
    if request.method == "HEAD":
        response = Response()
        response.raw_headers = list(streams.headers)
        return response
    return _Stream(streams)


class _Stream(Response):
    """The stream of a letter that this request loaded into memory, or a 503 if no slot is free."""

    def __init__(self, streams: CountStreams) -> None:
        super().__init__()
        self._streams = streams

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not self._streams.admit(scope, scope.pop(SERVERS_SEND, send)):
            raise Unavailable(retry_after=60)


async def _read_names(request: Request, load: Load[T]) -> T:
    return await reads.read_names(request, request.path_params["slug"], load)


async def _published(request: Request) -> PublishedLetter:
    return await http.services_of(request).letters.get(request.path_params["slug"])


def _list_params(request: Request) -> tuple[Kind, str, Cursor | None, int | None]:
    """Return kind, q, after, limit. Raises 422 if one is invalid."""
    params = request.query_params
    limit = _limit(params["limit"], MAX_ITEMS) if "limit" in params else None
    q = params.get("q", "").strip()
    if "\0" in q:
        raise HTTPException(422, "q must not contain a null character")
    try:
        kind = Kind(params.get("kind", Kind.PERSON))
    except ValueError:
        raise HTTPException(422, "kind must be person or organization") from None
    try:
        after = Cursor.decode(params["after"]) if params.get("after") else None
    except BadCursor:
        raise HTTPException(422, "after must be the next value of an earlier response") from None
    return kind, q, None if q else after, limit


def _limit(text: str | None, maximum: int) -> int:
    """Return the limit in ``text``, by default ``maximum``. Raises 422."""
    if text is None:
        return maximum
    if not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= maximum):
        raise HTTPException(422, f"limit must be a whole number from 1 to {maximum}")
    return int(text)


def _parse_time(text: str) -> datetime:
    """Return the time in an RFC 3339 date and time. Raises 422."""
    try:
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise HTTPException(422, "before must be a time like 2026-11-21T10:00:00Z")


def _period(row: Record) -> dict[str, Any]:
    return {
        "start": _time(row["start"]),
        "total": row["people"] + row["organizations"],
        "people": row["people"],
        "organizations": row["organizations"],
        "change": row["change"],
    }


def _item(entry: Signatory) -> dict[str, Any]:
    common = {"kind": entry.kind.value, "listed_at": _time(entry.listed_at)}
    if entry.kind is Kind.ORGANIZATION:
        return common | {
            "name_en": entry.name_en,
            "name_ru": entry.name_ru,
            "website": entry.website,
            "representatives": list(entry.representatives),
            "evidence": [kind.value for kind in entry.evidence],
            "vouched_by": list(entry.vouched_by),
        }
    return common | {
        "name": entry.name,
        "affiliation": entry.affiliation,
        "city": entry.city,
        "country": entry.country,
    }


def _addressee(addressee: Addressee, published: PublishedLetter, base_url: str) -> dict[str, Any]:
    letter = published.letter
    return {
        "name": dict(addressee.names),
        "url": addressee.url,
        "state": addressee.state.value,
        "delivered_at": _time(addressee.delivered_at),
        "days_silent": addressee.days_silent(published.today),
        "answers": [
            {
                "at": _time(answer.at),
                "summary": dict(answer.summary),
                "url": answer.url(base_url, next(iter(letter.version.texts)), letter.slug),
            }
            for answer in addressee.answers
        ],
    }


def _three_counts(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "people": counts.people, "organizations": counts.organizations}


def _counted(request: Request, body: Mapping[str, Any], published: PublishedLetter) -> CachedResponse:
    """Return ``body`` with the time of the count, which the ETag leaves out: an unchanged count stays a 304."""
    timed_body = {**body, "counted_at": _time(published.counted_at)}
    return build_response(_dump(timed_body), JSON, _cached_headers(request), etag=weak_etag(_dump(body)))


def _cached_headers(request: Request) -> list[Header]:
    """Return the headers of a response from memory, complete: the gateway sends it without a view."""
    settings = http.services_of(request).settings
    return [FOR_ANYONE, EXPOSED, policy_header(MEMORY, settings.limits.api), *headers.common_headers(settings)]


def _dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _time(moment: datetime | None) -> str | None:
    """Return a time (UTC) to the second, as in 2026-11-21T10:00:00Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


METHODS = ["GET", "OPTIONS"]

ROUTES: list[BaseRoute] = [
    Route("/api/v1/letters/{slug}", limited(MEMORY, letter), methods=METHODS),
    Route("/api/v1/letters/{slug}/count", limited(MEMORY, count), methods=METHODS),
    Route("/api/v1/letters/{slug}/history", limited(DATABASE, history), methods=METHODS),
    Route("/api/v1/letters/{slug}/signatories", limited(DATABASE, signatories), methods=METHODS),
    Route("/api/v1/letters/{slug}/affiliations", limited(DATABASE, affiliations), methods=METHODS),
    Route("/api/v1/letters/{slug}/partners", limited(MEMORY, partners), methods=METHODS),
    Route("/api/v1/letters/{slug}/events", limited(MEMORY, events), methods=METHODS),
]
