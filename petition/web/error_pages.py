"""The one map from errors to responses: a status with a short page in the client's language, or a problem as JSON."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from petition.core import open_files, request_ids
from petition.core.errors import (
    BadToken,
    Crowded,
    Gone,
    KeyDestroyed,
    NotFound,
    Paused,
    PetitionError,
    Refused,
    TooMany,
    Unavailable,
)
from petition.core.i18n import N_, pick_language
from petition.core.log_summaries import LineBudget
from petition.moderation.filters import UNKNOWN_FILTER, UnknownFilter
from petition.web import http, send_again, shared_addresses
from petition.web.desk import page, visit
from petition.web.page_cache import CachedResponse
from petition.web.request_counts import route_of
from petition.web.stored_copies import NAMELESS

log = logging.getLogger(__name__)
_refusal_lines = LineBudget(20)

STATUS: Mapping[type[Exception], int] = {
    Gone: 410,  # before NotFound, its base class
    NotFound: 404,
    BadToken: 404,
    KeyDestroyed: 410,
    TooMany: 429,
    Unavailable: 503,
    Paused: 503,
    UnknownFilter: 400,  # before Refused, its base class
    Refused: 422,
}

SAFE = {"GET", "HEAD", "OPTIONS"}
FOR_PROGRAMS = ("/api/", "/badge/", "/oembed")

TEXTS: Mapping[int, tuple[str, str]] = {
    400: (N_("We could not read this"), N_("The form was damaged on the way. Go back and send it again.")),
    401: (
        N_("You are not signed in any more"),
        N_("Sign in again in another tab, then come back to this page and send it again."),
    ),
    403: (N_("This request came from another site"), N_("Use the form on this site.")),
    404: (
        N_("Page not found"),
        N_("The address may be incomplete. If you followed a link in an e-mail, make sure you have all of it."),
    ),
    405: (N_("That does not work here"), N_("Go back and use the buttons on the page.")),
    408: (N_("That took too long"), N_("The connection was too slow. Send the form again.")),
    410: (N_("This page is gone"), N_("What was here has been deleted.")),
    413: (N_("That is too much"), N_("The form contains more data than we accept.")),
    415: (N_("We could not read this"), N_("The form arrived in a format we do not support.")),
    421: (N_("Wrong address"), N_("This server does not answer to that name.")),
    429: (N_("Too many attempts"), N_("Try again later.")),
    500: (N_("Something went wrong"), N_("It was our fault. Try again in a few minutes.")),
    503: (N_("Back in a moment"), N_("Part of this site does not answer right now.")),
}


TAKEN_DOWN = (
    N_("This letter has been taken down"),
    N_("Its text and all data about its signatures have been deleted. You do not need to do anything."),
)
UNKNOWN = (
    UNKNOWN_FILTER,
    N_("The address has a condition that does not exist here. Nothing was done. Go back and choose the filter again."),
)
NOT_DONE = N_("This cannot be done")
PAUSED = (
    N_("Nothing can be changed here right now"),
    N_("Nothing you sent has been stored. The links in our e-mails still work: come back later."),
)


async def http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == HTTPStatus.NOT_FOUND and (redirect := await shared_addresses.redirect(request)):
        return redirect
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _allowed_methods(request)):
        headers = {"allow": ", ".join(sorted(allowed))}
    detail = error.detail if isinstance(error, HTTPException) else None
    return _page(request, status, headers, detail=detail if detail != HTTPStatus(status).phrase else None)


def _allowed_methods(request: Request) -> set[str]:
    """Return the methods of every route at this path; the framework names those of the first one only."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return {method for route in routes if route.path_regex.match(request.url.path) for method in route.methods or ()}


async def domain(request: Request, error: Exception) -> Response:
    """Answer a ``PetitionError``. One without a status is a bug or a mistake in the settings: a 500."""
    status = next((status for error_type, status in STATUS.items() if isinstance(error, error_type)), None)
    if status is None:
        return await unexpected(request, error)
    if status == HTTPStatus.NOT_FOUND and (redirect := await shared_addresses.redirect(request)):
        return redirect
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        note_refusal(request, error)
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, TooMany | Unavailable | Paused) else {}
    if isinstance(error, Unavailable) and (page := await _instead(request, error)) is not None:
        return page
    if isinstance(error, Gone):
        return _page(request, status, headers, TAKEN_DOWN)
    if isinstance(error, UnknownFilter):
        return _page(request, status, headers, UNKNOWN)
    if isinstance(error, Refused):
        return _page(request, status, headers, (NOT_DONE, error.message))
    if isinstance(error, Paused):
        return _page(request, status, headers, PAUSED, pick_language(error.reasons, http.lang_of(request)))
    return _page(request, status, headers)


def note_refusal(request: Request, error: Exception) -> None:
    """Log that a request is answered with 503, so that its number can be found; not in a flood."""
    if "refused" not in request.scope and isinstance(error, Unavailable) and _refusal_lines.take():
        level = logging.INFO if isinstance(error, Crowded) else logging.WARNING
        extra = {"route": route_of(request.scope), "status": 503}
        log.log(level, "request not answered", exc_info=error, extra=extra)


async def _instead(request: Request, error: Unavailable) -> Response | None:
    """Return what can be answered without the database: a page's copy on disk, or a form with all that was typed."""
    if (copy := _stored_copy(request)) is not None:
        return http.CachedPageResponse(request, copy)
    return await _form_again(request, error)


def _stored_copy(request: Request) -> CachedResponse | None:
    """Return the copy on disk of a page that no database can be asked for."""
    services = http.services_of(request)
    is_read = request.method in {"GET", "HEAD"} and not request.url.path.startswith(visit.ROOT)
    if services.stored is None or services.letters.is_database_up or not is_read or NAMELESS in request.scope:
        return None
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    return ("?" not in path and services.stored.get(f"{path}?{query}" if query else path)) or None


async def _form_again(request: Request, error: Unavailable) -> Response | None:
    """Return the page that holds a form which could not be stored; None if there is none, or for programs."""
    if request.method in SAFE or f"{request.scope['path']}/".startswith(FOR_PROGRAMS):
        return None
    response = await send_again.form_page(request, 503, error.retry_after)
    if response is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


async def client_left(_request: Request, _error: Exception) -> Response:
    """Answer a client that has closed its connection before its body was read: with nothing, to no one."""
    return Response(status_code=400)


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer any other error with a 500; the log has the route and the traceback, never the data."""
    if open_files.is_out(error):
        return await domain(request, Unavailable(open_files.NONE_LEFT))
    log.error("request failed", exc_info=error, extra={"route": route_of(request.scope), "status": 500})
    return _page(request, 500, {})


def _page(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    text: tuple[str, str] | None = None,
    reason: tuple[str, str] = ("", ""),
    detail: str | None = None,
) -> Response:
    """Answer with ``text`` (title, message; both msgids), by default the status's.

    ``reason`` is (language, text by an organizer), ``detail`` is for programs.
    """
    seconds = headers.get("retry-after", "")
    title, message = text or TEXTS.get(status, (HTTPStatus(status).phrase, ""))
    language = http.language_of(request)
    if f"{request.url.path}/".startswith(FOR_PROGRAMS):
        response: Response = problem(status, HTTPStatus(status).phrase, detail)
    elif request.url.path.startswith(visit.ROOT):
        response = page.error_page(request, status, title, message, headers.get("retry-after"))
    else:
        retry_after = int(seconds) if seconds.isdigit() else None
        has_number = status >= HTTPStatus.INTERNAL_SERVER_ERROR and "refused" not in request.scope
        error_text = http.ErrorText(language.gettext(title), language.gettext(message), reason, retry_after, has_number)
        response = http.error_page(request, status, error_text)
    response.headers.update(headers)
    return response


def problem(status: int, title: str, detail: str | None = None) -> JSONResponse:
    """Return an RFC 9457 problem."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and (number := request_ids.current.get()) is not None:
        body["request"] = number
    headers = {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Retry-After",
        "cache-control": "no-store",
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: http_error,
    PetitionError: domain,
    ClientDisconnect: client_left,
    Exception: unexpected,
}
