"""Setting a second factor up, and showing it."""

import segno
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core import quotas
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.organizers import factor_queries, second_factor, sessions
from petition.organizers.passkeys import NOT_TAKEN
from petition.web import http
from petition.web.desk import page, session_cookie
from petition.web.desk.forms import SECOND, SECURITY, may_change
from petition.web.desk.visit import ROOT, DeskVisit

HOUR = 3600

TOO_MANY_CODES = N_("Too many codes have been tried in the last hour. Try again later.")


async def show(request: Request, who: DeskVisit) -> Response:
    """Ask for the second factor, or offer to set one up."""
    if who.session.proved_at and who.session.has_factor and "again" not in request.query_params:
        return http.redirect(SECURITY)
    return await _page(request, who)


async def prove(request: Request, who: DeskVisit) -> Response:
    """Take a code from the app, or a recovery code."""
    form = await http.form_of(request)
    services = http.services_of(request)
    if not await _may_try(request, who):
        response = await _page(request, who, TOO_MANY_CODES, 429)
        response.headers["retry-after"] = str(HOUR)
        return response
    try:
        async with services.database.transaction() as conn:
            await second_factor.prove(conn, services.wrapper, services.desk_key, who.organizer.id, form.get("code", ""))
            cookie = await sessions.renew(conn, who.organizer.id, who.session.id)
    except Refused as refused:
        return await _page(request, who, refused.message, 422)
    return _with_cookie(request, http.redirect(ROOT), cookie)


async def prove_by_passkey(request: Request, who: DeskVisit) -> Response:
    """Take a passkey's answer to the session's challenge."""
    form = await http.form_of(request)
    services = http.services_of(request)
    challenge = await _challenge(request, who)
    try:
        async with services.database.transaction() as conn:
            await services.passkeys.prove(conn, who.organizer.id, challenge, form.get("credential", ""))
            cookie = await sessions.renew(conn, who.organizer.id, who.session.id)
    except Refused as refused:
        return await _page(request, who, refused.message, 422)
    return _with_cookie(request, http.redirect(ROOT), cookie)


async def challenge(request: Request, who: DeskVisit) -> Response:
    """Give the script what the browser needs to make or to show a passkey."""
    form = await http.form_of(request)
    services = http.services_of(request)
    passkeys = services.passkeys
    async with services.database.transaction() as conn:
        if form.get("for") == "new":
            _check_may_change(who)
            title = http.language_of(request).gettext("Open letters")
            options = await passkeys.ask_for_new(conn, who.organizer, who.session.id, title)
        else:
            options = await passkeys.ask_for_proof(conn, who.organizer, who.session.id)
    return Response(options, headers={"cache-control": "no-store"}, media_type="application/json")


async def begin_totp(request: Request, who: DeskVisit) -> Response:
    """Make a secret for the app."""
    if not may_change(who):
        return http.redirect(f"{SECOND}?again=1")
    services = http.services_of(request)
    async with services.database.transaction() as conn:
        await second_factor.begin_totp(conn, services.wrapper, who.session.id)
    return http.redirect(f"{SECOND}/totp")


async def show_totp(request: Request, who: DeskVisit) -> Response:
    """Show the secret that is being set up, and ask for the first code."""
    return await _totp_page(request, who)


async def finish_totp(request: Request, who: DeskVisit) -> Response:
    """Take the first code: the app's codes are a second factor from now on."""
    if not may_change(who):
        return http.redirect(f"{SECOND}?again=1")
    form = await http.form_of(request)
    services = http.services_of(request)
    if not await _may_try(request, who):
        return await _totp_page(request, who, TOO_MANY_CODES, 429)
    try:
        async with services.database.transaction() as conn:
            given = who.organizer.id, who.session.id, form.get("code", "")
            await second_factor.finish_totp(conn, services.wrapper, *given)
            codes, cookie = await _settled(request, conn, who)
    except Refused as refused:
        return await _totp_page(request, who, refused.message, 422)
    return _with_cookie(request, _added(request, who, codes), cookie)


async def add_passkey(request: Request, who: DeskVisit) -> Response:
    """Keep the passkey that the browser has made: it is a second factor from now on."""
    _check_may_change(who)
    form = await http.form_of(request)
    services = http.services_of(request)
    challenge = await _challenge(request, who)
    browser = sessions.browser_of(request.headers.get("user-agent", ""))
    try:
        async with services.database.transaction() as conn:
            answer = form.get("credential", "")
            await services.passkeys.add(conn, who.organizer.id, challenge, answer, browser)
            codes, cookie = await _settled(request, conn, who)
    except Refused as refused:
        return await _page(request, who, refused.message, 422)
    return _with_cookie(request, _added(request, who, codes), cookie)


def _check_may_change(who: DeskVisit) -> None:
    if not may_change(who):
        raise HTTPException(401)


async def _settled(request: Request, conn: Connection, who: DeskVisit) -> tuple[list[str], str]:
    """After a factor was added: return the first recovery codes and the session's new cookie.

    With the first factor every other session ends: whoever began one has not shown any. Raises a 401, so that the
    factor is not added either, if this session is one of those.
    """
    if not who.session.has_factor:
        await sessions.end_others(conn, who.organizer.id, who.session.id)
    cookie = await sessions.renew(conn, who.organizer.id, who.session.id)
    if cookie is None:
        raise HTTPException(401)
    return await second_factor.first_codes(conn, http.services_of(request).desk_key, who.organizer.id), cookie


def _added(request: Request, who: DeskVisit, codes: list[str]) -> Response:
    return page.desk_page(request, who, "desk/codes.html", codes=codes) if codes else http.redirect(SECURITY)


async def _may_try(request: Request, who: DeskVisit) -> bool:
    """Count a try, committed before anything is compared; tell whether there have not been too many."""
    services = http.services_of(request)
    use = (await services.day_keys.today()).hourly("proof", str(who.organizer.id))
    async with services.database.transaction() as conn:
        now = await quotas.spend(conn, {use: 1})
    return now[use.key] <= services.settings.limits.proof


async def _challenge(request: Request, who: DeskVisit) -> bytes | None:
    """Use the session's challenge up, committed before the answer to it is looked at."""
    async with http.services_of(request).database.transaction() as conn:
        return await factor_queries.take_challenge(conn, who.session.id)


def _with_cookie(request: Request, response: Response, cookie: str | None) -> Response:
    if cookie is None:  # ended meanwhile, in another browser
        raise HTTPException(401)
    session_cookie.set_cookie(response, http.services_of(request).settings, cookie)
    return response


async def _page(request: Request, who: DeskVisit, problem: str = "", status: int = 200) -> Response:
    async with http.services_of(request).database.connection() as conn:
        passkeys = await factor_queries.passkeys(conn, who.organizer.id)
        codes = await factor_queries.codes(conn, who.organizer.id)
        totp = await factor_queries.totp(conn, who.organizer.id)
    told = http.language_of(request).gettext(problem)
    context = {
        "has_passkeys": bool(passkeys),
        "has_codes": bool(totp or codes),
        "has_app": bool(totp),
        "problem": told,
        "about_code": problem != NOT_TAKEN,
    }
    name = "desk/prove.html" if who.session.has_factor else "desk/second.html"
    return page.desk_page(request, who, name, status, **context)


async def _totp_page(request: Request, who: DeskVisit, problem: str = "", status: int = 200) -> Response:
    services = http.services_of(request)
    async with services.database.connection() as conn:
        secret = await second_factor.secret_begun(conn, services.wrapper, who.session.id)
    if secret is None:
        return http.redirect(SECURITY if who.session.has_factor else SECOND)
    host = services.settings.base_url.split("//")[1]
    language = http.language_of(request)
    code = segno.make(second_factor.address_for_app(secret, who.organizer.called, host), error="m", micro=False)
    drawn = code.svg_inline(
        omitsize=True, light="#fff", border=3, svgclass="qr", lineclass=None, title=language.gettext(N_("QR code"))
    )
    spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    told = language.gettext(problem)
    return page.desk_page(
        request,
        who,
        "desk/totp.html",
        status,
        qr=Markup(drawn),  # noqa: S704 - drawn here, from nothing but digits and letters of ours
        secret=spaced,
        problem=told,
    )
