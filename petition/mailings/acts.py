"""What organizers do with mailings: start, undo, pause, resume, cancel, mail again to the refused, test to oneself.

Each is a row of the log in the same transaction. Publishing an update and mailing it are two acts.
"""

from datetime import UTC, datetime

from petition.core import access_journal, audit_log, outbox
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import UpdateId
from petition.mailings import queries
from petition.mailings.content import TEST
from petition.mailings.model import TRANSITIONS, UNDO_TIME, Mailing, MailingState, PauseReason

MAX_TESTS = 20  # mails an hour, organizer and letter

NOT_PUBLISHED = N_("Publish the update first: then it can be mailed.")
MAILED_ALREADY = N_("This update has been mailed already.")
NO_SUBSCRIBERS = N_("No one has asked for news and confirmed yet, so there is no one to mail it to.")
TOO_MANY_TESTS = N_("You have sent many test mails in the last hour. Try again later.")
NO_STEP = N_("Choose what to do.")


async def start(conn: Connection, actor: Actor, update_id: UpdateId, at: datetime | None = None) -> None:
    """Have an update mailed at ``at``, or soon, with time to undo it. Raises ``Refused``.

    A scheduled draft may be mailed as well: the mailing waits until it is published.
    """
    if not await queries.subscribers(conn, actor.letter_id):
        raise Refused(NO_SUBSCRIBERS)
    starts_at = at or datetime.now(UTC) + UNDO_TIME
    mailing_id = await queries.add(conn, actor.letter_id, update_id, actor.organizer_id, starts_at)
    if mailing_id is None:
        mailing = await queries.of_update(conn, actor.letter_id, update_id)
        is_mailed = mailing is not None and mailing.state is not MailingState.CANCELLED
        raise Refused(MAILED_ALREADY if is_mailed else NOT_PUBLISHED)
    await audit_log.record_by(conn, actor, "mailing.schedule" if at else "mailing.start", ids=[update_id])


async def reschedule(conn: Connection, actor: Actor, update_id: UpdateId, at: datetime) -> None:
    """Move a waiting mailing along with its update's time, if there is one."""
    await queries.reschedule(conn, actor.letter_id, update_id, at)


async def advance(conn: Connection, actor: Actor, update_id: UpdateId, step: str) -> None:
    """Undo, pause, resume, cancel, or mail again to the refused. Raises ``Refused``, ``NotFound``."""
    if step not in TRANSITIONS:
        raise Refused(NO_STEP)
    mailing = await _load(conn, actor, update_id)
    before, after = TRANSITIONS[step]
    state = await queries.lock(conn, mailing)
    if state not in before or step not in mailing.transitions:
        raise Refused(TOO_LATE, "first")
    reason = PauseReason.ORGANIZER.value if after is MailingState.PAUSED else None
    if not await queries.set_state(conn, mailing, before, after.value, reason):
        raise Refused(TOO_LATE, "first")
    if step == "cancel":
        await queries.cancel_rest(conn, mailing)
    if step == "resend":
        await queries.resend(conn, mailing)
    await audit_log.record_by(conn, actor, f"mailing.{step}", ids=[update_id], before=state, after=after.value)


async def stop_removed(conn: Connection, actor: Actor, update_id: UpdateId) -> None:
    """Pause the mailing of an update that is being removed, or cancel one that has not begun."""
    if await queries.stop_removed(conn, actor.letter_id, update_id):
        await audit_log.record_by(conn, actor, "mailing.pause", ids=[update_id], after=PauseReason.REMOVED.value)


async def test(conn: Connection, actor: Actor, update_id: UpdateId) -> None:
    """Mail an update, as it is stored, to the organizer's own address, in each of its languages. Raises ``Refused``."""
    if actor.organizer_id is None:
        raise Refused(NO_STEP)
    languages = await queries.languages(conn, actor.letter_id, update_id)
    if not languages:
        raise NotFound("there is no such update")
    sent = await access_journal.add(conn, "mail.test", actor.organizer_id, actor.letter_id, len(languages))
    if sent > MAX_TESTS:
        raise Refused(TOO_MANY_TESTS)
    organizer = await queries.organizer(conn, actor.organizer_id)
    for lang in languages:
        details: dict[str, object] = {"update": update_id}
        address = organizer["digest"], organizer["sealed"]
        await outbox.enqueue(conn, TEST, *address, lang, letter_id=actor.letter_id, details=details)
    await audit_log.record_by(conn, actor, "mailing.test", ids=[update_id])


async def set_reminder(conn: Connection, actor: Actor, *, is_on: bool) -> None:
    """Have those reminded who do not confirm within a day, or not."""
    if await queries.set_reminder(conn, actor.letter_id, is_on=is_on):
        await audit_log.record_by(conn, actor, "letter.reminder", ids=[], after="on" if is_on else "off")


async def _load(conn: Connection, actor: Actor, update_id: UpdateId) -> Mailing:
    mailing = await queries.of_update(conn, actor.letter_id, update_id)
    if mailing is None:
        raise NotFound("this update has no mailing")
    return mailing
