"""The page for a form that could not be stored: all that was typed is in it, and one button sends it again.

Pages that show their own form again (signing, a lost link, a mailed code) do so themselves; this one is for all others,
the desk's included.
"""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from petition.core.i18n import N_
from petition.web import http, solved_before
from petition.web.desk import page
from petition.web.desk.visit import PROOF_FIELDS, ROOT, open_visit
from petition.web.public.shown_form import CHALLENGE_FIELDS

MAX_FORM = 200_000  # bytes of a form that waits in a page
MAX_FIELDS = 500
TITLE = N_("Not stored yet")
MESSAGE = N_("We could not store this just now. Nothing is lost: press the button again in a moment.")


async def form_page(request: Request, status: int, retry_after: int) -> Response | None:
    """Return the page with the form of ``request``; None if it has none that a person typed."""
    fields = await _fields(request)
    if not fields:
        return None
    action = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    if not request.url.path.startswith(ROOT):
        return http.page(
            request,
            "again.html",
            status,
            message=MESSAGE,
            title=TITLE,
            fields=fields,
            action=action,
            retry_after=retry_after,
        )
    visit = getattr(request.state, "visit", None) or open_visit(request)
    return page.desk_page(
        visit,
        "desk/again.html",
        status=status,
        message=MESSAGE,
        title=TITLE,
        fields=fields,
        action=action,
        retry_after=retry_after,
    )


async def _fields(request: Request) -> dict[str, str]:
    if "application/json" in request.headers.get("accept", ""):  # a script, which still has them
        return {}
    try:
        content_type, body = request.headers.get("content-type", ""), await http.body_of(request, MAX_FORM)
        form = http.parse_any_form(content_type, body, MAX_FIELDS).fields
    except (HTTPException, ClientDisconnect):
        return {}
    solved = solved_before.fields(request)
    left_out = PROOF_FIELDS | (CHALLENGE_FIELDS if solved else set())
    return {name: value for name, value in form.items() if name not in left_out} | solved
