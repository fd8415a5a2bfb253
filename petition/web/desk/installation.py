"""The installation's organizers and letters, for its admins.

An admin sees that a letter exists and who owns it, but its signatures only as a member; an admin who becomes an owner
is recorded in the letter's log and listed among its members.
"""

from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER
from petition.core.ids import InvitationId, OrganizerId
from petition.organizers import member_queries, members
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, TOO_MANY, Errors, Form, form_id, form_view, may_invite, read_invitation
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

INSTALLATION = f"{ROOT}installation"


async def show(visit: DeskVisit) -> Response:
    """Show all organizers and letters."""
    return await _page(visit)


async def invite(visit: DeskVisit) -> Response:
    """Invite an organizer to the installation, without a letter yet."""
    form, services = await visit.form(), visit.services
    errors: dict[str, str] = {}
    invitation = read_invitation(visit, form, errors)
    if invitation is None or errors:
        return await _page(visit, form, errors)
    if not await may_invite(visit):
        return await _page(visit, form, {"": TOO_MANY}, 429)
    async with visit.database.transaction() as conn:
        await members.invite(conn, services.desk_key, services.sealer, visit.organizer.id, None, None, invitation)
    return http.redirect(f"{INSTALLATION}?done=invited")


async def cancel(visit: DeskVisit) -> Response:
    """Cancel an invitation."""
    invitation_id = form_id(await visit.form(), "invitation", InvitationId)
    async with visit.database.transaction() as conn:
        await members.cancel(conn, visit.organizer.id, None, invitation_id)
    return http.redirect(f"{INSTALLATION}?done=cancelled")


async def _page(
    visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS, status: int | None = None
) -> Response:
    async with visit.database.connection() as conn:
        organizers = await member_queries.organizers(conn)
        letters = await member_queries.all_letters(conn, visit.organizer.id)
        invitations = await member_queries.invitations(conn, None)
    return desk_page(
        visit,
        "desk/installation.html",
        status=status,
        errors=errors,
        organizers=organizers,
        letters=letters,
        invitations=invitations,
        form=form,
        done=visit.query.get("done"),
    )


async def _show_conflict(visit: DeskVisit, _form: Form, errors: Errors) -> Response:
    return await _page(visit, {}, errors, 409)


@form_view(_show_conflict)
async def admin(visit: DeskVisit, form: Form) -> Response:
    """Make an organizer an admin, or no longer one."""
    organizer_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        await members.set_admin(conn, visit.organizer.id, organizer_id, form.get("admin") == "yes")
    return http.redirect(f"{INSTALLATION}?done=admin")


@form_view(_show_conflict)
async def remove(visit: DeskVisit, form: Form) -> Response:
    """Delete an organizer."""
    organizer_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        await members.remove_organizer(conn, visit.organizer.id, organizer_id)
    return http.redirect(f"{INSTALLATION}?done=removed")


async def take_over(visit: DeskVisit) -> Response:
    """Become an owner of a letter."""
    form = await visit.form()
    async with visit.database.transaction() as conn:
        await members.take_over(conn, visit.organizer.id, form.get("letter", ""))
    return http.redirect(f"{INSTALLATION}?done=taken")
