"""A letter's members and invitations, for its owners."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import InvitationId
from petition.organizers import member_queries, members
from petition.organizers.model import Role
from petition.web import http
from petition.web.desk import page
from petition.web.desk.forms import TOO_MANY, may_invite, number_in, organizer_in, read_invited
from petition.web.desk.visit import DeskVisit

NO_ROLE = N_("Choose a role.")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show the members and who was invited."""
    return await _page(request, who)


async def invite(request: Request, who: DeskVisit) -> Response:
    """Invite somebody by e-mail."""
    form = await http.form_of(request)
    services = http.services_of(request)
    errors: dict[str, str] = {}
    role = role_in(form.get("role"))
    if role is None:
        errors["role"] = NO_ROLE
    whom = read_invited(request, form, errors)
    if whom is None or errors:
        return await _page(request, who, errors=errors, typed=form)
    if not await may_invite(request, who):
        return await _page(request, who, errors={"": TOO_MANY}, typed=form, status=429)
    async with services.database.transaction() as conn:
        await members.invite(conn, services.desk_key, services.sealer, who.organizer.id, who.this.id, role, whom)
    return _back(who, "invited")


async def cancel(request: Request, who: DeskVisit) -> Response:
    """Take an invitation back."""
    form = await http.form_of(request)
    async with http.services_of(request).database.transaction() as conn:
        await members.cancel(conn, who.organizer.id, who.this.id, InvitationId(number_in(form, "invitation")))
    return _back(who, "cancelled")


async def change(request: Request, who: DeskVisit) -> Response:
    """Give a member another role, or take them out."""
    form = await http.form_of(request)
    before, after = role_in(form.get("before")), role_in(form.get("role"))
    if before is None or (after is None and form.get("act") != "remove"):
        raise HTTPException(400)
    member = organizer_in(form)
    given = who.organizer.id, who.this.id, member, before
    try:
        async with http.services_of(request).database.transaction() as conn:
            if form.get("act") == "remove":
                await members.remove(conn, *given)
            elif after is not None:
                await members.change_role(conn, *given, after)
    except Refused as refused:
        return await _page(request, who, errors={"": refused.message}, status=409)
    if form.get("act") == "remove":
        return http.redirect("/organizer/") if member == who.organizer.id else _back(who, f"removed&who={member}")
    return _back(who, "changed")


async def restore(request: Request, who: DeskVisit) -> Response:
    """Undo a removal."""
    form = await http.form_of(request)
    try:
        async with http.services_of(request).database.transaction() as conn:
            await members.restore(conn, who.organizer.id, who.this.id, organizer_in(form))
    except Refused as refused:
        return await _page(request, who, errors={"": refused.message}, status=409)
    return _back(who, "restored")


def role_in(text: str | None) -> Role | None:
    """Return the role that a form names."""
    return Role(text) if text in set(Role) else None


def _back(who: DeskVisit, done: str) -> Response:
    return http.redirect(f"/organizer/{who.this.slug}/members?done={done}")


async def _page(
    request: Request,
    who: DeskVisit,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 422,
) -> Response:
    async with http.services_of(request).database.connection() as conn:
        rows = await member_queries.members(conn, who.this.id)
        invited = await member_queries.invitations(conn, who.this.id)
    language = http.language_of(request)
    removed = request.query_params.get("who", "")
    return page.desk_page(
        request,
        who,
        "desk/members.html",
        status if errors else 200,
        members=rows,
        invited=invited,
        roles=list(Role),
        errors={key: language.gettext(message) for key, message in (errors or {}).items()},
        typed=typed or {},
        done=request.query_params.get("done"),
        removed=removed if removed.isdecimal() else None,
    )
