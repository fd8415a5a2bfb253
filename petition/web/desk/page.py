"""A page of the desk: its tabs, its headers, its template."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from petition.core.i18n import N_
from petition.organizers.model import Role
from petition.web import headers, http
from petition.web.desk.visit import ROOT, DeskVisit

# Pages that stand under another one's tab.
TAB_OF_PAGE = {"publish": "text", "preview": "text", "signatures": "queue", "undo": "queue", "tally": "import"}


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
    Tab("campaigns", N_("Bulk acts"), Role.MODERATOR),
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
    return headers.policy_of(sources, more)


def desk_page(request: Request, desk: DeskVisit | None, name: str, status: int = 200, /, **context: object) -> Response:
    """Answer with a template of the desk in the organizer's language; kept by nobody.

    ``desk`` is None for strangers. Templates extend ``desk/_base.html`` and find ``desk``, ``letter``, ``tabs``,
    ``tab`` (the current one's path), ``path`` and what is in ``context``. ``sources`` in it adds to the policy (see
    ``policy``).
    """
    lang = desk.lang if desk else http.lang_of(request)
    sources = cast("Mapping[str, str] | None", context.pop("sources", None))
    given = {"desk": desk, "letter": desk and desk.letter, "tabs": _tabs(desk), "path": request.url.path, **context}
    given["tab"] = _tab_of(request)
    body = http.services_of(request).renderer.render(name, lang, **given).encode()
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


def _tabs(desk: DeskVisit | None) -> list[Tab]:
    return [tab for tab in TABS if desk and desk.may(tab.role)]


def _tab_of(request: Request) -> str:
    """Return the path of the tab under which this page stands."""
    below = request.url.path.removeprefix(ROOT).split("/")[1:] or [""]
    return TAB_OF_PAGE.get(below[0], below[0])


def error_page(request: Request, status: int, title: str, message: str, retry_after: str | None) -> Response:
    """Answer an error on one of the desk's addresses, whoever stands there."""
    desk: DeskVisit | None = getattr(request.state, "desk", None)
    return desk_page(request, desk, "desk/error.html", status, title=title, message=message, retry_after=retry_after)
