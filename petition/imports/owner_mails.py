"""The mail to every owner when e-mail addresses are imported: who has signed can be concluded from the result."""

from petition.core import outbox
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.outbox import DirectMailJob, MailContent

PURPOSE = "import_started"

OWNERS = """
SELECT o.digest, o.sealed, o.lang FROM member m JOIN organizer o ON o.id = m.organizer
WHERE m.letter = $1 AND m.role = 'owner' ORDER BY o.id
"""

DETAILS = """
SELECT l.slug, o.name AS organizer_name, i.report,
       (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles
FROM intake i JOIN letter l ON l.id = i.letter LEFT JOIN organizer o ON o.id = $3
WHERE i.letter = $1 AND i.number = $2
"""


async def notify(conn: Connection, actor: Actor, number: int, step: str) -> None:
    """Ask for a mail to every owner, also to the one who acts: a stolen session is noticed that way."""
    details: dict[str, object] = {"import": number, "organizer": actor.organizer_id, "step": step}
    for owner in await conn.fetch(OWNERS, actor.letter_id):
        columns = owner["digest"], owner["sealed"], owner["lang"]
        await outbox.enqueue(conn, PURPOSE, *columns, letter_id=actor.letter_id, details=details)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail; None if the import is gone. It has numbers of the file, never of the signatures."""
    if job.letter_id is None:
        return None
    number, organizer_id = int(str(job.details["import"])), int(str(job.details["organizer"]))
    row = await conn.fetchrow(DETAILS, job.letter_id, number, organizer_id)
    if row is None:
        return None
    titles = row["titles"] or {}
    context = {
        "title": titles.get(job.lang) or next(filter(None, titles.values()), row["slug"]),
        "who": row["organizer_name"] or f"#{organizer_id}",
        "slug": row["slug"],
        "number": number,
        "mailboxes": (row["report"] or {}).get("mailboxes", 0),
        "is_again": job.details["step"] == "redo",
    }
    return MailContent(PURPOSE, context, heeds_never=False)
