"""One-time links: fifteen minutes, one use. The page they open shows a button; pressing it enters.

The web never looks whether an address is an organizer's: it writes the same row for every address, and the worker,
which mails the link, finds out.
"""

from datetime import timedelta

from petition.core import audit_log, outbox
from petition.core.database import Connection
from petition.core.email_addresses import Mailbox
from petition.core.encryption import Sealer
from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob, MailContent
from petition.organizers import queries, sessions
from petition.organizers.desk_key import DeskKey
from petition.organizers.model import Organizer

PURPOSE = "entry"
MINUTES = 15


async def ask(conn: Connection, key: DeskKey, sealer: Sealer, mailbox: Mailbox, lang: str) -> None:
    """Have the worker mail a link to ``mailbox``, if it is an organizer's."""
    digest = await key.of_mailbox(conn, mailbox)
    await outbox.enqueue(conn, PURPOSE, digest, sealer.seal(mailbox.address), lang)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail with a fresh link; None for an address that is no organizer's."""
    organizer = await queries.organizer_of(conn, job.digest)
    if organizer is None:
        return None
    context = {"token": await link(conn, organizer.id), "minutes": MINUTES}
    # An organizer added by a command has no language until the first visit; the form was read in some language.
    chosen = await queries.has_entered(conn, organizer.id)
    return MailContent("entry", context, lang=organizer.lang if chosen else job.lang, heeds_never=False)


async def link(conn: Connection, organizer_id: OrganizerId) -> str:
    token = sessions.new_token()
    await queries.add_entry(conn, sessions.digest_of(token), timedelta(minutes=MINUTES), organizer_id=organizer_id)
    return token


async def add_organizer(
    conn: Connection, key: DeskKey, sealer: Sealer, mailbox: Mailbox, *, lang: str, admin: bool
) -> Organizer:
    """Add an organizer by command, or return the one with that mailbox; ``admin`` makes one of either."""
    digest = await key.of_mailbox(conn, mailbox)
    before = await queries.organizer_of(conn, digest)
    organizer = await queries.add_organizer(conn, digest, sealer.seal(mailbox.address), lang=lang, admin=admin)
    if before is None:
        after = "admin" if admin else ""
        await audit_log.record(conn, None, None, "organizer.add", ids=[organizer.id], after=after, command=True)
    elif organizer.admin and not before.admin:
        await queries.rights_changed(conn, organizer.id)
        await audit_log.record(conn, None, None, "organizer.admin", ids=[organizer.id], after="admin", command=True)
    return organizer
