"""Reports by readers: that something is wrong with an entry of the public list. They change nothing but the queue."""

from collections.abc import Mapping
from dataclasses import dataclass

from petition.captcha import Passed
from petition.core import audit_log, quotas
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.quotas import Use
from petition.moderation import filters
from petition.moderation import report_queries as queries
from petition.moderation.model import Complaint
from petition.signatures import queries as signature_queries

LONGEST_NOTE = 500  # characters

TOO_LONG = N_("Too long: use at most 500 characters.")


@dataclass(frozen=True, slots=True)
class Report:
    """What a reader says of an entry."""

    reason: Complaint
    note: str


def read(form: Mapping[str, str]) -> Report:
    """Return what was filled in. Raises ``Refused``."""
    note = form.get("note", "").replace("\r\n", "\n").strip()
    if len(note) > LONGEST_NOTE:
        raise Refused(TOO_LONG, "note")
    return Report(filters.complaint_of(form), note)


async def add(
    conn: Connection, letter: int, keys: LetterKeys, signature: int, report: Report, passed: Passed, use: Use, most: int
) -> bool:
    """Add a report in this transaction; tell whether it was taken: not too many, and the challenge not used before.

    Raises ``Gone``.
    """
    await audit_log.hold(conn, letter)
    if (await quotas.use(conn, {use: 1}))[use.key] > most:
        return False
    if not await signature_queries.use_challenges(conn, [passed.nonce], [passed.expires_at], [None]):
        return False
    try:
        note = keys.hide({"text": report.note}) if report.note else None
    except KeyDestroyed:
        note = None
    await queries.add(conn, letter, signature, report.reason.value, note)
    return True
