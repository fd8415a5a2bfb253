"""Setting up a second factor, and proving it."""

import segno
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.database import Connection
from petition.core.i18n import N_
from petition.organizers import (
    factor_queries,
    factor_reset_queries,
    recovery_codes,
    remembered_devices,
    second_factor,
    sessions,
)
from petition.organizers.passkeys import NOT_TAKEN
from petition.web import http
from petition.web.desk import door_cookies, session_cookie, step_up
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, SECOND, SECURITY, DeskVisit


async def show(visit: DeskVisit) -> Response:
    """Ask for the second factor, or offer to set one up."""
    if visit.session.proved_at and visit.session.has_factor and "again" not in visit.query:
        return http.redirect(SECURITY)
    return await _page(visit)


async def _page(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        passkeys = await factor_queries.passkeys(conn, visit.organizer.id)
        codes = await factor_queries.codes(conn, visit.organizer.id)
        totp = await factor_queries.totp(conn, visit.organizer.id)
        reset = await factor_reset_queries.pending_of(conn, visit.organizer.id)
    return desk_page(
        visit,
        "desk/prove.html" if visit.session.has_factor else "desk/second.html",
        errors=errors,
        has_passkeys=bool(passkeys),
        has_codes=bool(totp or codes),
        has_app=bool(totp),
        about_code=NOT_TAKEN not in errors.values(),
        reset=reset,
        back=step_up.local_address(visit.query.get("back", "") or form.get("back", "")),
    )


@form_view(_page)
async def prove(visit: DeskVisit, form: Form) -> Response:
    """Accept a code from the app, or a recovery code."""
    cookie = await step_up.check_code(visit, form.get("code", ""))
    return await _with_cookies(visit, http.redirect(await _next_page(visit, form)), cookie)


@form_view(_page)
async def prove_by_passkey(visit: DeskVisit, form: Form) -> Response:
    """Accept a passkey's response to the session's challenge."""
    cookie = await step_up.check_passkey(visit, form.get("credential", ""))
    return await _with_cookies(visit, http.redirect(await _next_page(visit, form)), cookie)


async def _next_page(visit: DeskVisit, form: Form) -> str:
    """Return where an organizer goes on: where they came from, or where a reset of this factor can be stopped."""
    if back := step_up.local_address(form.get("back", "")):
        return back
    async with visit.database.connection() as conn:
        return SECURITY if await factor_reset_queries.pending_of(conn, visit.organizer.id) else ROOT


async def challenge(visit: DeskVisit) -> Response:
    """Answer the script with the options with which the browser makes or uses a passkey."""
    form, passkeys = await visit.form(), visit.services.passkeys
    async with visit.database.transaction() as conn:
        if form.get("for") == "new":
            title = visit.gettext("Open letters")
            options = await passkeys.ask_for_new(conn, visit.organizer, visit.session.id, title)
        else:
            options = await passkeys.ask_for_proof(conn, visit.organizer, visit.session.id)
    return Response(options, headers={"cache-control": "no-store"}, media_type="application/json")


@form_view(_page)
async def add_passkey(visit: DeskVisit, form: Form) -> Response:
    """Store the passkey that the browser has made: it is a second factor from now on."""
    challenge = await step_up.take_challenge(visit)
    browser = sessions.browser_of(visit.request.headers.get("user-agent", ""))
    async with step_up.counted(visit), visit.database.transaction() as conn:
        credential = form.get("credential", "")
        await visit.services.passkeys.add(conn, visit.organizer.id, challenge, credential, browser)
        codes, cookie = await _finish_adding(conn, visit)
    return await _added(visit, codes, cookie)


async def begin_totp(visit: DeskVisit) -> Response:
    """Make a secret for the app."""
    async with visit.database.transaction() as conn:
        await second_factor.begin_totp(conn, visit.services.wrapper, visit.session.id)
    return http.redirect(f"{SECOND}/totp")


async def show_totp(visit: DeskVisit, _form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show the secret that is being set up, and ask for the first code."""
    services = visit.services
    async with visit.database.connection() as conn:
        secret = await second_factor.secret_begun(conn, services.wrapper, visit.session.id)
    if secret is None:
        return http.redirect(SECURITY if visit.session.has_factor else SECOND)
    host = services.settings.base_url.split("//")[1]
    uri = second_factor.address_for_app(secret, visit.organizer.called, host)
    svg = segno.make(uri, error="m", micro=False).svg_inline(
        omitsize=True, light="#fff", border=3, svgclass="qr", lineclass=None, title=visit.gettext(N_("QR code"))
    )
    return desk_page(
        visit,
        "desk/totp.html",
        errors=errors,
        qr=Markup(svg),  # noqa: S704 - made here, from nothing but digits and letters of ours
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
    )


@form_view(show_totp)
async def finish_totp(visit: DeskVisit, form: Form) -> Response:
    """Accept the first code: the app's codes are a second factor from now on."""
    await step_up.count_attempt(visit)
    async with step_up.counted(visit), visit.database.transaction() as conn:
        code, wrapper = form.get("code", ""), visit.services.wrapper
        await second_factor.finish_totp(conn, wrapper, visit.organizer.id, visit.session.id, code)
        codes, cookie = await _finish_adding(conn, visit)
    return await _added(visit, codes, cookie)


async def _finish_adding(conn: Connection, visit: DeskVisit) -> tuple[list[str], str]:
    """After a factor was added: return the first recovery codes and the session's new cookie.

    The first factor ends every other session, since none of them has proved one. Raises a 401, so that the factor is
    not added either, if this session is one of those.
    """
    if not visit.session.has_factor:
        await sessions.end_others(conn, visit.organizer.id, visit.session.id)
    cookie = await sessions.renew(conn, visit.organizer.id, visit.session.id)
    if cookie is None:
        raise HTTPException(401)
    return await recovery_codes.make_first(conn, visit.services.desk_key, visit.organizer.id), cookie


async def _added(visit: DeskVisit, codes: list[str], cookie: str) -> Response:
    response = desk_page(visit, "desk/codes.html", codes=codes) if codes else http.redirect(SECURITY)
    return await _with_cookies(visit, response, cookie)


async def _with_cookies(visit: DeskVisit, response: Response, cookie: str | None) -> Response:
    """Add the session's new cookie, and that of a device in which an organizer has now signed in with both factors."""
    if cookie is None:  # the session was ended meanwhile, in another browser
        raise HTTPException(401)
    session_cookie.set_cookie(response, visit.services.settings, cookie)
    async with visit.database.transaction() as conn:
        device = await remembered_devices.remember(conn, visit.organizer.id, visit.session.id)
    if device is not None:
        door_cookies.set_device(response, visit.services.settings, device)
    return response
