"""The step-up: acts that take names or rights want the second factor again if it was last proved a while ago.

Why, and which acts: docs/decisions/fresh-factor.md. A form is answered by a page that holds all its fields and asks for
the factor; that page sends both to the address of the form, so one request proves the factor and carries out the act.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core import access_journal
from petition.core.access_journal import JournalKind
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.letters.switches import ON, Switch
from petition.organizers import factor_queries, second_factor, sessions
from petition.organizers.passkeys import NOT_TAKEN
from petition.web import http
from petition.web.desk import access_page, factor_attempts
from petition.web.desk.forms import NO_FIELDS, Form, OverLimit
from petition.web.desk.page import desk_page
from petition.web.desk.visit import CODE, CREDENTIAL, PROOF_FIELDS, ROOT, SECOND, DeskVisit

HOUR = 3600
APP_DIGITS = 6
MAX_FORM = 1_000_000  # bytes; an update in all languages
MAX_BACK = 500  # characters

TOO_MANY_CODES = N_("Too many codes have been tried in the last hour. Try again later.")

# Whether a form needs a fresh factor; a coroutine where the database has to be asked.
FreshRule = Callable[[DeskVisit, Form], bool | Awaitable[bool]]


def always(_visit: DeskVisit, _form: Form) -> bool:
    return True


def when(field: str, *values: str) -> FreshRule:
    """Return the rule for forms whose ``field`` has one of ``values``."""
    return lambda _visit, form: form.get(field, "") in values


def unless(field: str, *values: str) -> FreshRule:
    """Return the rule for all forms but those whose ``field`` has one of ``values``."""
    return lambda _visit, form: form.get(field, "") not in values


def ends_another_session(visit: DeskVisit, form: Form) -> bool:
    return form.get("session") != str(visit.session.id)


def lifts_or_speaks(_visit: DeskVisit, form: Form) -> bool:
    """True for turning a switch off, an undo, and a banner. Turning on what stops or hides needs none."""
    return (
        form.get("value", ON) not in {ON, "stronger"} or form.get("act") == "undo" or form.get("name") == Switch.BANNER
    )


async def require(visit: DeskVisit, rule: FreshRule) -> DeskVisit | Response:
    """Return the visit if it may go on, else the response that asks for the factor. Raises a 401 for scripts."""
    if not visit.session.has_factor or visit.session.fresh:
        return visit
    request = visit.request
    if request.method in {"GET", "HEAD"}:
        return ask_first(page_of(request))
    try:
        form = await http.form_of(request, MAX_FORM)
    except HTTPException as error:
        if error.status_code != 415:
            raise
        return ask_first(page_of(request))  # a file: it is sent after the factor
    request.state.form = form
    is_needed = rule(visit, form)
    if not isinstance(is_needed, bool):
        is_needed = await is_needed
    return await prove(visit, form) if is_needed else visit


async def prove(visit: DeskVisit, form: Form) -> DeskVisit | Response:
    """Return the visit once a form brings the factor, else the page that asks for it. Raises a 401 for scripts."""
    if "application/json" in visit.request.headers.get("accept", ""):
        raise HTTPException(401)
    if not form.keys() & PROOF_FIELDS:
        return await _page(visit, form)
    try:
        await _accept(visit, form)
    except Refused as refused:
        return await _page(visit, form, refused)
    return replace(visit, session=replace(visit.session, fresh=True, proved_at=datetime.now(UTC)))


async def _accept(visit: DeskVisit, form: Form) -> None:
    """Check the code or the passkey's response, and record it. Raises ``Refused``, and a 401 if the session ended.

    The cookie is rotated with the response (``guard``): a request that fails leaves the browser with one that works.
    """
    if CREDENTIAL in form:
        await check_passkey(visit, form[CREDENTIAL], rotate=False)
    else:
        await check_code(visit, form[CODE], rotate=False)


async def count_attempt(visit: DeskVisit) -> None:
    """Count an attempt at a code. Raises ``OverLimit`` when those of the hour are used up."""
    if not await factor_attempts.may_try(visit):
        await access_page.note(visit, JournalKind.OVER_LIMIT)
        raise OverLimit(TOO_MANY_CODES, HOUR)


async def check_code(visit: DeskVisit, code: str, *, rotate: bool = True) -> str | None:
    """Accept a code from the app or a recovery code; return the session's new cookie if it is rotated at once.

    Raises ``Refused``, and a 401 if the session was ended meanwhile, in another browser.
    """
    services = visit.services
    await count_attempt(visit)
    organizer_id = visit.organizer.id
    prepared = await second_factor.prepare(visit.database, services.desk_key, organizer_id, code)
    async with counted(visit), visit.database.transaction() as conn:
        await second_factor.prove(conn, services.wrapper, organizer_id, code, prepared)
        is_app = len("".join(code.split())) == APP_DIGITS
        kind = JournalKind.BY_APP if is_app else JournalKind.BY_RECOVERY
        return await _record(conn, visit, kind, rotate=rotate)


async def check_passkey(visit: DeskVisit, credential: str, *, rotate: bool = True) -> str | None:
    """Accept a passkey's response to the session's challenge, as ``check_code`` does."""
    challenge = await take_challenge(visit)
    async with counted(visit), visit.database.transaction() as conn:
        await visit.services.passkeys.prove(conn, visit.organizer.id, challenge, credential)
        return await _record(conn, visit, JournalKind.BY_PASSKEY, rotate=rotate)


@contextlib.asynccontextmanager
async def counted(visit: DeskVisit) -> AsyncIterator[None]:
    """Count a refusal in the journal of access, after the transaction was rolled back."""
    try:
        yield
    except Refused:
        await access_page.note(visit, JournalKind.WRONG_FACTOR)
        raise


async def _record(conn: Connection, visit: DeskVisit, kind: JournalKind, *, rotate: bool) -> str | None:
    organizer_id, session_id = visit.organizer.id, visit.session.id
    cookie = await sessions.renew(conn, organizer_id, session_id) if rotate else None
    if cookie is None and (rotate or not await sessions.prove(conn, organizer_id, session_id)):
        raise HTTPException(401)
    await access_journal.add(conn, kind, organizer_id, None)
    return cookie


async def take_challenge(visit: DeskVisit) -> bytes | None:
    """Delete and return the session's challenge, committed before the response to it is checked."""
    async with visit.database.transaction() as conn:
        return await factor_queries.take_challenge(conn, visit.session.id)


async def _page(visit: DeskVisit, form: Form, refused: Refused | None = None) -> Response:
    async with visit.database.connection() as conn:
        passkeys = await factor_queries.passkeys(conn, visit.organizer.id)
        codes = await factor_queries.codes(conn, visit.organizer.id)
        totp = await factor_queries.totp(conn, visit.organizer.id)
    response = desk_page(
        visit,
        "desk/step_up.html",
        status=_status(refused),
        errors={refused.field: refused.message} if refused else NO_FIELDS,
        fields={name: value for name, value in form.items() if name not in PROOF_FIELDS},
        has_passkeys=bool(passkeys),
        has_codes=bool(totp or codes),
        has_app=bool(totp),
        about_code=refused is not None and refused.message != NOT_TAKEN,
    )
    if isinstance(refused, OverLimit) and refused.retry_after is not None:
        response.headers["retry-after"] = str(refused.retry_after)
    return response


def _status(refused: Refused | None) -> int:
    return 401 if refused is None else 429 if isinstance(refused, OverLimit) else 422


def page_of(request: Request) -> str:
    """Return the address of a page to come back to; for a file, of the page that leads to it."""
    path, _, last = request.url.path.rpartition("/")
    if request.method not in {"GET", "HEAD"} or "." in last:
        return path
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def ask_first(back: str) -> Response:
    """Redirect to the page that asks for the factor, and from there to the address ``back``."""
    return http.redirect(f"{SECOND}?again=1&back={quote(back[:MAX_BACK], safe='/')}")


def local_address(text: str) -> str:
    """Return ``text`` if it is an address of the desk to go back to, else ""."""
    path = unquote(text.partition("?")[0])
    is_ours = text.startswith(ROOT) and len(text) <= MAX_BACK and text.isprintable() and path.isprintable()
    # As browsers read it: they take a backslash for a slash, and ``%2e%2e`` for two dots.
    parts = path.removeprefix(ROOT).replace("\\", "/").split("/")
    return text if is_ours and "//" not in text and "\\" not in text and not {".", ".."} & set(parts) else ""
