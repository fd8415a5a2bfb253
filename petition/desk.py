"""The desk's door: who may come to a page, and the page they are answered with.

Every route of the desk says in ``desk_routes.DESK`` what it needs; the guard looks at the cookie, the session, the
second factor, the letter and the role before the view is called, and hands all of it over as a ``Desk``.
"""

import contextlib
import gzip
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition import web
from petition.errors import Gone, NotFound, Unavailable
from petition.i18n import N_
from petition.organizers import queries, sessions
from petition.organizers.model import DeskLetter, Organizer, Role, Session
from petition.settings import Settings

ROOT = "/organizer/"
SAFE = {"GET", "HEAD"}


class Need(StrEnum):
    """What a route asks of whoever comes. The last but one are roles in the letter of the address."""

    STRANGER = "stranger"  # nothing
    ENTERED = "entered"  # a session; only pages that set a second factor up, or ask for it
    ORGANIZER = "organizer"  # a session whose second factor has been shown, as for all that follow
    VIEWER = "viewer"
    MODERATOR = "moderator"
    EDITOR = "editor"
    OWNER = "owner"
    ADMIN = "admin"  # of the installation

    @property
    def role(self) -> Role | None:
        """The role in the letter, if this is one."""
        return Role(self.value) if self.value in set(Role) else None


@dataclass(frozen=True, slots=True)
class Desk:
    """Who stands at the desk, and before which letter."""

    organizer: Organizer
    session: Session
    lang: str
    letter: DeskLetter | None = None
    role: Role | None = None

    @property
    def this(self) -> DeskLetter:
        """The letter in the address. Raises ``LookupError`` where the address has none."""
        if self.letter is None:
            raise LookupError("this address has no letter")
        return self.letter

    def looking_at(self, switched: Iterable[str]) -> "Desk":
        """Return the same before the letter with these switches on, which may have been changed in this request."""
        letter = None if self.letter is None else replace(self.letter, switched=tuple(switched))
        return replace(self, letter=letter)

    def where_now(self, state: str, *, has_digest_key: bool) -> "Desk":
        """Return the same before a letter that has moved in this request."""
        return replace(self, letter=replace(self.this, state=state, has_digest_key=has_digest_key))

    def may(self, role: str) -> bool:
        """Tell whether the organizer's role in this letter covers ``role``."""
        return self.role is not None and self.role.covers(Role(role))


View = Callable[[Request, Desk], Awaitable[Response]]
OpenView = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Tab:
    """A link in the row on top of a letter's pages, for those whose role covers it."""

    path: str  # below the letter's address; "" is the overview
    label: str
    role: Role
    begins: bool = False  # a group of tabs that belong together


# As one comes to need them: written, signed, brought and taken, looked after.
TABS: tuple[Tab, ...] = (
    Tab("", N_("Overview"), Role.VIEWER),
    Tab("text", N_("Text"), Role.EDITOR, begins=True),
    Tab("updates", N_("Updates"), Role.EDITOR),
    Tab("queue", N_("Signatures"), Role.MODERATOR, begins=True),
    Tab("campaigns", N_("Campaigns"), Role.MODERATOR),
    Tab("statistics", N_("Statistics"), Role.VIEWER),
    Tab("partners", N_("Partners"), Role.EDITOR),
    Tab("import", N_("Import"), Role.EDITOR, begins=True),
    Tab("export", N_("Export"), Role.MODERATOR),
    Tab("addresses", N_("Addresses"), Role.OWNER),
    Tab("state", N_("State"), Role.EDITOR, begins=True),
    Tab("switches", N_("Switches"), Role.EDITOR),
    Tab("members", N_("Members"), Role.OWNER),
    Tab("log", N_("Log"), Role.MODERATOR),
)
# Pages that stand under another one's tab.
UNDER = {"publish": "text", "preview": "text", "signatures": "queue", "undo": "queue", "tally": "import"}


def guarded(view: View | OpenView, need: Need) -> OpenView:
    """Return ``view`` behind the door: called only for those who have what ``need`` says.

    A view for strangers is called with the request alone.
    """

    async def endpoint(request: Request) -> Response:
        if request.method not in SAFE:
            check_origin(request)
        request.state.lang = _lang_of_stranger(request)
        if need is Need.STRANGER:
            return await cast("OpenView", view)(request)
        desk = await _admitted(request, need)
        response = desk if isinstance(desk, Response) else await cast("View", view)(request, desk)
        await _follow_rights(request, response)
        return response

    return endpoint


async def _follow_rights(request: Request, response: Response) -> None:
    """Send a new cookie along if the rights of whoever stands here have been changed, by others or by this request.

    Done with the answer, so that a request that fails leaves the browser with a cookie that works.
    """
    session, site = getattr(request.state, "session", None), web.site_of(request)
    if session is None or not (session.renew or request.method not in SAFE):
        return
    # A script's answer may be thrown away with its page, and the one copy of the new cookie with it.
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return
    with contextlib.suppress(Unavailable):  # the act is done, and the next request looks again
        async with site.database.connection() as conn:
            token = request.cookies[cookie_name(site.settings)]
            renewed = await sessions.follow_rights(conn, session.id, token)
        if renewed is not None:
            set_cookie(response, site.settings, renewed)


def check_origin(request: Request) -> None:
    """Refuse an unsafe request unless the browser says that a page of ours sent it. Raises a 403."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    scheme = web.site_of(request).settings.base_url.partition("//")[0]
    # Proxies may name the usual port in Host; browsers never do in Origin.
    host = request.headers.get("host", "").lower().removesuffix({"https:": ":443"}.get(scheme, ":80"))
    ours = f"{scheme}//{host}"
    onion = web.site_of(request).settings.onion_url
    if site is None and origin is None:
        raise HTTPException(403)
    if site is not None and site != "same-origin":
        raise HTTPException(403)
    if origin is not None and origin not in {ours, onion}:
        raise HTTPException(403)


async def _admitted(request: Request, need: Need) -> Desk | Response:
    known = await known_of(request)
    if known is None:
        return _to(request, "enter")
    organizer, session = known
    request.state.session = session
    lang = organizer.lang if organizer.lang in web.site_of(request).renderer.languages else request.state.lang
    request.state.lang = lang
    desk = Desk(organizer, session, lang)
    if need is Need.ENTERED:
        return _noted(request, desk)
    if session.proved_at is None or not session.has_factor:
        return _to(request, "second")
    if need is Need.ADMIN and not organizer.admin:
        return _not_yours(request, _noted(request, desk))
    if need.role is not None:
        return await _before_letter(request, desk, need.role)
    return _noted(request, desk)


async def _before_letter(request: Request, desk: Desk, needed: Role) -> Desk | Response:
    async with web.site_of(request).database.connection() as conn:
        found = await queries.letter(conn, request.path_params["slug"], desk.organizer.id)
    if found is not None and found[0].state == "gone":
        raise Gone("the letter was taken down")
    if found is None or found[1] is None:  # who is no member may not know that there is one
        raise NotFound("there is no such letter")
    desk = _noted(request, Desk(desk.organizer, desk.session, desk.lang, *found))
    return desk if desk.may(needed) else _not_yours(request, desk)


def _noted(request: Request, desk: Desk) -> Desk:
    """Let error pages know who stands here."""
    request.state.desk = desk
    return desk


def _to(request: Request, where: str) -> Response:
    """Lead to the page that opens this one; what was sent is not taken."""
    if request.method in SAFE:
        return web.see_other(ROOT + where)
    raise HTTPException(401)


NOT_YOURS = N_("Your role does not cover this")
NOT_YOURS_WHY = N_("An owner of the letter can give you another role.")


def _not_yours(request: Request, desk: Desk) -> Response:
    language = web.language_of(request)
    title, message = language.gettext(NOT_YOURS), language.gettext(NOT_YOURS_WHY)
    return page(request, desk, "desk/error.html", 403, title=title, message=message, retry_after=None)


async def known_of(request: Request) -> tuple[Organizer, Session] | None:
    """Return whose cookie came with this request."""
    site = web.site_of(request)
    token = request.cookies.get(cookie_name(site.settings))
    if not token or len(token) > 100:
        return None
    async with site.database.connection() as conn:
        return await queries.session(conn, sessions.digest_of(token))


def _lang_of_stranger(request: Request) -> str:
    languages = web.site_of(request).renderer.languages
    asked = request.query_params.get("lang", "")
    return asked if asked in languages else languages.best(request.headers.get("accept-language", ""))


def cookie_name(settings: Settings) -> str:
    """Return the cookie's name. ``__Host-`` keeps other hosts of the same domain from setting it."""
    return "__Host-desk" if settings.secure else "desk"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Have the browser keep ``token``, for a week at most. Browsers want ``Path=/`` for the name with ``__Host-``."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=sessions.LONGEST,
        path="/" if settings.secure else ROOT,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    """Have the browser forget the cookie."""
    response.delete_cookie(
        cookie_name(settings),
        path="/" if settings.secure else ROOT,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def policy(more: Mapping[str, str] | None = None) -> str:
    """Return the content security policy of the desk's pages; ``more`` adds sources or directives."""
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
    return web.policy_of(sources, more)


def page(request: Request, desk: Desk | None, name: str, status: int = 200, /, **context: object) -> Response:
    """Answer with a template of the desk in the organizer's language; kept by nobody.

    ``desk`` is None for strangers. Templates extend ``desk/_base.html`` and find ``desk``, ``letter``, ``tabs``,
    ``tab`` (the current one's path), ``path`` and what is in ``context``. ``sources`` in it adds to the policy (see
    ``policy``).
    """
    lang = desk.lang if desk else web.lang_of(request)
    sources = cast("Mapping[str, str] | None", context.pop("sources", None))
    given = {"desk": desk, "letter": desk and desk.letter, "tabs": _tabs(desk), "path": request.url.path, **context}
    given["tab"] = _tab_of(request)
    body = web.site_of(request).renderer.render(name, lang, **given).encode()
    headers = {
        "cache-control": "no-store",
        "content-language": lang,
        "content-security-policy": policy(sources),
        "vary": "Accept-Encoding, Cookie",
        "x-robots-tag": "noindex",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body, compresslevel=6, mtime=0)
    return Response(body, status, headers, media_type="text/html")


def _tabs(desk: Desk | None) -> list[Tab]:
    return [tab for tab in TABS if desk and desk.may(tab.role)]


def _tab_of(request: Request) -> str:
    """Return the path of the tab under which this page stands."""
    below = request.url.path.removeprefix(ROOT).split("/")[1:] or [""]
    return UNDER.get(below[0], below[0])


def error_page(request: Request, status: int, title: str, message: str, retry_after: str | None) -> Response:
    """Answer an error on one of the desk's addresses, whoever stands there."""
    desk: Desk | None = getattr(request.state, "desk", None)
    return page(request, desk, "desk/error.html", status, title=title, message=message, retry_after=retry_after)
