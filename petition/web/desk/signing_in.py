"""Signing in and out: the form for a link, the link, the first page, the language, leaving."""

from dataclasses import replace

from starlette.responses import Response

from petition.core import email_addresses, quotas
from petition.core.access_journal import JournalKind
from petition.core.email_addresses import BadAddress
from petition.core.errors import BadToken
from petition.core.i18n import N_
from petition.core.quotas import HARDER_FACTOR
from petition.organizers import invitations, overview_queries, queries, sessions, sign_in_links
from petition.web import http
from petition.web.desk import access_page, session_cookie
from petition.web.desk.guard import find_session
from petition.web.desk.page import desk_page, message_page
from petition.web.desk.visit import ROOT, DeskVisit, OpenVisit

HOUR = 3600
MAX_TOKEN = 100

TOO_MANY = N_("Too many attempts")
TOO_MANY_WHY = N_("Too many links have been requested from your network in the last hour.")
USED = N_("This link no longer works")
USED_WHY = N_("A link works once, for 15 minutes. Ask for a new one.")


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
    return desk_page(visit, "desk/enter.html", sent="sent" in visit.query, email="")


async def send(visit: OpenVisit) -> Response:
    """Enqueue a mail with a link. The response and the statements are the same for every address."""
    form, services = await visit.form(), visit.services
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        email = form.get("email", "")
        return desk_page(visit, "desk/enter.html", errors={"email": error.message}, sent=False, email=email)
    limits = services.settings.limits
    day = await services.day_keys.today()
    origin = http.network_of(visit.request)
    network = day.hourly("entry-network", origin.narrowest)
    address = day.hourly("entry", email_addresses.canonical(mailbox))
    async with visit.database.transaction() as conn:
        spent = await quotas.spend(conn, {network: 1, address: 1})
        if spent[network.key] > limits.entry_network * (HARDER_FACTOR if origin.is_shared else 1):
            return await _too_many(visit)
        if spent[address.key] <= limits.entry:
            await sign_in_links.ask(conn, services.desk_key, services.sealer, mailbox, visit.lang)
    return http.redirect(f"{ROOT}enter?sent=1&lang={visit.lang}")


async def show_link(visit: OpenVisit) -> Response:
    """Show the button. Mail scanners open links, so this changes nothing."""
    token = _token(visit)
    async with visit.database.connection() as conn:
        row = await queries.load_sign_in_link(conn, sessions.digest_of(token))
    if row is None:
        return await _used(visit)
    if "lang" not in visit.query:
        language = visit.services.renderer.languages.get(row["organizer_lang"] or row["lang"] or "", visit.language)
        visit = replace(visit, language=language)
    return desk_page(visit, "desk/link.html", invitation=row if row["invitation"] else None)


async def enter(visit: OpenVisit) -> Response:
    """Use the link up and begin a session, whose rights depend on the second factor."""
    services, request = visit.services, visit.request
    old_cookie = request.cookies.get(session_cookie.cookie_name(services.settings))
    browser = sessions.browser_of(request.headers.get("user-agent", ""))
    async with visit.database.transaction() as conn:
        link = await queries.use_sign_in_link(conn, sessions.digest_of(_token(visit)))
        organizer_id = await invitations.organizer_of(conn, *link) if link else None
        if link is None or organizer_id is None:
            return await _used(visit)
        if link[0] is not None or "lang" in visit.query:  # an invitation has a language of its own
            await queries.set_first_lang(conn, organizer_id, visit.lang)
        cookie = await sessions.begin(conn, organizer_id, browser, old_cookie)
    response = http.redirect(f"{ROOT}second")
    session_cookie.set_cookie(response, services.settings, cookie)
    return response


async def leave(visit: DeskVisit) -> Response:
    async with visit.database.transaction() as conn:
        await sessions.end(conn, visit.organizer.id, visit.session.id)
    response = http.redirect(f"{ROOT}enter?lang={visit.lang}")
    session_cookie.delete_cookie(response, visit.services.settings)
    return response


async def language(visit: DeskVisit) -> Response:
    """Change the language of the desk's pages, and redirect to the page of the form."""
    form = await visit.form()
    if form.get("lang") in visit.languages:
        async with visit.database.transaction() as conn:
            await queries.set_lang(conn, visit.organizer.id, form["lang"])
    back = form.get("back", "")
    return http.redirect(back if back.startswith(ROOT) and "\\" not in back else ROOT)


def _token(visit: OpenVisit) -> str:
    token: str = visit.request.path_params["token"]
    if len(token) > MAX_TOKEN:
        raise BadToken("this link is not one of ours")
    return token


async def _used(visit: OpenVisit) -> Response:
    await access_page.note(visit, JournalKind.OLD_LINK)
    return message_page(visit, 410, USED, USED_WHY)


async def _too_many(visit: OpenVisit) -> Response:
    await access_page.note(visit, JournalKind.OVER_LIMIT)
    response = message_page(visit, 429, TOO_MANY, TOO_MANY_WHY, str(HOUR))
    response.headers["retry-after"] = str(HOUR)
    return response
