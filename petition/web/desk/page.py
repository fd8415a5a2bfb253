"""A page of the desk: its tabs, its headers, its template."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from petition.core.i18n import N_
from petition.organizers.model import Role
from petition.web import headers
from petition.web.desk.visit import ROOT, DeskVisit, OpenVisit, open_visit

# Pages without a tab of their own, and the tab they belong to.
TAB_OF_PAGE = {"publish": "text", "preview": "text", "signatures": "queue", "undo": "queue", "tally": "import"}


@dataclass(frozen=True, slots=True)
class Tab:
    """A link in the row on top of a letter's pages, for roles that cover ``role``."""

    path: str  # below the letter's address; "" is the overview
    label: str
    role: Role
    starts_group: bool = False


# In the order of the work: write, collect signatures, import and export, administer.
TABS: tuple[Tab, ...] = (
    Tab("", N_("Overview"), Role.VIEWER),
    Tab("text", N_("Text"), Role.EDITOR, starts_group=True),
    Tab("updates", N_("Updates"), Role.EDITOR),
    Tab("queue", N_("Signatures"), Role.MODERATOR, starts_group=True),
    Tab("campaigns", N_("Bulk acts"), Role.MODERATOR),
    Tab("statistics", N_("Statistics"), Role.VIEWER),
    Tab("partners", N_("Partners"), Role.EDITOR),
    Tab("import", N_("Import"), Role.EDITOR, starts_group=True),
    Tab("export", N_("Export"), Role.MODERATOR),
    Tab("addresses", N_("Addresses"), Role.OWNER),
    Tab("state", N_("State"), Role.EDITOR, starts_group=True),
    Tab("switches", N_("Switches"), Role.EDITOR),
    Tab("members", N_("Members"), Role.OWNER),
    Tab("log", N_("Log"), Role.MODERATOR),
)


def policy(extra: Mapping[str, str] | None = None) -> str:
    """Return the content security policy of the desk's pages; ``extra`` adds sources or directives."""
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
    return headers.policy_of(sources, extra)


def desk_page(
    visit: OpenVisit,
    template: str,
    *,
    status: int | None = None,
    errors: Mapping[str, str] = {},
    sources: Mapping[str, str] | None = None,
    **context: object,
) -> Response:
    """Render a template of the desk in the visit's language; never cached.

    ``errors`` are messages for the catalogues by field, "" for the whole page; the status is 422 with any and 200
    without, unless ``status`` says otherwise. ``sources`` adds to the policy (see ``policy``). Templates extend
    ``desk/_base.html`` and get ``visit`` and ``letter`` (both None for strangers), ``tabs``, ``current_tab`` (a path),
    ``path``, ``errors`` in words, the first of them as ``problem`` with its field ``problem_at``, and ``context``.
    """
    path, member = visit.request.url.path, visit if isinstance(visit, DeskVisit) else None
    words = {field: visit.gettext(message) for field, message in errors.items()}
    variables = {
        "visit": member,
        "letter": member and member.letter_or_none,
        "tabs": [tab for tab in TABS if member and member.may(tab.role)],
        "current_tab": _tab_of(path),
        "path": path,
        "errors": words,
        "problem": next(iter(words.values()), None),
        "problem_at": next(iter(words), None),
    }
    body = visit.services.renderer.render(template, visit.lang, **{**variables, **context}).encode()
    response_headers = {
        "cache-control": "no-store",
        "content-language": visit.lang,
        "content-security-policy": policy(sources),
        "vary": "Accept-Encoding, Cookie",
        "x-robots-tag": "noindex",
    }
    if "gzip" in visit.request.headers.get("accept-encoding", ""):
        response_headers["content-encoding"] = "gzip"
        body = gzip.compress(body, compresslevel=6, mtime=0)
    return Response(body, status or (422 if errors else 200), response_headers, media_type="text/html")


def _tab_of(path: str) -> str:
    below = path.removeprefix(ROOT).split("/")[1:] or [""]
    return TAB_OF_PAGE.get(below[0], below[0])


def message_page(visit: OpenVisit, status: int, title: str, message: str, retry_after: str | None = None) -> Response:
    """Answer with a page that says one thing, in the catalogues' words; ``retry_after`` in seconds."""
    return desk_page(
        visit,
        "desk/error.html",
        status=status,
        title=visit.gettext(title),
        message=visit.gettext(message),
        retry_after=retry_after,
    )


def error_page(request: Request, status: int, title: str, message: str, retry_after: str | None) -> Response:
    """Answer an error at one of the desk's addresses, whether or not the guard has passed the request."""
    visit: OpenVisit | None = getattr(request.state, "visit", None)
    return message_page(visit or open_visit(request), status, title, message, retry_after)


def download_headers(file_name: str) -> dict[str, str]:
    """Return the headers of a file to save under an ASCII name; never cached."""
    return {"cache-control": "no-store", "content-disposition": f'attachment; filename="{file_name}"'}
