"""The page for a form that could not be stored: all that was typed is in it, and one button sends it again.

Pages that show their own form again (signing, a lost link, a mailed code) do so themselves; this one is for all others,
the desk's included.
"""

from functools import lru_cache
from html import escape  # a third of the time of markupsafe's, which makes an object of each result

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from petition.core.errors import Crowded
from petition.core.i18n import N_
from petition.core.templates import Renderer
from petition.web import http, solved_before
from petition.web.content_codings import Coding, allowed_codings
from petition.web.desk import page
from petition.web.desk.visit import PROOF_FIELDS, ROOT, open_visit
from petition.web.multipart import MultipartForm
from petition.web.prepared_pages import ROOM, PreparedPage
from petition.web.public.shown_form import CHALLENGE_FIELDS

MAX_FORM = 200_000  # bytes of a form that waits in a page, without its files
MAX_FIELDS = 500
MAX_HIDDEN = 60  # characters
MAX_ROWS = 8
_TEMPLATE = "again.html"
_NOT_TYPED = CHALLENGE_FIELDS | {"version"}
TITLE = N_("Not stored yet")
SENT = N_("What you sent")
FILE = N_("Choose the file again")  # a page cannot hold it
MESSAGE = N_("We could not store this just now. Nothing is lost: press the button again in a moment.")


def prepare(renderer: Renderer) -> None:
    """Render the page for a crowd, and compile its template, before one comes."""
    for lang in renderer.languages:
        _prepared_page(renderer, lang, Crowded().retry_after, (), has_files=False)


async def form_page(request: Request, status: int, retry_after: int) -> Response | None:
    """Return the page with the form of ``request``, be it but a button; None for a script, which still has it."""
    form = await _form(request)
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    is_desk = path.startswith(ROOT)
    if form is None or (is_desk and not form.fields):
        return None
    action = f"{path}?{query}" if query else path
    if not is_desk:
        return _filled_page(request, status, form, action, retry_after)
    visit = getattr(request.state, "visit", None) or open_visit(request)
    return page.desk_page(
        visit,
        "desk/again.html",
        status=status,
        message=MESSAGE,
        title=TITLE,
        fields=form.fields,
        files=list(form.files),
        file=FILE,
        action=action,
        retry_after=retry_after,
    )


def _filled_page(request: Request, status: int, form: MultipartForm, action: str, retry_after: int) -> Response:
    lang, renderer, has_files = http.lang_of(request), http.services_of(request).renderer, bool(form.files)
    banners = tuple(http.banners(request, lang))
    page_with_room = _prepared_page(renderer, lang, retry_after, banners, has_files=has_files)
    is_gzip = Coding.GZIP in allowed_codings(http.accept_encoding_of(request))
    coding = Coding.GZIP if is_gzip else Coding.IDENTITY
    label, file_label = (escape(http.language_of(request).gettext(text)) for text in (SENT, FILE))
    inputs = "".join(_input(name, value, label) for name, value in form.fields.items())
    inputs += "".join(_file_input(name, number, file_label) for number, name in enumerate(form.files))
    body = page_with_room.fill(escape(action), inputs, is_gzip=is_gzip)
    return http.uncached(request, _TEMPLATE, body, status, coding)


@lru_cache(64)
def _prepared_page(
    renderer: Renderer, lang: str, retry_after: int, banners: tuple[tuple[str, str], ...], *, has_files: bool
) -> PreparedPage:
    variables = {"title": TITLE, "message": MESSAGE, "retry_after": retry_after, "banners": banners, "files": has_files}
    text = renderer.render(_TEMPLATE, lang, **variables, room=ROOM, here="/", canonical=None)
    return PreparedPage(text)


def _input(name: str, value: str, label: str) -> str:
    """Return a field that sends ``value`` again; a long text can be seen, and copied."""
    if ("\n" in value or len(value) > MAX_HIDDEN) and name not in _NOT_TYPED:
        rows = min(MAX_ROWS, 2 + value.count("\n") + len(value) // MAX_HIDDEN)
        area = f'<textarea name="{escape(name)}" rows="{rows}" aria-label="{label}" readonly>'
        return f'<div class="field">{area}\n{escape(value)}</textarea></div>\n'
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">\n'


def _file_input(name: str, number: int, label: str) -> str:
    """Return a field for a file that was sent. It is required, or the form would go without it unnoticed."""
    return (
        f'<div class="field"><label for="file-{number}">{label}</label>'
        f'<input id="file-{number}" name="{escape(name)}" type="file" required></div>\n'
    )


async def _form(request: Request) -> MultipartForm | None:
    """Return what was sent, without proofs; None if it is too large to be in a page, or no form."""
    if b"application/json" in http.header_of(request, b"accept"):
        return None
    try:
        content_type = http.header_of(request, b"content-type").decode("latin-1")
        body = http.read_body_of(request) or await http.body_of(request, MAX_FORM)
        form = http.parse_any_form(content_type, body, MAX_FIELDS)
    except (HTTPException, ClientDisconnect):
        return None
    if sum(map(len, form.fields.values())) > MAX_FORM:
        return None
    solved = solved_before.fields(request)
    left_out = PROOF_FIELDS | (CHALLENGE_FIELDS if solved else set())
    fields = {name: value for name, value in form.fields.items() if name not in left_out} | solved
    return MultipartForm(fields, form.files)
