"""What a mailing does by itself: begin at its time, end, pause when too much is refused; with rows of the log."""

from collections.abc import Sequence

from petition.core import audit_log, letter_facts, outbox
from petition.core.database import Connection, Database, Record
from petition.core.ids import LetterId, MailingId, UpdateId
from petition.core.outbox import DirectMailJob, MailContent
from petition.mailings import content
from petition.mailings import sending_queries as queries
from petition.mailings.model import MailingState

PAUSED_MAIL = "mailing_paused"  # the outbox's purpose, and the folder of the templates
STAMPS = 5000  # deleted in a transaction


async def start_due(database: Database, base_url: str) -> int:
    """Begin the mailings whose time has come; return how many."""
    async with database.connection() as conn:
        due = await queries.due(conn)
    return sum([await _start(database, letter_id, mailing_id, base_url) for letter_id, mailing_id in due])


async def _start(database: Database, letter_id: LetterId, mailing_id: MailingId, base_url: str) -> bool:
    async with database.transaction() as conn:
        row = await queries.lock_waiting(conn, letter_id, mailing_id)
        if row is None:  # another worker was first, or an organizer has undone it
            return False
        await queries.start(conn, letter_id, mailing_id, content.for_mail(row["shown"], base_url))
        await audit_log.record(conn, None, letter_id, "mailing.begin", ids=[row["news"]])
        return True


async def note(conn: Connection, moved: Sequence[Record]) -> None:
    """Record what mailings did by themselves, and mail organizers about a pause."""
    for row in moved:
        is_paused = row["state"] == MailingState.PAUSED
        act = "mailing.refused" if is_paused else "mailing.done"
        await audit_log.record(conn, None, row["letter"], act, ids=[row["news"]], after=row["state"])
        if is_paused:
            await _mail_editors(conn, row["letter"], row["news"])


async def _mail_editors(conn: Connection, letter_id: LetterId, update_id: UpdateId) -> None:
    details: dict[str, object] = {"update": update_id}
    for row in await queries.editors(conn, letter_id):
        address = row["digest"], row["sealed"], row["lang"]
        await outbox.enqueue(conn, PAUSED_MAIL, *address, letter_id=letter_id, details=details)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail about a mailing that has paused itself."""
    facts = job.letter_id and await letter_facts.load(conn, job.letter_id)
    if not facts:
        return None
    context = {"slug": facts.slug, "update": int(str(job.details["update"]))}
    return MailContent(PAUSED_MAIL, context, heeds_never=False, letter=facts)


async def drop_stamps(database: Database) -> int:
    """Delete the stamps of mailings that ended long ago, their numbers stay; and settle what a cancelled one left."""
    async with database.transaction() as conn:
        await queries.drop_left(conn)
    total, dropped = 0, STAMPS
    while dropped == STAMPS:
        async with database.transaction() as conn:
            dropped = await queries.drop_stamps(conn, STAMPS)
        total += dropped
    return total
