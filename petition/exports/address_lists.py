"""Addresses of those who wanted updates: an owner registers an age key, and may have the list encrypted to it.

A stolen session must not take the list: a new key works only after three days, of which every owner is told by mail,
and any of them can revoke it. The web never sees an address: the worker makes the list (``address_jobs``).
"""

import re
from datetime import timedelta

from pyrage import RecipientError, x25519

from petition.core import audit_log
from petition.core import outbox as organizers
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import JobId
from petition.core.outbox import DirectMailJob, MailContent
from petition.exports import address_list_queries as queries

PURPOSE = "address_key"
WAIT = timedelta(days=3)
DAYS_KEPT = 7  # of a list

NO_KEY = N_(
    "This is not an age public key. It starts with age1 and has 62 characters; age-keygen shows it as “Public key”."
)
PRIVATE = N_(
    "This is a secret key. Never show it to anyone. Make a new one and paste its public key, which starts with age1."
)
NOT_YET = N_("This key cannot be used now, or a list is already being made.")
TOO_MANY_KEYS = N_("There are already five keys. Revoke one first.")
MAX_KEYS = 5

_RECIPIENT = re.compile("age1[02-9ac-hj-np-z]{58}")


async def register(conn: Connection, actor: Actor, typed: str) -> int:
    """Register a key and have every owner told of it; return its id. Raises ``Refused``."""
    recipient = typed.strip()
    if "AGE-SECRET-KEY" in recipient.upper():
        raise Refused(PRIVATE, "recipient")
    if not _RECIPIENT.fullmatch(recipient):
        raise Refused(NO_KEY, "recipient")
    try:
        x25519.Recipient.from_str(recipient)
    except RecipientError:
        raise Refused(NO_KEY, "recipient") from None
    if sum(row["revoked_at"] is None for row in await queries.keys(conn, actor.letter_id)) >= MAX_KEYS:
        raise Refused(TOO_MANY_KEYS, "recipient")
    key = await queries.add_key(conn, actor.letter_id, actor.organizer_id, recipient, WAIT)
    await audit_log.record_by(conn, actor, "address.key", ids=[key])
    for owner in await queries.owners(conn, actor.letter_id):
        details: dict[str, object] = {"key": key}
        await organizers.enqueue(
            *(conn, PURPOSE, owner["digest"], owner["sealed"], owner["lang"]),
            letter_id=actor.letter_id,
            details=details,
        )
    return key


async def revoke(conn: Connection, actor: Actor, key: int) -> None:
    """Revoke a key, whoever registered it. Raises ``Refused`` the second time."""
    if not await queries.revoke(conn, actor.letter_id, key):
        raise Refused(TOO_LATE)
    await audit_log.record_by(conn, actor, "address.revoke", ids=[key])


async def ask(conn: Connection, actor: Actor, key: int) -> JobId:
    """Have the worker make a list for a key; return its id. Raises ``Refused``."""
    job = await queries.ask(conn, actor.letter_id, key, actor.organizer_id)
    if job is None:
        raise Refused(NOT_YET)
    await audit_log.record_by(conn, actor, "address.ask", ids=[job, key])
    return job


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail that tells an owner of a new key; None once the key is gone."""
    if job.letter_id is None:
        return None
    row = await queries.about_key(conn, job.letter_id, int(str(job.details["key"])))
    if row is None:
        return None
    titles = row["titles"] or {}
    title = titles.get(job.lang) or next(filter(None, titles.values()), row["slug"])
    told = {"title": title, "who": row["who"] or f"#{row['organizer']}", "slug": row["slug"]}
    return MailContent(
        "address_key", told | {"usable_at": row["usable_at"], "key": row["recipient"]}, heeds_never=False
    )
