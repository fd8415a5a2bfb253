"""Signing in and out: the form for a link, the link, the first page, the language, leaving."""

from dataclasses import replace

from starlette.responses import Response

from petition.core import email_addresses
from petition.core.access_journal import JournalKind
from petition.core.database import Record
from petition.core.email_addresses import BadAddress
from petition.core.errors import BadToken
from petition.core.i18n import N_
from petition.organizers import (
    invitations,
    overview_queries,
    queries,
    remembered_devices,
    sessions,
    short_codes,
    sign_in_asks,
)
from petition.web import http
from petition.web.desk import access_page, door, door_cookies, session_cookie, step_up
from petition.web.desk.guard import find_session
from petition.web.desk.page import desk_page, message_page
from petition.web.desk.visit import ROOT, DeskVisit, OpenVisit

MAX_TOKEN = 100

USED = N_("This link no longer works")
USED_WHY = N_("A link works once, for 10 minutes. Ask for a new one.")
DEAD_WHY = N_("Five wrong codes were entered. Ask for a new link.")
WRONG_CODE = N_("This is not the code. Look at the page where you asked for the link.")


async def home(visit: DeskVisit) -> Response:
    """Show the organizer's letters."""
    async with visit.database.connection() as conn:
        rows = await queries.letters(conn, visit.organizer.id)
        waiting = {letter.slug: letter.waiting for letter in await overview_queries.menu(conn, visit.organizer.id)}
    letters = [(queries.letter_in(row), row) for row in rows]
    return desk_page(visit, "desk/home.html", letters=letters, waiting=waiting, done=visit.query.get("done"))


async def ask(visit: OpenVisit) -> Response:
    """Ask for the address to mail a link to; redirect an organizer who is signed in."""
    if await find_session(visit):
        return http.redirect(ROOT)
    code = await _code_to_show(visit) if "sent" in visit.query else None
    return desk_page(visit, "desk/enter.html", sent="sent" in visit.query, code=code, email="")


async def _code_to_show(visit: OpenVisit) -> str | None:
    """Return the code that this browser displays, by its cookie alone: no row is looked up."""
    services = visit.services
    token = door_cookies.asked(visit.request, services.settings)
    if token is None:
        return None
    async with visit.database.connection() as conn:
        return short_codes.grouped(await services.desk_key.short_code(conn, token))


async def send(visit: OpenVisit) -> Response:
    """Enqueue a mail with a link. The response and the statements are the same for every address."""
    form = await visit.form()
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
        token = await door.ask(visit, form, mailbox)
    except BadAddress as error:
        email = form.get("email", "")
        return desk_page(visit, "desk/enter.html", errors={"email": error.message}, sent=False, email=email)
    except door.ChallengeRequired:
        await access_page.note(visit, JournalKind.OVER_LIMIT)
        return door.challenge_page(visit, form)
    response = http.redirect(f"{ROOT}enter?sent=1&lang={visit.lang}")
    door_cookies.set_asked(response, visit.services.settings, token)
    return response


async def show_link(visit: OpenVisit) -> Response:
    """Show the button. Mail scanners open links, so this changes nothing."""
    digest = sessions.digest_of(_token(visit))
    async with visit.database.connection() as conn:
        link = await queries.load_sign_in_link(conn, digest)
    return await _used(visit) if link is None else await _link_page(visit, digest, link)


async def _link_page(visit: OpenVisit, digest: bytes, link: Record, problem: str | None = None) -> Response:
    if "lang" not in visit.query:
        language = visit.services.renderer.languages.get(link["organizer_lang"] or link["lang"] or "", visit.language)
        visit = replace(visit, language=language)
    return desk_page(
        visit,
        "desk/link.html",
        errors={"code": problem} if problem else {},
        invitation=link if link["invitation"] else None,
        needs_code=link["bound"] and not await _is_asking_browser(visit, digest),
    )


async def _is_asking_browser(visit: OpenVisit, digest: bytes) -> bool:
    token = door_cookies.asked(visit.request, visit.services.settings)
    if token is None:
        return False
    async with visit.database.connection() as conn:
        return await sign_in_asks.is_bound(conn, token, digest)


async def enter(visit: OpenVisit) -> Response:
    """Use the link up and begin a session, whose rights depend on the second factor.

    A mailed link needs the browser that asked for it, or the code that this browser displays.
    """
    digest, form = sessions.digest_of(_token(visit)), await visit.form()
    async with visit.database.connection() as conn:
        link = await queries.load_sign_in_link(conn, digest)
    if link is None:
        return await _used(visit)
    if link["bound"] and not await _is_asking_browser(visit, digest):
        refusal = await _check_code(visit, digest, link, form.get("code", ""))
        if refusal is not None:
            return refusal
    return await _begin_session(visit, digest)


async def _check_code(visit: OpenVisit, digest: bytes, link: Record, typed: str) -> Response | None:
    """Return None if the code is right, or what to answer. A try is committed before anything is compared."""
    if not short_codes.plain(typed):
        await access_page.note(visit, JournalKind.WRONG_CODE)
        return await _link_page(visit, digest, link, WRONG_CODE)
    async with visit.database.transaction() as conn:
        tries = await queries.count_try(conn, digest)
    if tries is None:
        return await _used(visit)
    async with visit.database.transaction() as conn:
        if await sign_in_asks.is_code(conn, visit.services.desk_key, digest, typed):
            return None
        if tries >= queries.MAX_TRIES:
            await queries.drop_sign_in_link(conn, digest)
    await access_page.note(visit, JournalKind.WRONG_CODE)
    if tries < queries.MAX_TRIES:
        return await _link_page(visit, digest, link, WRONG_CODE)
    return message_page(visit, 410, USED, DEAD_WHY)


async def _begin_session(visit: OpenVisit, digest: bytes) -> Response:
    settings, request = visit.services.settings, visit.request
    old_cookie = request.cookies.get(session_cookie.cookie_name(settings))
    device = door_cookies.device(request, settings)
    browser = sessions.browser_of(request.headers.get("user-agent", ""))
    async with visit.database.transaction() as conn:
        link = await queries.use_sign_in_link(conn, digest)
        organizer_id = await invitations.organizer_of(conn, *link) if link else None
        if link is None or organizer_id is None:
            return await _used(visit)
        if link[0] is not None or "lang" in visit.query:  # an invitation has a language of its own
            await queries.set_first_lang(conn, organizer_id, visit.lang)
        session_id, cookie = await sessions.begin(conn, organizer_id, browser, old_cookie)
        is_remembered = device is not None and await remembered_devices.adopt(conn, device, organizer_id, session_id)
    response = http.redirect(f"{ROOT}second")
    session_cookie.set_cookie(response, settings, cookie)
    door_cookies.delete_asked(response, settings)
    if device is not None and is_remembered:
        door_cookies.set_device(response, settings, device)  # for as long again
    return response


async def leave(visit: DeskVisit) -> Response:
    async with visit.database.transaction() as conn:
        await sessions.leave(conn, visit.organizer.id, visit.session.id)
    response = http.redirect(f"{ROOT}enter?lang={visit.lang}")
    session_cookie.delete_cookie(response, visit.services.settings)
    return response


async def language(visit: DeskVisit) -> Response:
    """Change the language of the desk's pages, and redirect to the page of the form."""
    form = await visit.form()
    if form.get("lang") in visit.languages:
        async with visit.database.transaction() as conn:
            await queries.set_lang(conn, visit.organizer.id, form["lang"])
    return http.redirect(step_up.local_address(form.get("back", "")) or ROOT)


def _token(visit: OpenVisit) -> str:
    token: str = visit.request.path_params["token"]
    if len(token) > MAX_TOKEN:
        raise BadToken("this link is not one of ours")
    return token


async def _used(visit: OpenVisit) -> Response:
    await access_page.note(visit, JournalKind.OLD_LINK)
    return message_page(visit, 410, USED, USED_WHY)
