"""Invitations: an owner enters an address, the worker mails a link, and signing in through it joins the letter."""

from datetime import timedelta

from petition.core import audit_log, letter_facts
from petition.core.database import Connection
from petition.core.ids import InvitationId, OrganizerId
from petition.core.outbox import DirectMailJob, MailContent
from petition.organizers import act_notices, member_queries, queries, sessions
from petition.organizers.act_notices import NoticedAct
from petition.organizers.model import Role

PURPOSE = "invitation"
LENGTH = timedelta(days=7)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail with a fresh link; None once the invitation has been accepted, cancelled or has expired."""
    row = await member_queries.invitation(conn, int(str(job.details["invitation"])))
    if row is None:
        return None
    token = sessions.new_token()
    await queries.add_entry(conn, sessions.digest_of(token), LENGTH, invitation_id=row["id"])
    letter = None if row["letter"] is None else await letter_facts.load(conn, row["letter"])
    context = {"token": token, "invited_by": row["invited_by"], "role": row["role"], "days": LENGTH.days}
    return MailContent("invitation", context, letter=letter)


async def organizer_of(
    conn: Connection, organizer_id: OrganizerId | None, invitation_id: InvitationId | None
) -> OrganizerId | None:
    """Return the organizer who signs in by a link; an invitation makes them an organizer, and a member of its letter.

    None if the invitation is gone by now.
    """
    if organizer_id is not None or invitation_id is None:
        return organizer_id
    row = await member_queries.take_invitation(conn, invitation_id)
    if row is None:
        return None
    joined = await queries.add_organizer(conn, row["digest"], row["sealed"], name=row["name"], lang=row["lang"])
    if row["letter"] is not None and not await member_queries.join_invited(conn, row["letter"], joined.id, row["role"]):
        return joined.id
    await audit_log.record(
        conn, joined.id, row["letter"], "member.join", ids=[joined.id], after=row["role"] or "organizer"
    )
    if row["role"] == Role.OWNER:
        await act_notices.notify(conn, NoticedAct.OWNER_ADDED, joined.id, row["letter"], joined.id)
    return joined.id
