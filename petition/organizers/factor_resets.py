"""Resets of a lost second factor: an owner asks for one for a colleague, and it happens a day later.

A stolen session must not open another account: asking needs the owner's own factor again, every owner of every letter
that the colleague works on is notified by mail, and so is the colleague; any of them can stop it. Why:
docs/decisions/factor-resets.md. Locks: the letter, then the pending row, then sessions.
"""

from collections.abc import Iterable
from datetime import timedelta

from petition.core import audit_log, outbox
from petition.core.database import Connection, Database, Record
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId
from petition.core.outbox import DirectMailJob, MailContent
from petition.organizers import device_queries, factor_queries, member_queries
from petition.organizers import factor_reset_queries as queries
from petition.organizers import queries as organizer_queries

ASKED, DONE = "factor_reset", "factor_reset_done"  # purposes, and folders of templates
WAIT = timedelta(days=1)

NO_MEMBER = N_("This organizer no longer works on the letter.")
NO_LONGER_OWNER = N_("Only an owner of the letter can do this.")
OWN_FACTOR = N_("Another owner has to do this for you.")
OF_ADMIN = N_("The second factor of an admin can be reset only on the server: “petition organizer reset”.")
NO_FACTOR = N_("This organizer has no second factor. Signing in is enough to set one up.")
IS_PENDING = N_("This second factor is being reset already.")
NOT_PENDING = N_("Nothing is left to stop: the reset has been stopped or carried out.")


async def ask(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId) -> None:
    """Ask for the reset of a colleague's second factors; mail all who can stop it. Raises ``Refused``."""
    if organizer_id == actor_id:
        raise Refused(OWN_FACTOR)
    await member_queries.lock_letter(conn, letter_id)
    _check(await queries.colleague(conn, letter_id, organizer_id, actor_id))
    if not await queries.add(conn, organizer_id, letter_id, actor_id, WAIT):
        raise Refused(IS_PENDING)
    await audit_log.record(conn, actor_id, letter_id, "factor.reset_ask", ids=[organizer_id])
    for row in await queries.recipients(conn, organizer_id):
        await _enqueue(conn, ASKED, row, organizer=organizer_id, recipient=row["id"])


def _check(colleague: Record | None) -> None:
    if colleague is None:
        raise Refused(NO_MEMBER)
    if not colleague["owner_asks"]:
        raise Refused(NO_LONGER_OWNER)
    if colleague["admin"]:
        raise Refused(OF_ADMIN)
    if not colleague["has_factor"]:
        raise Refused(NO_FACTOR)


async def stop(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId) -> None:
    """Stop the reset for a member of a letter that the actor owns. Raises ``Refused`` if none is pending."""
    if not await _record_stops(conn, actor_id, await queries.stop_for_member(conn, letter_id, organizer_id)):
        raise Refused(NOT_PENDING)


async def stop_own(conn: Connection, organizer_id: OrganizerId) -> None:
    """Stop the reset of one's own second factors. Raises ``Refused`` if none is pending."""
    if not await _record_stops(conn, organizer_id, await queries.stop(conn, organizer_id)):
        raise Refused(NOT_PENDING)


async def stop_for_admin(conn: Connection, actor_id: OrganizerId | None, organizer_id: OrganizerId) -> None:
    """Stop the reset for an organizer who becomes an admin; harmless if none is pending."""
    await _record_stops(conn, actor_id, await queries.stop(conn, organizer_id))


async def stop_of_member(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId
) -> None:
    """Stop what a member who is taken out of a letter has asked for there, or what was asked for them."""
    await _record_stops(conn, actor_id, await queries.stop_of_member(conn, letter_id, organizer_id))


async def stop_asked_by(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, organizer_id: OrganizerId
) -> None:
    """Stop what an organizer has asked for as a letter's owner and no longer is."""
    await _record_stops(conn, actor_id, await queries.stop_asked_by(conn, letter_id, organizer_id))


async def _record_stops(conn: Connection, actor_id: OrganizerId | None, stopped: Iterable[Record]) -> bool:
    """Write stopped resets into the log; return whether there were any."""
    rows = list(stopped)
    for row in rows:
        await audit_log.record(conn, actor_id, row["letter"], "factor.reset_stop", ids=[row["organizer"]])
    return bool(rows)


async def remove_all(conn: Connection, organizer_id: OrganizerId) -> None:
    """Remove an organizer's second factors and recovery codes, end all sessions, and forget all browsers.

    A pending reset goes as well: it would remove the factor that is set up next.
    """
    await queries.stop(conn, organizer_id)
    await factor_queries.drop_all(conn, organizer_id)
    await device_queries.forget_others(conn, organizer_id, 0)
    await organizer_queries.end_others(conn, organizer_id, 0)


async def carry_out_due(database: Database) -> int:
    """Carry out the resets whose day is over; return how many. Raises ``Unavailable``."""
    async with database.connection() as conn:
        due = await queries.due(conn)
    return sum([await _carry_out(database, row["organizer"], row["letter"]) for row in due])


async def _carry_out(database: Database, organizer_id: OrganizerId, letter_id: LetterId) -> bool:
    async with database.transaction() as conn:
        await member_queries.lock_letter(conn, letter_id)  # roles stay as they are
        stands = await queries.claim(conn, organizer_id, letter_id)
        if stands is None:
            return False
        act = "factor.reset" if stands else "factor.reset_stop"
        await audit_log.record(conn, None, letter_id, act, ids=[organizer_id])
        recipient = await queries.recipient(conn, organizer_id)
        if stands and recipient is not None:
            await remove_all(conn, organizer_id)
            await _enqueue(conn, DONE, recipient, organizer=organizer_id)
    return stands


async def _enqueue(conn: Connection, purpose: str, row: Record, **details: object) -> None:
    await outbox.enqueue(conn, purpose, row["digest"], row["sealed"], row["lang"], details=details)


async def write_asked(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail that announces the reset; None if the reset was stopped, or the recipient can stop nothing.

    It reaches recipients who want no other mail, too.
    """
    organizer_id, recipient_id = _id_in(job, "organizer"), _id_in(job, "recipient")
    row, recipient = await queries.pending_of(conn, organizer_id), await queries.recipient(conn, recipient_id)
    slug = await queries.letter_of_both(conn, organizer_id, recipient_id)
    is_own = organizer_id == recipient_id
    if row is None or recipient is None or (slug is None and not is_own):
        return None
    context = {
        "is_own": is_own,
        "name": row["name"] or f"#{organizer_id}",
        "asker": row["asker_name"] or f"#{row['asked_by']}",
        "due_at": row["due_at"],
        "zone": recipient["zone"],
        "slug": slug,
    }
    return MailContent(ASKED, context, lang=recipient["lang"], heeds_never=False)


async def write_done(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail that says that a new second factor can be set up; None if the organizer is gone."""
    recipient = await queries.recipient(conn, _id_in(job, "organizer"))
    return MailContent(DONE, {}, lang=recipient["lang"], heeds_never=False) if recipient else None


def _id_in(job: DirectMailJob, name: str) -> OrganizerId:
    return OrganizerId(int(str(job.details[name])))
