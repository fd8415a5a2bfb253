"""JSON, version 1: a letter, its count, its signatories. For anyone, without cookies.

Letter and count come from memory. Errors are RFC 9457 problems, made by the application's one map of errors.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition import web
from petition.errors import Unavailable
from petition.kept import keep
from petition.letters.board import Board, Live
from petition.live import Streams
from petition.signatures import listing
from petition.signatures.listing import BadCursor, Cursor
from petition.signatures.model import Kind, Signatory
from petition.throttle import Throttle

MOST = 500  # signatories in one answer

JSON = b"application/json"
FOR_ANYONE = (b"access-control-allow-origin", b"*")
NOT_FOR_ENGINES = (b"x-robots-tag", b"noindex, noarchive")


async def letter(request: Request) -> Response:
    """Give a letter's state, titles and count."""
    live = await _live(request)
    about, base_url = live.letter, web.site_of(request).settings.base_url
    body = {
        "slug": about.slug,
        "state": about.state.value,
        "opened_at": _time(about.opened_at),
        "closes_at": _time(about.closes_at),
        "goal": about.goal,
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
    return _counted(request, body, live)


async def count(request: Request) -> Response:
    """Give the count alone."""
    live = await _live(request)
    counts = live.counts
    body = {"total": counts.total, "people": counts.people, "organizations": counts.organizations}
    return _counted(request, body, live)


async def signatories(request: Request) -> Response:
    """Give a page of the public list, or what a search has found."""
    live = await _live(request)
    kind, q, after, limit = _asked(request)
    site = web.site_of(request)
    turn = site.get(Throttle).reading(web.network_of(request))
    async with turn, site.database.connection() as conn:
        found, following = await listing.read(conn, live.letter.id, kind, q, after, limit)
    body = {"items": [_item(each) for each in found], "next": following.encode() if following else None}
    return web.KeptResponse(request, keep(_dumped(body), JSON, [FOR_ANYONE, NOT_FOR_ENGINES]))


async def events(request: Request) -> Response:
    """Tell the count as it moves. The door has answered already where there was a place (``petition.live``)."""
    await _live(request)
    streams = web.site_of(request).get(Streams)
    if request.method == "HEAD":
        response = Response()
        response.raw_headers = list(streams.headers)
        return response
    return _Stream(streams)


class _Stream(Response):
    """A listener whose letter came into memory with this very request, or a 503 if there is no place."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self._streams = streams

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        listener = self._streams.seat(scope, send)
        if listener is None:
            raise Unavailable(retry_after=60)
        await self._streams.serve(listener, receive)


async def _live(request: Request) -> Live:
    return await web.site_of(request).get(Board).get(request.path_params["slug"])


def _asked(request: Request) -> tuple[Kind, str, Cursor | None, int | None]:
    """Return kind, q, after, limit. Raises 422 if one of them cannot be."""
    asked = request.query_params
    limit = asked.get("limit")
    if limit is not None and not (re.fullmatch("[0-9]{1,4}", limit) and 1 <= int(limit) <= MOST):
        raise HTTPException(422)
    q = asked.get("q", "").strip()
    try:
        kind = Kind(asked.get("kind", Kind.PERSON))
        after = Cursor.decode(asked["after"]) if asked.get("after") and not q else None
    except (ValueError, BadCursor):
        raise HTTPException(422) from None
    return kind, q, after, int(limit) if limit else None


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


def _counted(request: Request, body: Mapping[str, Any], live: Live) -> Response:
    """Answer with ``body`` and the time of the count. The tag is of the body alone: as long as nothing was counted,
    who asks again is told so."""
    etag = b'W/"' + hashlib.sha256(_dumped(body)).hexdigest()[:20].encode() + b'"'
    whole = {**body, "counted_at": _time(live.counted_at)}
    return web.KeptResponse(request, keep(_dumped(whole), JSON, [FOR_ANYONE], etag=etag))


def _dumped(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _time(moment: datetime | None) -> str | None:
    """Return a time (UTC) to the second, as in 2026-11-21T10:00:00Z."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


ROUTES: list[BaseRoute] = [
    Route("/api/v1/letters/{slug}", letter),
    Route("/api/v1/letters/{slug}/count", count),
    Route("/api/v1/letters/{slug}/signatories", signatories),
    Route("/api/v1/letters/{slug}/events", events),
]
