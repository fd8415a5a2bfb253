"""A page of the desk: its headers, its template, and what every template gets."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from petition.core import request_ids
from petition.web import headers
from petition.web.content_codings import Coding, compress
from petition.web.desk.navigation import find_current, jobs_of
from petition.web.desk.visit import DeskVisit, OpenVisit, open_visit
from petition.web.http import coding_for


def policy(extra: Mapping[str, str] | None = None) -> str:
    """Return the content security policy of the desk's pages; ``extra`` adds sources or directives."""
    sources = {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return headers.policy_of(sources, extra)


def desk_page(
    visit: OpenVisit,
    template: str,
    *,
    status: int | None = None,
    errors: Mapping[str, str] = {},
    sources: Mapping[str, str] | None = None,
    **context: object,
) -> Response:
    """Render a template of the desk in the visit's language; never cached.

    ``errors`` are messages for the catalogues by field, "" for the whole page; the status is 422 with any and 200
    without, unless ``status`` says otherwise. ``sources`` adds to the policy (see ``policy``). Templates extend
    ``desk/_base.html`` and get ``visit`` and ``letter`` (both None for strangers), ``nav_jobs``, the current
    ``nav_job`` and ``nav_tab`` or None, ``path``, ``here`` (the address to return to), ``errors`` in words,
    the first of them as ``problem`` with its field ``problem_at``, ``failed`` (nothing was done), and ``context``.
    """
    path, member = visit.request.url.path, visit if isinstance(visit, DeskVisit) else None
    jobs = jobs_of(member) if member else ()
    nav_job, nav_tab = find_current(jobs, path)
    words = {field: visit.gettext(message) for field, message in errors.items()}
    variables = {
        "visit": member,
        "letter": member and member.letter_or_none,
        "nav_jobs": jobs,
        "nav_job": nav_job,
        "nav_tab": nav_tab,
        "path": path,
        "zone": member.organizer.zone if member else "",
        "here": _address_to_return_to(visit.request),
        "errors": words,
        "problem": next(iter(words.values()), None),
        "problem_at": next(iter(words), None),
        "failed": bool(errors) or (status or HTTPStatus.OK) >= HTTPStatus.BAD_REQUEST,
    }
    body = visit.services.renderer.render(template, visit.lang, **{**variables, **context}).encode()
    response_headers = {
        "cache-control": "no-store",
        "content-language": visit.lang,
        "content-security-policy": policy(sources),
        "vary": "Accept-Encoding, Cookie",
        "x-robots-tag": "noindex",
    }
    if (coding := coding_for(visit.request)) is not Coding.IDENTITY:
        response_headers["content-encoding"] = coding.value
        body = compress(body, coding)
    return Response(body, status or (422 if errors else 200), response_headers, media_type="text/html")


def _address_to_return_to(request: Request) -> str:
    """Return the page's address with its query, which a form that was refused does not have."""
    is_read = request.method in {"GET", "HEAD"}
    return f"{request.url.path}?{request.url.query}" if is_read and request.url.query else request.url.path


def message_page(visit: OpenVisit, status: int, title: str, message: str, retry_after: str | None = None) -> Response:
    """Answer with a page that says one thing, in the catalogues' words; ``retry_after`` in seconds."""
    return desk_page(
        visit,
        "desk/error.html",
        status=status,
        title=visit.gettext(title),
        message=visit.gettext(message),
        retry_after=retry_after,
        request_number=request_ids.current.get() if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )


def error_page(request: Request, status: int, title: str, message: str, retry_after: str | None) -> Response:
    """Answer an error at one of the desk's addresses, whether or not the guard has passed the request."""
    visit: OpenVisit | None = getattr(request.state, "visit", None)
    return message_page(visit or open_visit(request), status, title, message, retry_after)


def download_headers(file_name: str) -> dict[str, str]:
    """Return the headers of a file to save under an ASCII name; never cached."""
    return {"cache-control": "no-store", "content-disposition": f'attachment; filename="{file_name}"'}
