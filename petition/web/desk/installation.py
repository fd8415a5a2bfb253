"""The installation's organizers and letters, for its admins.

An admin sees that a letter is there and whose it is. Its signatures are seen by its members only; an admin who makes
oneself an owner stands in the letter's log and among its members.
"""

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused
from petition.core.ids import InvitationId
from petition.organizers import member_queries, members
from petition.web import http
from petition.web.desk import page
from petition.web.desk.forms import TOO_MANY, may_invite, number_in, organizer_in, read_invited
from petition.web.desk.visit import ROOT, DeskVisit

HERE = f"{ROOT}installation"


async def show(request: Request, who: DeskVisit) -> Response:
    """Show all organizers and letters."""
    return await _page(request, who)


async def invite(request: Request, who: DeskVisit) -> Response:
    """Invite somebody to the installation, without a letter yet."""
    form = await http.form_of(request)
    services = http.services_of(request)
    errors: dict[str, str] = {}
    whom = read_invited(request, form, errors)
    if whom is None or errors:
        return await _page(request, who, errors=errors, typed=form)
    if not await may_invite(request, who):
        return await _page(request, who, errors={"": TOO_MANY}, typed=form, status=429)
    async with services.database.transaction() as conn:
        await members.invite(conn, services.desk_key, services.sealer, who.organizer.id, None, None, whom)
    return http.redirect(f"{HERE}?done=invited")


async def cancel(request: Request, who: DeskVisit) -> Response:
    """Take an invitation back."""
    form = await http.form_of(request)
    async with http.services_of(request).database.transaction() as conn:
        await members.cancel(conn, who.organizer.id, None, InvitationId(number_in(form, "invitation")))
    return http.redirect(f"{HERE}?done=cancelled")


async def admin(request: Request, who: DeskVisit) -> Response:
    """Make an organizer an admin, or no longer one."""
    form = await http.form_of(request)
    try:
        async with http.services_of(request).database.transaction() as conn:
            given = organizer_in(form), form.get("admin") == "yes"
            await members.set_admin(conn, who.organizer.id, *given)
    except Refused as refused:
        return await _page(request, who, errors={"": refused.message}, status=409)
    return http.redirect(f"{HERE}?done=admin")


async def remove(request: Request, who: DeskVisit) -> Response:
    """Delete an organizer."""
    form = await http.form_of(request)
    try:
        async with http.services_of(request).database.transaction() as conn:
            await members.remove_organizer(conn, who.organizer.id, organizer_in(form))
    except Refused as refused:
        return await _page(request, who, errors={"": refused.message}, status=409)
    return http.redirect(f"{HERE}?done=removed")


async def take_over(request: Request, who: DeskVisit) -> Response:
    """Become an owner of a letter."""
    form = await http.form_of(request)
    async with http.services_of(request).database.transaction() as conn:
        await members.take_over(conn, who.organizer.id, form.get("letter", ""))
    return http.redirect(f"{HERE}?done=taken")


async def _page(
    request: Request,
    who: DeskVisit,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 422,
) -> Response:
    async with http.services_of(request).database.connection() as conn:
        organizers = await member_queries.organizers(conn)
        letters = await member_queries.all_letters(conn, who.organizer.id)
        invited = await member_queries.invitations(conn, None)
    language = http.language_of(request)
    return page.desk_page(
        request,
        who,
        "desk/installation.html",
        status if errors else 200,
        organizers=organizers,
        letters=letters,
        invited=invited,
        errors={key: language.gettext(message) for key, message in (errors or {}).items()},
        typed=typed or {},
        done=request.query_params.get("done"),
    )
