"""The desk's access checks: which visitors reach a view, and what the others are answered.

Every route of the desk names the access it requires in ``routes.DESK``. Before the view is called, the guard checks the
origin, the cookie, the session, the second factor, the letter and the role, whether the factor was proved a short time
ago where ``routes.DESK`` says ``fresh``, and builds the view's ``DeskVisit``.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from petition.core.access_journal import JournalKind
from petition.core.errors import Gone, NotFound, Unavailable
from petition.core.i18n import N_
from petition.core.reading import Freshness
from petition.organizers import overview_queries, queries, sessions
from petition.organizers.model import Organizer, Role, Session
from petition.web import http
from petition.web.desk import access_page, step_up
from petition.web.desk.names_read import FactorRequired, NamesHidden
from petition.web.desk.page import desk_page, message_page
from petition.web.desk.session_cookie import cookie_name, position_of, set_cookie, set_position
from petition.web.desk.step_up import FreshRule
from petition.web.desk.visit import ROOT, Access, DeskVisit, OpenView, OpenVisit, View, open_visit

SAFE_METHODS = {"GET", "HEAD"}
MAX_COOKIE = 100  # characters
MAX_SENT_AGAIN = 200_000  # bytes of a form that waits on the page for a new session
NEVER_SENT_AGAIN = tuple(f"{ROOT}{name}" for name in ("second", "enter", "leave", "language"))

FORBIDDEN = N_("Your role does not allow this")
FORBIDDEN_WHY = N_("An owner of the letter can change your role.")
FORMER = N_("You no longer work on this letter")
FORMER_WHY = N_("An owner of the letter has ended your membership. An owner can invite you again.")
NAMES_HIDDEN = N_("All names are hidden")
NAMES_HIDDEN_WHY = N_("An owner has hidden them. Until an owner shows them again, only owners see names here.")


def require(
    view: View | OpenView, access: Access, fresh: FreshRule | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that calls ``view`` only for visitors who have ``access``.

    Forms that ``fresh`` is true for, and every reading of such a route, need a second factor proved a short time ago.
    The view of a route for strangers gets an ``OpenVisit``, every other one a ``DeskVisit``.
    """

    async def endpoint(request: Request) -> Response:
        if request.method in SAFE_METHODS:
            return await respond(request)
        try:
            return await respond(request)
        except Unavailable:
            # For the page that sends it again: maybe the view could not read it, since the session is looked up first.
            with contextlib.suppress(HTTPException, ClientDisconnect):
                await http.body_of(request, MAX_SENT_AGAIN)
            raise
        finally:
            await http.discard_body(request)

    async def respond(request: Request) -> Response:
        if request.method not in SAFE_METHODS:
            await _check_origin(request)
        request.state.lang = _lang_of_stranger(request)
        stranger = open_visit(request)
        if access is Access.STRANGER:
            return await cast("OpenView", view)(stranger)
        if (known := await find_session(stranger)) is None:
            return await _send_to(request, "enter")
        visit = _sign_in(stranger, *known)
        admitted = await _admit(visit, access)
        if fresh is not None and not isinstance(admitted, Response):
            admitted = await step_up.require(admitted, fresh)
        response = admitted if isinstance(admitted, Response) else await _view(view, admitted)
        await _rotate_cookie(visit, response)
        await _note_act(visit, response)
        return response

    return endpoint


async def _view(view: View, visit: DeskVisit) -> Response:
    try:
        return await view(visit)
    except NamesHidden:
        return message_page(visit, 403, NAMES_HIDDEN, NAMES_HIDDEN_WHY)
    except FactorRequired:  # of a form only the page is asked for again: it was refused, and has changed nothing
        is_page = visit.request.method in SAFE_METHODS
        return step_up.ask_first(step_up.page_of(visit.request) if is_page else visit.letter_path("queue"))


async def _check_origin(request: Request) -> None:
    """Raise a 403 as ``check_origin`` does; with an organizer's cookie it is counted in the journal of access."""
    try:
        check_origin(request)
    except HTTPException:
        request.state.lang = _lang_of_stranger(request)
        stranger = open_visit(request)
        with contextlib.suppress(Unavailable):
            if (known := await find_session(stranger)) is not None:
                await access_page.note(_sign_in(stranger, *known), JournalKind.OTHER_SITE)
        raise


def check_origin(request: Request) -> None:
    """Refuse an unsafe request unless the browser says that a page of ours sent it. Raises a 403."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    settings = http.services_of(request).settings
    scheme = settings.base_url.partition("//")[0]
    # Proxies may name the usual port in Host; browsers never do in Origin.
    host = request.headers.get("host", "").lower().removesuffix({"https:": ":443"}.get(scheme, ":80"))
    if site is None and origin is None:
        raise HTTPException(403)
    if site is not None and site != "same-origin":
        raise HTTPException(403)
    if origin is not None and origin not in {f"{scheme}//{host}", settings.onion_url}:
        raise HTTPException(403)


async def find_session(visit: OpenVisit) -> tuple[Organizer, Session] | None:
    """Return the organizer and the session of the request's cookie."""
    token = visit.request.cookies.get(cookie_name(visit.services.settings))
    if not token or len(token) > MAX_COOKIE:
        return None
    async with visit.database.connection() as conn:
        return await queries.session(conn, sessions.digest_of(token))


def _sign_in(stranger: OpenVisit, organizer: Organizer, session: Session) -> DeskVisit:
    languages = stranger.services.renderer.languages
    language = languages.get(organizer.lang, stranger.language)
    stranger.request.state.lang = language.code
    _ask_for_own_acts(stranger)
    return DeskVisit(stranger.request, stranger.services, language, organizer, session)


async def _admit(visit: DeskVisit, access: Access) -> DeskVisit | Response:
    if access is Access.SIGNED_IN:
        return _remember_visit(visit)
    if visit.session.proved_at is None or not visit.session.has_factor:
        return await _send_to(visit.request, "second")
    if access.roles:
        return await _require_role(visit, access.roles)
    _remember_visit(visit)
    return visit if access is not Access.ADMIN or visit.organizer.admin else await _forbidden(visit)


async def _require_role(visit: DeskVisit, roles: Sequence[Role]) -> DeskVisit | Response:
    async with visit.database.connection() as conn:
        row = await queries.letter(conn, visit.request.path_params["slug"], visit.organizer.id)
        menu = await overview_queries.menu(conn, visit.organizer.id) if row and row[1] else ()
        is_former = row is not None and row[1] is None and await queries.was_member(conn, row[0].id, visit.organizer.id)
    if row is not None and row[0].state == "gone":
        raise Gone("the letter was taken down")
    if is_former and row is not None:
        await access_page.note(replace(visit, letter_or_none=row[0]), JournalKind.NO_ROLE)
        return message_page(visit, 403, FORMER, FORMER_WHY)
    if row is None or row[1] is None:  # only members, present and former, may learn that the letter exists
        await access_page.note(visit, JournalKind.NO_LETTER)
        raise NotFound("there is no such letter")
    visit = _remember_visit(replace(visit, letter_or_none=row[0], role=row[1], menu=menu))
    if any(map(visit.may, roles)):
        return visit
    # The link to a letter leads to its first page, which an auditor has no part of.
    if visit.role is Role.AUDITOR and visit.request.url.path == visit.letter_path(""):
        return http.redirect(visit.letter_path("audits"))
    return await _forbidden(visit)


def _remember_visit(visit: DeskVisit) -> DeskVisit:
    """Store the visit for the page of an error that is raised later in this request."""
    visit.request.state.visit = visit
    return visit


async def _rotate_cookie(visit: DeskVisit, response: Response) -> None:
    """Rotate the session cookie if the organizer's rights have changed, in this request or before it.

    Done with the response, so that a request that fails leaves the browser with a cookie that works.
    """
    request, settings = visit.request, visit.services.settings
    if not visit.session.renew and request.method in SAFE_METHODS:
        return
    # A script's response may be discarded with its page, and the only copy of the new cookie with it.
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return
    with contextlib.suppress(Unavailable):  # the act is committed; the next request rotates the cookie
        async with visit.database.connection() as conn:
            token = request.cookies[cookie_name(settings)]
            renewed = await sessions.follow_rights(conn, visit.session.id, token)
        if renewed is not None:
            set_cookie(response, settings, renewed)


def _ask_for_own_acts(visit: OpenVisit) -> None:
    """Have this request read what the browser has done before, and a form what is stored now."""
    settings, is_form = visit.services.settings, visit.request.method not in SAFE_METHODS
    position = position_of(visit.request, settings) if visit.services.reading.replicas else 0
    visit.request.scope["state"]["freshness"] = Freshness(position, is_newest=is_form)


async def _note_act(visit: DeskVisit, response: Response) -> None:
    """Have the browser's next pages contain what a form has changed."""
    if visit.request.method not in SAFE_METHODS and visit.services.reading.replicas:
        set_position(response, visit.services.settings, await visit.services.reading.position())


async def _send_to(request: Request, page: str) -> Response:
    """Redirect to a page of signing in; a form is answered by one that can send it again. Raises a 401."""
    if request.method in SAFE_METHODS:
        return http.redirect(ROOT + page)
    if not (fields := await _fields_to_send_again(request)):
        raise HTTPException(401)
    visit = open_visit(request)
    return desk_page(visit, "desk/signed_out.html", status=401, fields=fields, enter=f"{ROOT}{page}")


async def _fields_to_send_again(request: Request) -> dict[str, str]:
    """Return the fields of a form that a person wrote; none of a script's, of one with files, or of signing in."""
    is_script = "application/json" in request.headers.get("accept", "")
    if is_script or request.url.path.startswith(NEVER_SENT_AGAIN):
        return {}
    try:
        return await http.form_of(request, MAX_SENT_AGAIN)
    except HTTPException:
        return {}


async def _forbidden(visit: DeskVisit) -> Response:
    await access_page.note(visit, JournalKind.NO_ROLE)
    return message_page(visit, 403, FORBIDDEN, FORBIDDEN_WHY)


def _lang_of_stranger(request: Request) -> str:
    languages = http.services_of(request).renderer.languages
    lang = request.query_params.get("lang", "")
    return lang if lang in languages else languages.best(request.headers.get("accept-language", ""))
