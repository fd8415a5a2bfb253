"""The desk's door: who may come to a page, and the page they are answered with.

Every route of the desk says in ``desk_routes.DESK`` what it needs; the guard looks at the cookie, the session, the
second factor, the letter and the role before the view is called, and hands all of it over as a ``Desk``.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Gone, NotFound, Unavailable
from petition.core.i18n import N_
from petition.organizers import queries, sessions
from petition.organizers.model import Organizer, Role, Session
from petition.web import http
from petition.web.desk.page import desk_page
from petition.web.desk.session_cookie import cookie_name, set_cookie
from petition.web.desk.visit import ROOT, Access, DeskVisit

SAFE = {"GET", "HEAD"}


View = Callable[[Request, DeskVisit], Awaitable[Response]]
OpenView = Callable[[Request], Awaitable[Response]]


def require(view: View | OpenView, need: Access) -> OpenView:
    """Return ``view`` behind the door: called only for those who have what ``need`` says.

    A view for strangers is called with the request alone.
    """

    async def endpoint(request: Request) -> Response:
        if request.method not in SAFE:
            check_origin(request)
        request.state.lang = _lang_of_stranger(request)
        if need is Access.STRANGER:
            return await cast("OpenView", view)(request)
        desk = await _admit(request, need)
        response = desk if isinstance(desk, Response) else await cast("View", view)(request, desk)
        await _follow_rights(request, response)
        return response

    return endpoint


async def _follow_rights(request: Request, response: Response) -> None:
    """Send a new cookie along if the rights of whoever stands here have been changed, by others or by this request.

    Done with the answer, so that a request that fails leaves the browser with a cookie that works.
    """
    session, services = getattr(request.state, "session", None), http.services_of(request)
    if session is None or not (session.renew or request.method not in SAFE):
        return
    # A script's answer may be thrown away with its page, and the one copy of the new cookie with it.
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return
    with contextlib.suppress(Unavailable):  # the act is done, and the next request looks again
        async with services.database.connection() as conn:
            token = request.cookies[cookie_name(services.settings)]
            renewed = await sessions.follow_rights(conn, session.id, token)
        if renewed is not None:
            set_cookie(response, services.settings, renewed)


def check_origin(request: Request) -> None:
    """Refuse an unsafe request unless the browser says that a page of ours sent it. Raises a 403."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    scheme = http.services_of(request).settings.base_url.partition("//")[0]
    # Proxies may name the usual port in Host; browsers never do in Origin.
    host = request.headers.get("host", "").lower().removesuffix({"https:": ":443"}.get(scheme, ":80"))
    ours = f"{scheme}//{host}"
    onion = http.services_of(request).settings.onion_url
    if site is None and origin is None:
        raise HTTPException(403)
    if site is not None and site != "same-origin":
        raise HTTPException(403)
    if origin is not None and origin not in {ours, onion}:
        raise HTTPException(403)


async def _admit(request: Request, need: Access) -> DeskVisit | Response:
    known = await session_of(request)
    if known is None:
        return _send_to(request, "enter")
    organizer, session = known
    request.state.session = session
    lang = organizer.lang if organizer.lang in http.services_of(request).renderer.languages else request.state.lang
    request.state.lang = lang
    desk = DeskVisit(organizer, session, lang)
    if need is Access.SIGNED_IN:
        return _remember_visit(request, desk)
    if session.proved_at is None or not session.has_factor:
        return _send_to(request, "second")
    if need is Access.ADMIN and not organizer.admin:
        return _not_yours(request, _remember_visit(request, desk))
    if need.role is not None:
        return await _require_role(request, desk, need.role)
    return _remember_visit(request, desk)


async def _require_role(request: Request, desk: DeskVisit, needed: Role) -> DeskVisit | Response:
    async with http.services_of(request).database.connection() as conn:
        found = await queries.letter(conn, request.path_params["slug"], desk.organizer.id)
    if found is not None and found[0].state == "gone":
        raise Gone("the letter was taken down")
    if found is None or found[1] is None:  # who is no member may not know that there is one
        raise NotFound("there is no such letter")
    desk = _remember_visit(request, DeskVisit(desk.organizer, desk.session, desk.lang, *found))
    return desk if desk.may(needed) else _not_yours(request, desk)


def _remember_visit(request: Request, desk: DeskVisit) -> DeskVisit:
    """Let error pages know who stands here."""
    request.state.desk = desk
    return desk


def _send_to(request: Request, where: str) -> Response:
    """Lead to the page that opens this one; what was sent is not taken."""
    if request.method in SAFE:
        return http.redirect(ROOT + where)
    raise HTTPException(401)


NOT_YOURS = N_("Your role does not allow this")
NOT_YOURS_WHY = N_("An owner of the letter can change your role.")


def _not_yours(request: Request, desk: DeskVisit) -> Response:
    language = http.language_of(request)
    title, message = language.gettext(NOT_YOURS), language.gettext(NOT_YOURS_WHY)
    return desk_page(request, desk, "desk/error.html", 403, title=title, message=message, retry_after=None)


async def session_of(request: Request) -> tuple[Organizer, Session] | None:
    """Return whose cookie came with this request."""
    services = http.services_of(request)
    token = request.cookies.get(cookie_name(services.settings))
    if not token or len(token) > 100:
        return None
    async with services.database.connection() as conn:
        return await queries.session(conn, sessions.digest_of(token))


def _lang_of_stranger(request: Request) -> str:
    languages = http.services_of(request).renderer.languages
    asked = request.query_params.get("lang", "")
    return asked if asked in languages else languages.best(request.headers.get("accept-language", ""))
