"""Addresses of signatories who asked for updates: an owner registers an age key, and requests the list encrypted to it.

A stolen session must not get the list: a new key works only after three days. Every owner is notified by mail, and any
of them can revoke it. The web never sees an address: the worker makes the list (``address_list_worker``).
"""

from datetime import timedelta

from petition.core import audit_log, outbox
from petition.core.age_keys import recipient_of
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import JobId
from petition.core.outbox import DirectMailJob, MailContent
from petition.exports import address_list_queries as queries

PURPOSE = "address_key"
WAIT = timedelta(days=3)
LIST_DAYS = 7  # after which a list is deleted

NOT_YET = N_("This key cannot be used now, or a list is already being made.")
TOO_MANY_KEYS = N_("There are already five keys. Revoke one first.")
MAX_KEYS = 5


async def register(conn: Connection, actor: Actor, typed: str) -> int:
    """Register a key and notify every owner by mail; return its id. Raises ``Refused``."""
    recipient = recipient_of(typed)
    if sum(row["revoked_at"] is None for row in await queries.load_keys(conn, actor.letter_id)) >= MAX_KEYS:
        raise Refused(TOO_MANY_KEYS, "recipient")
    key_id = await queries.add_key(conn, actor.letter_id, actor.organizer_id, recipient, WAIT)
    await audit_log.record_by(conn, actor, "address.key", ids=[key_id])
    for owner in await queries.load_owners(conn, actor.letter_id):
        await outbox.enqueue(
            conn,
            PURPOSE,
            owner["digest"],
            owner["sealed"],
            owner["lang"],
            letter_id=actor.letter_id,
            details={"key": key_id},
        )
    return key_id


async def revoke(conn: Connection, actor: Actor, key_id: int) -> None:
    """Revoke a key of any owner. Raises ``Refused`` the second time."""
    if not await queries.revoke(conn, actor.letter_id, key_id):
        raise Refused(TOO_LATE)
    await audit_log.record_by(conn, actor, "address.revoke", ids=[key_id])


async def request_list(conn: Connection, actor: Actor, key_id: int) -> JobId:
    """Enqueue a list for a key; return its id. Raises ``Refused``."""
    job_id = await queries.add_job(conn, actor.letter_id, key_id, actor.organizer_id)
    if job_id is None:
        raise Refused(NOT_YET)
    await audit_log.record_by(conn, actor, "address.ask", ids=[job_id, key_id])
    return job_id


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail that notifies an owner of a new key; None if the key was deleted meanwhile."""
    if job.letter_id is None:
        return None
    row = await queries.load_key_details(conn, job.letter_id, int(str(job.details["key"])))
    if row is None:
        return None
    titles = row["titles"] or {}
    title = titles.get(job.lang) or next(filter(None, titles.values()), row["slug"])
    context = {
        "title": title,
        "who": row["organizer_name"] or f"#{row['organizer']}",
        "slug": row["slug"],
        "usable_at": row["usable_at"],
        "key": row["recipient"],
    }
    return MailContent("address_key", context, heeds_never=False)
