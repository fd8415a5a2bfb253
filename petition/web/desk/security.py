"""One's own page: the name, the second factors, and where one has entered."""

from starlette.requests import Request
from starlette.responses import Response

from petition.core import audit_log
from petition.core.errors import Refused
from petition.organizers import factor_queries, queries, second_factor, sessions
from petition.organizers.model import checked_name
from petition.web import http
from petition.web.desk import page, session_cookie, visit
from petition.web.desk.forms import SECOND, SECURITY, may_change
from petition.web.desk.visit import DeskVisit


async def show(request: Request, who: DeskVisit) -> Response:
    """Show all of it."""
    return await _page(request, who)


async def name(request: Request, who: DeskVisit) -> Response:
    """Change the name that colleagues see."""
    form = await http.form_of(request)
    try:
        called = checked_name(form.get("name", ""))
    except Refused as refused:
        return await _page(request, who, refused, typed=form.get("name", ""))
    async with http.services_of(request).database.transaction() as conn:
        await queries.set_name(conn, who.organizer.id, called)
        await audit_log.record(conn, who.organizer.id, None, "organizer.name", ids=[who.organizer.id])
    return http.redirect(f"{SECURITY}?done=name")


async def remove(request: Request, who: DeskVisit) -> Response:
    """Remove a second factor."""
    if not may_change(who):
        return http.redirect(f"{SECOND}?again=1")
    form = await http.form_of(request)
    passkey = _bytes(form.get("passkey", ""))
    if passkey is None and form.get("totp") != "yes":
        return http.redirect(SECURITY)
    try:
        async with http.services_of(request).database.transaction() as conn:
            await second_factor.remove(conn, who.organizer.id, passkey)
    except Refused as refused:
        return await _page(request, who, refused)
    return http.redirect(f"{SECURITY}?done=removed")


async def codes(request: Request, who: DeskVisit) -> Response:
    """Replace the recovery codes, and show the new ones this once."""
    if not may_change(who):
        return http.redirect(f"{SECOND}?again=1")
    services = http.services_of(request)
    async with services.database.transaction() as conn:
        await factor_queries.lock(conn, who.organizer.id)
        new = await second_factor.new_codes(conn, services.desk_key, who.organizer.id)
    return page.desk_page(request, who, "desk/codes.html", codes=new)


async def end(request: Request, who: DeskVisit) -> Response:
    """End one session, or all but this."""
    form = await http.form_of(request)
    given = form.get("session", "")
    services = http.services_of(request)
    async with services.database.transaction() as conn:
        if given == "others":
            await sessions.end_others(conn, who.organizer.id, who.session.id)
        elif given.isdecimal() and int(given) < 2**63:
            await sessions.end(conn, who.organizer.id, int(given))
    if given == str(who.session.id):
        response = http.redirect(f"{visit.ROOT}enter?lang={who.lang}")
        session_cookie.drop_cookie(response, services.settings)
        return response
    return http.redirect(f"{SECURITY}?done=ended")


def _bytes(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


async def _page(request: Request, who: DeskVisit, refused: Refused | None = None, typed: str | None = None) -> Response:
    async with http.services_of(request).database.connection() as conn:
        totp = await factor_queries.totp(conn, who.organizer.id)
        passkeys = await factor_queries.passkeys(conn, who.organizer.id)
        left = await factor_queries.codes(conn, who.organizer.id)
        entered = await queries.sessions(conn, who.organizer.id)
    language = http.language_of(request)
    return page.desk_page(
        request,
        who,
        "desk/security.html",
        422 if refused else 200,
        totp=totp,
        passkeys=passkeys,
        left=left,
        sessions=entered,
        may_change=may_change(who),
        only_one=bool(totp) + len(passkeys) == 1,
        typed=who.organizer.name if typed is None else typed,
        problem=language.gettext(refused.message) if refused else "",
        field=refused.field if refused else "",
        done=request.query_params.get("done"),
    )
