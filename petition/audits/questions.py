"""The mailed question "did you sign?", and its answer. A question names no signature, and an answer no time."""

from petition.audits import queries
from petition.core import letter_facts
from petition.core.database import Connection
from petition.core.ids import LetterId, QuestionId
from petition.core.outbox import DirectMailJob, MailContent, MailWriter
from petition.core.tokens import Tokens

PURPOSE = "audit"  # and the folder of the templates
SIGNED, DENIED = "signed", "denied"


class AuditMails:
    """Writes the questions for the worker."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def write(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        """Return the question, without a name; None if the audit is over."""
        if job.letter_id is None:
            return None
        letter_id, question_id = job.letter_id, QuestionId(int(str(job.details["question"])))
        letter = await letter_facts.load(conn, letter_id)
        row = await queries.question(conn, letter_id, question_id)
        if letter is None or row is None:
            return None

        async def note_recipient(conn: Connection, _digest: bytes, is_suppressed: bool) -> None:
            if is_suppressed:  # since the draw
                await queries.set_unreached(conn, letter_id, question_id)

        context = {
            "slug": letter.slug,
            "token": self._tokens.for_audit(letter_id, question_id),
            "auditor": row["auditor"],
            "until": row["ends_at"],
        }
        return MailContent(PURPOSE, context, letter=letter, note_recipient=note_recipient)


def writers(tokens: Tokens) -> dict[str, MailWriter]:
    return {PURPOSE: AuditMails(tokens).write}


async def answer(conn: Connection, letter_id: LetterId, question_id: QuestionId, text: str) -> bool:
    """Store ``SIGNED`` or ``DENIED``; the last answer counts. Return False if the audit is over."""
    return await queries.answer(conn, letter_id, question_id, text)
