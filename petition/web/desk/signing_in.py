"""Getting in and out: the form for a link, the link, the first page, the language, leaving."""

from starlette.requests import Request
from starlette.responses import Response

from petition.core import email_addresses, quotas
from petition.core.client_networks import ONION
from petition.core.email_addresses import BadAddress
from petition.core.errors import BadToken
from petition.core.i18n import N_
from petition.core.quotas import HARDER_FACTOR
from petition.organizers import invitations, overview_queries, queries, sessions, sign_in_links
from petition.web import http
from petition.web.desk import guard, page, session_cookie
from petition.web.desk.visit import ROOT, DeskVisit

HOUR = 3600
MAX_TOKEN = 100

TOO_MANY = N_("Too many attempts")
TOO_MANY_WHY = N_("Too many links have been requested from your network in the last hour.")
USED = N_("This link no longer works")
USED_WHY = N_("A link works once, for 15 minutes. Ask for a new one.")


async def home(request: Request, who: DeskVisit) -> Response:
    """Show one's letters."""
    async with http.services_of(request).database.connection() as conn:
        rows = await queries.letters(conn, who.organizer.id)
    letters = [(queries.letter_in(row), row) for row in rows]
    return page.desk_page(request, who, "desk/home.html", letters=letters, done=request.query_params.get("done"))


async def overview(request: Request, who: DeskVisit) -> Response:
    """Show one letter: its count, and what waits for somebody, each with the way there."""
    letter = who.this.id
    async with http.services_of(request).database.connection() as conn:
        context = {
            "counts": await queries.letter_counts(conn, letter),
            "waiting": await overview_queries.waiting(conn, letter),
            "intakes": await overview_queries.intakes(conn, letter, who.organizer.id) if who.may("editor") else [],
            "campaigns": await overview_queries.campaigns(conn, letter) if who.may("moderator") else [],
            "most_counted": overview_queries.MAX_COUNTED,
        }
    return page.desk_page(request, who, "desk/overview.html", **context)


async def ask(request: Request) -> Response:
    """Ask for the address that a link is to be mailed to; lead on who has entered already."""
    if await guard.session_of(request):
        return http.redirect(ROOT)
    return _ask_page(request, sent="sent" in request.query_params)


async def send(request: Request) -> Response:
    """Have a link mailed. The answer, and what the database is asked, are the same for every address."""
    form = await http.form_of(request)
    services = http.services_of(request)
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        told = http.language_of(request).gettext(error.message)
        return _ask_page(request, typed=form.get("email", ""), problem=told, status=422)
    bounds = services.settings.limits
    day = await services.day_keys.today()
    origin = http.network_of(request)
    network = day.hourly("entry-network", origin)
    address = day.hourly("entry", email_addresses.canonical(mailbox))
    async with services.database.transaction() as conn:
        now = await quotas.spend(conn, {network: 1, address: 1})
        if now[network.key] > bounds.entry_network * (HARDER_FACTOR if origin == ONION else 1):
            return _too_many(request)
        if now[address.key] <= bounds.entry:
            await sign_in_links.ask(conn, services.desk_key, services.sealer, mailbox, http.lang_of(request))
    return http.redirect(f"{ROOT}enter?sent=1&lang={http.lang_of(request)}")


async def show_link(request: Request) -> Response:
    """Show the button. Mail scanners open links, so this changes nothing."""
    token = _token(request)
    async with http.services_of(request).database.connection() as conn:
        row = await queries.see_entry(conn, sessions.digest_of(token))
    if row is None:
        return _used(request)
    if "lang" not in request.query_params:
        request.state.lang = _known_lang(request, row["organizer_lang"] or row["lang"])
    return page.desk_page(request, None, "desk/link.html", invitation=row if row["invitation"] else None)


async def enter(request: Request) -> Response:
    """Use the link up and begin a session; what it may do waits for the second factor."""
    services = http.services_of(request)
    old = request.cookies.get(session_cookie.cookie_name(services.settings))
    browser = sessions.browser_of(request.headers.get("user-agent", ""))
    async with services.database.transaction() as conn:
        used = await queries.use_entry(conn, sessions.digest_of(_token(request)))
        organizer = await invitations.organizer_of(conn, *used) if used else None
        if used is None or organizer is None:
            return _used(request)
        if used[0] is not None or "lang" in request.query_params:  # an invitation has a language of its own
            await queries.set_first_lang(conn, organizer, http.lang_of(request))
        cookie = await sessions.begin(conn, organizer, browser, old)
    response = http.redirect(f"{ROOT}second")
    session_cookie.set_cookie(response, services.settings, cookie)
    return response


async def leave(request: Request, who: DeskVisit) -> Response:
    """End this session."""
    services = http.services_of(request)
    async with services.database.transaction() as conn:
        await sessions.end(conn, who.organizer.id, who.session.id)
    response = http.redirect(f"{ROOT}enter?lang={who.lang}")
    session_cookie.drop_cookie(response, services.settings)
    return response


async def language(request: Request, who: DeskVisit) -> Response:
    """Change the language of the desk's pages, and lead back."""
    form = await http.form_of(request)
    services = http.services_of(request)
    if form.get("lang") in services.renderer.languages:
        async with services.database.transaction() as conn:
            await queries.set_lang(conn, who.organizer.id, form["lang"])
    back = form.get("back", "")
    return http.redirect(back if back.startswith(ROOT) and "\\" not in back else ROOT)


def _ask_page(
    request: Request, *, sent: bool = False, typed: str = "", problem: str = "", status: int = 200
) -> Response:
    return page.desk_page(request, None, "desk/enter.html", status, sent=sent, typed=typed, problem=problem)


def _token(request: Request) -> str:
    token: str = request.path_params["token"]
    if len(token) > MAX_TOKEN:
        raise BadToken("this link is not one of ours")
    return token


def _known_lang(request: Request, lang: str | None) -> str:
    return lang if lang and lang in http.services_of(request).renderer.languages else http.lang_of(request)


def _used(request: Request) -> Response:
    tongue = http.language_of(request)
    return page.desk_page(
        request,
        None,
        "desk/error.html",
        410,
        title=tongue.gettext(USED),
        message=tongue.gettext(USED_WHY),
        retry_after=None,
    )


def _too_many(request: Request) -> Response:
    tongue = http.language_of(request)
    response = page.error_page(request, 429, tongue.gettext(TOO_MANY), tongue.gettext(TOO_MANY_WHY), str(HOUR))
    response.headers["retry-after"] = str(HOUR)
    return response
