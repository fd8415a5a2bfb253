"""Who may do what: inviting, changing and removing members of a letter, and the installation's own organizers.

A letter always keeps an owner, the installation an admin: taking rights away holds a lock, changes only what is still
as it was displayed, and checks who is left before the transaction ends.
"""

import secrets

from petition.core import audit_log, outbox
from petition.core.database import Connection
from petition.core.email_addresses import Mailbox
from petition.core.encryption import Sealer
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import InvitationId, LetterId, OrganizerId
from petition.organizers import act_notices, factor_resets, invitations, queries
from petition.organizers import member_queries as members
from petition.organizers.act_notices import NoticedAct
from petition.organizers.desk_key import DeskKey
from petition.organizers.model import Role

LAST_OWNER = N_("A letter needs an owner. Make someone else an owner first.")
LAST_ADMIN = N_("The installation needs an admin. Make someone else an admin first.")
CHANGED = N_("Someone else changed this in the meantime. This is how it is now.")
ONLY_OWNER = N_("This organizer is the only owner of a letter. Give the letter another owner first.")
ALREADY_MEMBER = N_("This address is a member’s already. Change the role in the list above.")
ALREADY_ORGANIZER = N_("This address is an organizer’s already. No invitation was sent.")
AUDITOR_APART = N_("An auditor has no other role, and no other member becomes one: invite an auditor as such.")
NOT_UNDONE = N_("This can no longer be undone. Send an invitation instead.")


async def invite(
    conn: Connection,
    key: DeskKey,
    sealer: Sealer,
    actor_id: OrganizerId,
    letter_id: LetterId | None,
    role: Role | None,
    invitee: tuple[str, Mailbox, str],
) -> None:
    """Have the worker mail an invitation; ``invitee`` is (name, mailbox, language).

    Raises ``Refused`` for members of the letter, as its owners see its members anyway, and at the installation for
    organizers, as admins see them. Else the same for every address: only opening the link shows which are organizers'.
    """
    name, mailbox, lang = invitee
    number = secrets.randbits(62)
    digest, sealed = await key.of_mailbox(conn, mailbox), sealer.seal(mailbox.address)
    if letter_id is not None and await members.is_member(conn, letter_id, digest):
        raise Refused(ALREADY_MEMBER, "email")
    if letter_id is None and await queries.organizer_of(conn, digest):
        raise Refused(ALREADY_ORGANIZER, "email")
    await members.add_invitation(
        conn, number, letter_id, role, (name, lang, digest, sealed), actor_id, invitations.LENGTH
    )
    details: dict[str, object] = {"invitation": number}
    await outbox.enqueue(conn, invitations.PURPOSE, digest, sealed, lang, letter_id=letter_id, details=details)
    await audit_log.record(conn, actor_id, letter_id, "member.invite", ids=[number], after=role or "organizer")
    if role is Role.OWNER:
        await act_notices.notify(conn, NoticedAct.OWNER_INVITED, actor_id, letter_id)


async def cancel(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId | None, invitation_id: InvitationId
) -> None:
    """Take an invitation back; harmless if it is gone."""
    if (row := await members.cancel_invitation(conn, invitation_id, letter_id)) is not None:
        await audit_log.record(
            conn, actor_id, letter_id, "member.uninvite", ids=[invitation_id], before=row["role"] or "organizer"
        )


async def change_role(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId, before: Role, after: Role
) -> None:
    """Give a member another role. Raises ``Refused``."""
    if before is after:
        return
    if Role.AUDITOR in {before, after}:
        raise Refused(AUDITOR_APART)
    await members.lock_letter(conn, letter_id)
    if before is Role.OWNER:
        await factor_resets.stop_asked_by(conn, actor_id, letter_id, organizer_id)
    if not await members.set_role(conn, letter_id, organizer_id, before, after):
        raise Refused(CHANGED)
    await _check_owner(conn, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "member.role", ids=[organizer_id], before=before, after=after)
    if Role.OWNER in {before, after}:
        act = NoticedAct.OWNER_ADDED if after is Role.OWNER else NoticedAct.OWNER_REMOVED
        await act_notices.notify(conn, act, actor_id, letter_id, organizer_id)


async def remove(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId, before: Role
) -> None:
    """Take a member out of a letter, and revoke invitations that would let them in again. Raises ``Refused``."""
    await members.lock_letter(conn, letter_id)
    await factor_resets.stop_of_member(conn, actor_id, letter_id, organizer_id)
    if not await members.leave(conn, letter_id, organizer_id, before):
        raise Refused(CHANGED)
    await _check_owner(conn, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "member.remove", ids=[organizer_id], before=before)
    if before is Role.OWNER:
        await act_notices.notify(conn, NoticedAct.OWNER_REMOVED, actor_id, letter_id, organizer_id)
    await _uninvite(conn, actor_id, organizer_id, letter_id)


async def _uninvite(
    conn: Connection, actor_id: OrganizerId | None, organizer_id: OrganizerId, letter_id: LetterId | None
) -> None:
    command = actor_id is None
    for row in await members.drop_invitations_to(conn, organizer_id, letter_id):
        before = row["role"] or "organizer"
        await audit_log.record(
            conn, actor_id, row["letter"], "member.uninvite", ids=[row["id"]], before=before, command=command
        )


async def restore(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId) -> None:
    """Undo a removal of the last hour: the member has the role that the log says they had. Raises ``Refused``."""
    await members.lock_letter(conn, letter_id)
    role = await members.removed_role(conn, letter_id, organizer_id)
    if role is None:
        raise Refused(NOT_UNDONE)
    await members.join(conn, letter_id, organizer_id, role)
    await audit_log.record(conn, actor_id, letter_id, "member.restore", ids=[organizer_id], after=role)
    if role is Role.OWNER:
        await act_notices.notify(conn, NoticedAct.OWNER_ADDED, actor_id, letter_id, organizer_id)


async def _check_owner(conn: Connection, letter_id: LetterId) -> None:
    if not await members.owners(conn, letter_id):
        raise Refused(LAST_OWNER)


async def take_over(conn: Connection, actor_id: OrganizerId, slug: str) -> None:
    """Make an admin an owner of a letter; its members see that in its log. Raises ``NotFound``."""
    letter = await members.letter_id(conn, slug)
    if letter is None:
        raise NotFound("there is no such letter")
    await members.lock_letter(conn, letter)
    await members.join(conn, letter, actor_id, Role.OWNER)
    await audit_log.record(conn, actor_id, letter, "member.take", ids=[actor_id], after=Role.OWNER)
    await act_notices.notify(conn, NoticedAct.TAKE_OVER, actor_id, letter)


async def set_admin(conn: Connection, actor_id: OrganizerId | None, organizer_id: OrganizerId, admin: bool) -> None:
    """Make an organizer an admin of the installation, or no longer one; at the command line, no actor is known.

    Raises ``Refused``.
    """
    await members.lock_admins(conn)
    if admin:
        await factor_resets.stop_for_admin(conn, actor_id, organizer_id)
    if not await members.set_admin(conn, organizer_id, admin):
        return
    await _check_admin(conn)
    before, after = ("", "admin") if admin else ("admin", "")
    command, ids = actor_id is None, [organizer_id]
    await audit_log.record(
        conn, actor_id, None, "organizer.admin", ids=ids, before=before, after=after, command=command
    )
    act = NoticedAct.ADMIN_ADDED if admin else NoticedAct.ADMIN_REMOVED
    await act_notices.notify(conn, act, actor_id, None, organizer_id)


async def remove_organizer(conn: Connection, actor_id: OrganizerId | None, organizer_id: OrganizerId) -> None:
    """Delete an organizer with sessions, second factor, roles and invitations; harmless if gone.

    At the command line, no actor is known. Raises ``Refused``.
    """
    await members.lock_admins(conn)
    if await members.only_owner_of(conn, organizer_id):
        raise Refused(ONLY_OWNER)
    await _uninvite(conn, actor_id, organizer_id, None)
    row = await members.remove_organizer(conn, organizer_id)
    if row is None:
        return
    await _check_admin(conn)
    before, command = "admin" if row["admin"] else "", actor_id is None
    await audit_log.record(conn, actor_id, None, "organizer.remove", ids=[organizer_id], before=before, command=command)


async def _check_admin(conn: Connection) -> None:
    if not await members.lock_admins(conn):
        raise Refused(LAST_ADMIN)
