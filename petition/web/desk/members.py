"""A letter's members and invitations, for its owners."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.i18n import N_
from petition.core.ids import InvitationId, OrganizerId
from petition.organizers import factor_reset_queries, factor_resets, member_queries, members
from petition.organizers.model import Role
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, count_invitation, form_id, form_view, read_invitation
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

NO_ROLE = N_("Choose a role.")
TOO_MUCH_MAIL = N_("You have sent your colleagues much mail today. Go on tomorrow.")


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        rows = await member_queries.members(conn, visit.letter.id)
        invitations = await member_queries.invitations(conn, visit.letter.id)
        resets = await factor_reset_queries.pending_among_members(conn, visit.letter.id)
    return desk_page(
        visit,
        "desk/members.html",
        errors=errors,
        members=rows,
        invitations=invitations,
        resets=resets,
        in_reset={row["organizer"] for row in resets},
        roles=list(Role),
        form=form if "email" in form else {},  # of the invitation
        done=visit.query.get("done"),
        removed_id=id_of(visit.query.get("who", ""), OrganizerId),
    )


@form_view(show)
async def invite(visit: DeskVisit, form: Form) -> Response:
    services = visit.services
    errors: dict[str, str] = {}
    role = _role(form, "role")
    if role is None:
        errors["role"] = NO_ROLE
    invitation = read_invitation(visit, form, errors)
    if invitation is None or errors:
        return await show(visit, form, errors)
    await count_invitation(visit)
    async with visit.database.transaction() as conn:
        await members.invite(
            conn, services.desk_key, services.sealer, visit.organizer.id, visit.letter.id, role, invitation
        )
    return _redirect(visit, "invited")


async def cancel(visit: DeskVisit) -> Response:
    invitation_id = form_id(await visit.form(), "invitation", InvitationId)
    async with visit.database.transaction() as conn:
        await members.cancel(conn, visit.organizer.id, visit.letter.id, invitation_id)
    return _redirect(visit, "cancelled")


@form_view(show, status=409)
async def change(visit: DeskVisit, form: Form) -> Response:
    """Change a member's role, or remove the member."""
    before, after, remove = _role(form, "before"), _role(form, "role"), form.get("act") == "remove"
    if before is None or (after is None and not remove):
        raise HTTPException(400)
    member_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        if remove:
            await members.remove(conn, visit.organizer.id, visit.letter.id, member_id, before)
        elif after is not None:
            await members.change_role(conn, visit.organizer.id, visit.letter.id, member_id, before, after)
    if not remove:
        return _redirect(visit, "changed")
    if member_id == visit.organizer.id:
        return http.redirect(ROOT)
    return _redirect(visit, f"removed&who={member_id}")


@form_view(show, status=409)
async def restore(visit: DeskVisit, form: Form) -> Response:
    member_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        await members.restore(conn, visit.organizer.id, visit.letter.id, member_id)
    return _redirect(visit, "restored")


@form_view(show, status=409)
async def ask_for_reset(visit: DeskVisit, form: Form) -> Response:
    """Ask for the reset of a colleague's lost second factor."""
    member_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    await count_invitation(visit, TOO_MUCH_MAIL)
    async with visit.database.transaction() as conn:
        await factor_resets.ask(conn, visit.organizer.id, visit.letter.id, member_id)
    return _redirect(visit, "reset")


@form_view(show, status=409)
async def stop_reset(visit: DeskVisit, form: Form) -> Response:
    member_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        await factor_resets.stop(conn, visit.organizer.id, visit.letter.id, member_id)
    return _redirect(visit, "stopped")


def _role(form: Form, name: str) -> Role | None:
    text = form.get(name)
    return Role(text) if text in set(Role) else None


def _redirect(visit: DeskVisit, done: str) -> Response:
    return http.redirect(visit.letter_path(f"members?done={done}"))
