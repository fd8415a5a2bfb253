"""The desk's forms: the page again with what was refused, ids and numbers, and the form that invites a colleague."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core import email_addresses, quotas, time_zones
from petition.core.access_journal import JournalKind
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import Refused
from petition.core.form_values import MAX_BIGINT, Id, id_of, number_of
from petition.core.i18n import N_
from petition.drafts import opening
from petition.moderation.filters import UnknownFilter
from petition.organizers.model import checked_name
from petition.web import http
from petition.web.desk.access_page import note
from petition.web.desk.visit import DeskVisit, View

Form = Mapping[str, str]
Errors = Mapping[str, str]  # field ("" for the whole form) → message for the catalogues
Page = Callable[[DeskVisit, Form, Errors], Awaitable[Response]]
FormView = Callable[[DeskVisit, dict[str, str]], Awaitable[Response]]

NO_FIELDS: Mapping[str, str] = {}

TOO_MANY = N_("You have sent many invitations today. Send more tomorrow.")


class OverLimit(Refused):
    """Refused because a limit is used up, perhaps until ``retry_after`` seconds from now; answered with a 429."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def form_view(page: Page, *, status: int | None = None, max_bytes: int = http.MAX_BYTES) -> Callable[[FormView], View]:
    """Return a decorator for a view that acts on a form.

    A ``Refused`` is answered with ``page``, the form as filled in and the message at its field; with ``status`` or 422,
    unless the page chooses another status.
    """

    def decorator(view: FormView) -> View:
        @wraps(view)
        async def read_and_act(visit: DeskVisit) -> Response:
            form = await visit.form(max_bytes)
            try:
                return await view(visit, form)
            except UnknownFilter:
                raise  # an answer of its own: the page that the form stood on cannot be built
            except Refused as refused:
                response = await page(visit, form, {refused.field: refused.message})
                _refine_status(response, refused, status)
                return response

        return read_and_act

    return decorator


def _refine_status(response: Response, refused: Refused, status: int | None) -> None:
    if response.status_code != 422:  # the page's own choice, or a redirect
        return
    if isinstance(refused, OverLimit):
        response.status_code = 429
        if refused.retry_after is not None:
            response.headers["retry-after"] = str(refused.retry_after)
    elif status is not None:
        response.status_code = status


def form_id(form: Form, name: str, kind: Callable[[int], Id], max_id: int = MAX_BIGINT) -> Id:
    """Return the id in a field. Raises a 400 if it cannot be one."""
    number = id_of(form.get(name, ""), kind, max_id)
    if number is None:
        raise HTTPException(400)
    return number


def form_number(form: Form, name: str) -> int:
    """Return the number in a field. Raises a 400 if it is no non-negative bigint."""
    number = number_of(form.get(name, ""))
    if number is None:
        raise HTTPException(400)
    return number


def zone_of(visit: DeskVisit, form: Form) -> str:
    """Return the time zone in which the form's times were typed: the one that its page named, else the organizer's."""
    zone = form.get("zone")
    return zone if zone == time_zones.UTC or zone in time_zones.names() else visit.organizer.zone


def read_time(visit: DeskVisit, form: Form, name: str) -> datetime:
    """Return the time, UTC, typed into a field in the organizer's zone. Raises ``Refused`` if it has passed."""
    try:
        return opening.read_time(form.get(name, ""), zone_of(visit, form), datetime.now(UTC))
    except Refused as refused:
        raise Refused(refused.message, name) from None


def read_invitation(visit: DeskVisit, form: Form, errors: dict[str, str]) -> tuple[str, Mailbox, str] | None:
    """Return (name, mailbox, language) of an invitation; messages about bad fields are added to ``errors``."""
    name, mailbox = "", None
    try:
        name = checked_name(form.get("name", ""))
    except Refused as refused:
        errors["name"] = refused.message
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as bad:
        errors["email"] = bad.message
    lang = form["lang"] if form.get("lang") in visit.languages else visit.lang
    return (name, mailbox, lang) if mailbox else None


async def count_invitation(visit: DeskVisit, refusal: str = TOO_MANY) -> None:
    """Count an invitation, or other mail to colleagues. Raises ``OverLimit`` when the organizer's limit is used up."""
    services = visit.services
    quota = (await services.day_keys.today()).daily("invitations", str(visit.organizer.id))
    async with visit.database.transaction() as conn:
        spent = await quotas.spend(conn, {quota: 1})
    if spent[quota.key] > services.settings.limits.invitations:
        await note(visit, JournalKind.OVER_LIMIT)
        raise OverLimit(refusal)
