"""The one map from errors to responses: a status with a short page in the client's language, or a problem as JSON."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from petition.core.errors import BadToken, Gone, KeyDestroyed, NotFound, Paused, PetitionError, TooMany, Unavailable
from petition.core.i18n import N_, pick_language
from petition.web import http
from petition.web.desk import page, visit

log = logging.getLogger(__name__)

STATUS: Mapping[type[Exception], int] = {
    Gone: 410,  # before NotFound, its base class
    NotFound: 404,
    BadToken: 404,
    KeyDestroyed: 410,
    TooMany: 429,
    Unavailable: 503,
    Paused: 503,
}

FOR_PROGRAMS = ("/api/", "/badge/", "/oembed")

TEXTS: Mapping[int, tuple[str, str]] = {
    400: (N_("This could not be read"), N_("The form arrived damaged. Please go back and send it again.")),
    401: (
        N_("You are not signed in any more"),
        N_("Sign in again in another tab, come back to this page, and send it again."),
    ),
    403: (N_("This came from another site"), N_("Please use the form on this site itself.")),
    404: (N_("There is no such page"), N_("The address may be incomplete. A link from a mail must be opened whole.")),
    405: (N_("This does not work here"), N_("Please go back and use the page’s own buttons.")),
    408: (N_("That took too long"), N_("The connection was too slow. Please send the form again.")),
    410: (N_("This is gone"), N_("What stood here is not kept any more.")),
    413: (N_("That is too much"), N_("The form holds more than we take.")),
    415: (N_("This could not be read"), N_("The form arrived in a way we do not know.")),
    421: (N_("This is another address"), N_("This server does not answer under that name.")),
    429: (N_("Too many tries"), N_("Please try again later.")),
    500: (N_("Something went wrong"), N_("It was our mistake. Please try again in a few minutes.")),
    503: (N_("Away for a moment"), N_("We will be back soon. Please try again in a few seconds.")),
}


TAKEN_DOWN = (
    N_("This letter has been taken down"),
    N_("Its text and everything about its signatures have been deleted. There is nothing you need to do."),
)
PAUSED = (
    N_("Nothing can be changed here at the moment"),
    N_("Nothing you sent has been stored. Links from mails keep working: please come back later."),
)


async def http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
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
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, TooMany | Unavailable | Paused) else {}
    if isinstance(error, Gone):
        return _page(request, status, headers, TAKEN_DOWN)
    if isinstance(error, Paused):
        return _page(request, status, headers, PAUSED, pick_language(error.reasons, http.lang_of(request)))
    return _page(request, status, headers)


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer any other error with a 500; the log has the route and the traceback, never the data."""
    log.error("request failed", exc_info=error, extra={"route": _route(request)})
    return _page(request, 500, {})


def _route(request: Request) -> str:
    """Return the pattern of the route, never the path: it may contain a token."""
    route = request.scope.get("route")
    return str(getattr(route, "path", "none"))


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
        error_text = http.ErrorText(language.gettext(title), language.gettext(message), reason, retry_after)
        response = http.error_page(request, status, error_text)
    response.headers.update(headers)
    return response


def problem(status: int, title: str, detail: str | None = None) -> JSONResponse:
    """Return an RFC 9457 problem."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    headers = {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Retry-After",
        "cache-control": "no-store",
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: http_error,
    PetitionError: domain,
    Exception: unexpected,
}
