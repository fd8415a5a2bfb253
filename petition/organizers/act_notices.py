"""Mails to a letter's owners, or to the admins, about acts that take names or give and take rights.

The act calls ``notify`` in its own transaction. A stolen session must not flood colleagues: of each act by one
organizer on one letter, only the first of an hour is mailed; the mail says where the others are (docs/decisions/
fresh-factor.md).
"""

from datetime import UTC, datetime
from enum import StrEnum

from petition.core import access_journal, letter_facts, outbox
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId
from petition.core.outbox import DirectMailJob, MailContent

PURPOSE = "desk_act"  # and the folder of the templates


class NoticedAct(StrEnum):
    """What is mailed about; the templates have a sentence for each."""

    EXPORT = "export"
    NAMES_SHOWN = "names_shown"  # hidden names are public again
    TAKE_DOWN = "take_down"
    TAKE_OVER = "take_over"
    OWNER_INVITED = "owner_invited"
    OWNER_ADDED = "owner_added"
    OWNER_REMOVED = "owner_removed"
    AUDIT_ANNOUNCED = "audit_announced"
    ADMIN_ADDED = "admin_added"
    ADMIN_REMOVED = "admin_removed"


# The organizer that the act was about gets the mail as well, and the author: it may not have been theirs.
OWNERS = """
SELECT o.digest, o.sealed, o.lang FROM organizer o
WHERE o.id IN (SELECT m.organizer FROM member m WHERE m.letter = $1 AND m.role = 'owner') OR o.id = $2 OR o.id = $3
ORDER BY o.id
"""

ADMINS = "SELECT o.digest, o.sealed, o.lang FROM organizer o WHERE o.admin OR o.id = $1 OR o.id = $2 ORDER BY o.id"

RECIPIENT = "SELECT lang, zone FROM organizer WHERE digest = $1"

NAME = "SELECT coalesce(nullif(name, ''), '#' || id) FROM organizer WHERE id = $1"

SLUG = "SELECT slug FROM letter WHERE id = $1"


async def notify(
    conn: Connection,
    act: NoticedAct,
    actor_id: OrganizerId | None,
    letter_id: LetterId | None,
    subject_id: OrganizerId | None = None,
) -> None:
    """Mail all owners of a letter, or (None) all admins, about an act on it, or on the organizer ``subject_id``.

    Nothing for an act of the command line (``actor_id`` is None), and for the second of an hour.
    """
    if actor_id is None or await access_journal.add(conn, f"mail.{act}", actor_id, letter_id) > 1:
        return
    details: dict[str, object] = {
        "act": act.value,
        "organizer": actor_id,
        "subject": subject_id or 0,
        "letter": letter_id or 0,
        "slug": await conn.fetchval(SLUG, letter_id) if letter_id else "",
        "at": datetime.now(UTC).isoformat(),
    }
    for row in await _recipients(conn, letter_id, actor_id, subject_id):
        # About no letter: the mail about a take-down must not go with the letter's rows.
        await outbox.enqueue(conn, PURPOSE, row["digest"], row["sealed"], row["lang"], details=details)


async def _recipients(
    conn: Connection, letter_id: LetterId | None, actor_id: OrganizerId, subject_id: OrganizerId | None
) -> list[Record]:
    if letter_id is None:
        return await conn.fetch(ADMINS, actor_id, subject_id)
    return await conn.fetch(OWNERS, letter_id, actor_id, subject_id)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail about an act; None if the recipient is no organizer any more. It cannot be turned off."""
    recipient, details = await conn.fetchrow(RECIPIENT, job.digest), job.details
    if recipient is None:
        return None
    act, letter_id = NoticedAct(str(details["act"])), LetterId(int(str(details["letter"])))
    is_gone = act is NoticedAct.TAKE_DOWN
    context = {
        "act": act.value,
        "actor": await _name(conn, details["organizer"]),
        "subject": await _name(conn, details["subject"]),
        "slug": details["slug"],
        "has_page": bool(letter_id) and not is_gone,
        "at": datetime.fromisoformat(str(details["at"])),
        "zone": recipient["zone"],
    }
    facts = await letter_facts.load(conn, letter_id) if letter_id and not is_gone else None
    return MailContent(PURPOSE, context, lang=recipient["lang"], heeds_never=False, letter=facts)


async def _name(conn: Connection, organizer_id: object) -> str:
    name: str | None = await conn.fetchval(NAME, int(str(organizer_id)))
    return name or f"#{organizer_id}"
