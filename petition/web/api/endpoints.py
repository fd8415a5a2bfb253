"""JSON, version 1: a letter, its count, its history, its signatories, its partners. For anyone, without cookies.

Letter and count come from memory. What is told here is described in ``petition.api.description``. Errors are RFC 9457
problems, made by the application's one map of errors.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.core.database import Record
from petition.core.errors import Unavailable
from petition.letters import partner_queries
from petition.letters.published import PublishedLetter
from petition.signatures import listing
from petition.signatures.listing import BadCursor, Cursor
from petition.signatures.model import Kind, Signatory
from petition.web import headers, http
from petition.web.api import queries
from petition.web.api.answers import DATABASE, EXPOSED, FOR_ANYONE, MEMORY, limit_told, limited
from petition.web.api.description import MAX_ITEMS, PERIODS
from petition.web.count_stream import CountStreams
from petition.web.page_cache import CachedResponse, Header, build_response

JSON = b"application/json"
# ASCII digits only, and never without an offset.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
NOT_FOR_ENGINES = (b"x-robots-tag", b"noindex, noarchive")


async def letter(request: Request) -> Response:
    """Give a letter's state, titles and count."""
    live = await _live(request)
    about, base_url = live.letter, http.services_of(request).settings.base_url
    body = {
        "slug": about.slug,
        "state": about.state.value,
        "opened_at": _time(about.opened_at),
        "closes_at": _time(about.closes_at),
        "goal": about.goal_at(live.counts.total),
        "translations": {
            lang: {"title": text.title, "url": f"{base_url}/{lang}/{about.slug}"}
            for lang, text in about.version.texts.items()
        },
        "counts": {
            "total": live.counts.total,
            "people": live.counts.people,
            "organizations": live.counts.organizations,
            "hidden": live.counts.hidden,
            "imported": live.counts.imported,
        },
    }
    return http.CachedPageResponse(request, _counted(request, body, live))


async def count(request: Request) -> Response:
    """Give the count alone, from kept bytes that are made anew every few seconds, so that its time is of now."""
    await _live(request)
    slug, pages = request.path_params["slug"], http.services_of(request).pages

    async def make() -> CachedResponse:
        live = await _live(request)
        counts = live.counts
        told = {"total": counts.total, "people": counts.people, "organizations": counts.organizations}
        return _counted(request, told, live)

    return http.CachedPageResponse(request, await pages.get(f"/api/v1/letters/{slug}/count", slug, make, dated=True))


async def signatories(request: Request) -> Response:
    """Give a page of the public list, or what a search has found."""
    live = await _live(request)
    kind, q, after, limit = _asked(request)
    if live.letter.switches.list_hidden:
        raise HTTPException(403)
    async with http.services_of(request).database.connection() as conn:
        found, following = await listing.read(conn, live.letter.id, kind, q, after, limit)
    body = {"items": [_item(each) for each in found], "next": following.encode() if following else None}
    return http.CachedPageResponse(request, build_response(_dumped(body), JSON, [FOR_ANYONE, NOT_FOR_ENGINES]))


async def history(request: Request) -> Response:
    """Tell how the count grew, by hours or days (UTC), the newest periods of those before ``before``."""
    live = await _live(request)
    asked = request.query_params
    step, limit = asked.get("step", "day"), _number(asked.get("limit"), PERIODS)
    if step not in {"hour", "day"}:
        raise HTTPException(422, "step must be hour or day")
    before = _moment(asked["before"]) if "before" in asked else None
    async with http.services_of(request).database.connection() as conn:
        found = await queries.history(conn, live.letter.id, step, before, limit + 1)
    items = [_period(each) for each in reversed(found[:limit])]
    body = {"step": step, "items": items, "before": items[0]["start"] if len(found) > limit else None}
    return http.CachedPageResponse(request, build_response(_dumped(body), JSON, [FOR_ANYONE]))


async def partners(request: Request) -> Response:
    """Tell how many came by each partner whose count an organizer has made public."""
    await _live(request)
    slug, pages = request.path_params["slug"], http.services_of(request).pages

    async def make() -> CachedResponse:
        live = await _live(request)
        async with http.services_of(request).database.connection() as conn:
            rows = await partner_queries.in_api(conn, live.letter.id)
        items = [{**dict(row), "total": row["people"] + row["representatives"]} for row in rows]
        return build_response(_dumped({"items": items}), JSON, _kept_headers(request))

    return http.CachedPageResponse(request, await pages.get(f"/api/v1/letters/{slug}/partners", slug, make))


async def events(request: Request) -> Response:
    """Tell the count as it moves. The door has answered already where there was a place (``petition.live``)."""
    await _live(request)
    streams = http.services_of(request).count_streams
    if request.method == "HEAD":
        response = Response()
        response.raw_headers = list(streams.headers)
        return response
    return _Stream(streams)


class _Stream(Response):
    """A listener whose letter came into memory with this very request, or a 503 if there is no place."""

    def __init__(self, streams: CountStreams) -> None:
        super().__init__()
        self._streams = streams

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        listener = self._streams.admit(scope, send)
        if listener is None:
            raise Unavailable(retry_after=60)
        await self._streams.serve(listener, receive)


async def _live(request: Request) -> PublishedLetter:
    return await http.services_of(request).letters.get(request.path_params["slug"])


def _asked(request: Request) -> tuple[Kind, str, Cursor | None, int | None]:
    """Return kind, q, after, limit. Raises 422 if one of them cannot be."""
    asked = request.query_params
    limit = _number(asked["limit"], MAX_ITEMS) if "limit" in asked else None
    q = asked.get("q", "").strip()
    if "\0" in q:
        raise HTTPException(422, "q must not contain a null character")
    try:
        kind = Kind(asked.get("kind", Kind.PERSON))
    except ValueError:
        raise HTTPException(422, "kind must be person or organization") from None
    try:
        after = Cursor.decode(asked["after"]) if asked.get("after") else None
    except BadCursor:
        raise HTTPException(422, "after must be the next value of an earlier response") from None
    return kind, q, None if q else after, limit


def _number(text: str | None, most: int) -> int:
    """Return a number from 1 to ``most``, the latter if there is none. Raises 422."""
    if text is None:
        return most
    if not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= most):
        raise HTTPException(422, f"limit must be a whole number from 1 to {most}")
    return int(text)


def _moment(text: str) -> datetime:
    """Return the time in an RFC 3339 date and time. Raises 422."""
    try:
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise HTTPException(422, "before must be a time like 2026-11-21T10:00:00Z")


def _period(row: Record) -> dict[str, Any]:
    people, organizations = row["people"], row["organizations"]
    told = {"start": _time(row["start"]), "total": people + organizations, "people": people}
    return told | {"organizations": organizations, "change": row["change"]}


def _item(entry: Signatory) -> dict[str, Any]:
    told = {"kind": entry.kind.value, "listed_at": _time(entry.listed_at)}
    if entry.kind is Kind.ORGANIZATION:
        names = {"name_en": entry.name_en, "name_ru": entry.name_ru, "website": entry.website}
        return told | names | {"representatives": list(entry.representatives)}
    return told | {
        "name": entry.name,
        "affiliation": entry.affiliation,
        "city": entry.city,
        "country": entry.country,
    }


def _counted(request: Request, body: Mapping[str, Any], live: PublishedLetter) -> CachedResponse:
    """Return ``body`` and the time of the count. The tag is of the body alone: as long as nothing was counted, who asks
    again is told so."""
    etag = b'W/"' + hashlib.sha256(_dumped(body)).hexdigest()[:20].encode() + b'"'
    whole = {**body, "counted_at": _time(live.counted_at)}
    return build_response(_dumped(whole), JSON, _kept_headers(request), etag=etag)


def _kept_headers(request: Request) -> list[Header]:
    """Return the headers of an answer from memory, which the door sends by itself."""
    settings = http.services_of(request).settings
    return [FOR_ANYONE, EXPOSED, limit_told(MEMORY, settings.limits.api), *headers.common_headers(settings)]


def _dumped(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _time(moment: datetime | None) -> str | None:
    """Return a time (UTC) to the second, as in 2026-11-21T10:00:00Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


TAKEN = ["GET", "OPTIONS"]

ROUTES: list[BaseRoute] = [
    Route("/api/v1/letters/{slug}", limited(MEMORY, letter), methods=TAKEN),
    Route("/api/v1/letters/{slug}/count", limited(MEMORY, count), methods=TAKEN),
    Route("/api/v1/letters/{slug}/history", limited(DATABASE, history), methods=TAKEN),
    Route("/api/v1/letters/{slug}/signatories", limited(DATABASE, signatories), methods=TAKEN),
    Route("/api/v1/letters/{slug}/partners", limited(MEMORY, partners), methods=TAKEN),
    Route("/api/v1/letters/{slug}/events", limited(MEMORY, events), methods=TAKEN),
]
