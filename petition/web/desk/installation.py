"""The installation's organizers and letters, for its admins.

An admin sees that a letter exists and who owns it, but its signatures only as a member; an admin who becomes an owner
is recorded in the letter's log and listed among its members.
"""

from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER
from petition.core.ids import InvitationId, OrganizerId
from petition.mirrors import queries as mirror_queries
from petition.organizers import member_queries, members
from petition.web import http
from petition.web.desk import keeper_part
from petition.web.desk.forms import NO_FIELDS, Errors, Form, count_invitation, form_id, form_view, read_invitation
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

INSTALLATION = f"{ROOT}installation"


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        organizers = await member_queries.organizers(conn)
        letters = await member_queries.all_letters(conn, visit.organizer.id)
        mirrors = {row["slug"]: row for row in await mirror_queries.all_letters(conn)}
        invitations = await member_queries.invitations(conn, None)
    keeper = await keeper_part.report(visit.services.keeper)
    return desk_page(
        visit,
        "desk/installation.html",
        errors=errors,
        organizers=organizers,
        letters=letters,
        mirrors=mirrors,
        keeper=keeper,
        invitations=invitations,
        form=form if "email" in form else {},  # of the invitation
        done=visit.query.get("done"),
    )


@form_view(show)
async def invite(visit: DeskVisit, form: Form) -> Response:
    """Invite an organizer to the installation, without a letter yet."""
    services = visit.services
    errors: dict[str, str] = {}
    invitation = read_invitation(visit, form, errors)
    if invitation is None or errors:
        return await show(visit, form, errors)
    await count_invitation(visit)
    async with visit.database.transaction() as conn:
        await members.invite(conn, services.desk_key, services.sealer, visit.organizer.id, None, None, invitation)
    return http.redirect(f"{INSTALLATION}?done=invited")


async def cancel(visit: DeskVisit) -> Response:
    invitation_id = form_id(await visit.form(), "invitation", InvitationId)
    async with visit.database.transaction() as conn:
        await members.cancel(conn, visit.organizer.id, None, invitation_id)
    return http.redirect(f"{INSTALLATION}?done=cancelled")


@form_view(show, status=409)
async def admin(visit: DeskVisit, form: Form) -> Response:
    """Make an organizer an admin, or no longer one."""
    organizer_id = form_id(form, "organizer", OrganizerId, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        await members.set_admin(conn, visit.organizer.id, organizer_id, form.get("admin") == "yes")
    return http.redirect(f"{INSTALLATION}?done=admin")


@form_view(show, status=409)
async def remove(visit: DeskVisit, form: Form) -> Response:
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
