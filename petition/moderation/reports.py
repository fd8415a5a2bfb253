"""Reports by readers: that something is wrong with an entry of the public list. They change nothing but the queue."""

from collections.abc import Mapping
from dataclasses import dataclass

from petition.captcha import Passed
from petition.core import audit_log, quotas
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.core.quotas import Quota
from petition.moderation import filters
from petition.moderation import report_queries as queries
from petition.moderation.model import ReportReason
from petition.signatures import queries as signature_queries

MAX_NOTE = 500  # characters

TOO_LONG = N_("Too long: use at most 500 characters.")


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What a reader says of an entry."""

    reason: ReportReason
    note: str


def read(form: Mapping[str, str]) -> SignatureReport:
    """Return what was filled in. Raises ``Refused``."""
    note = form.get("note", "").replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE:
        raise Refused(TOO_LONG, "note")
    return SignatureReport(filters.report_reason_of(form), note)


async def add(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    signature_id: SignatureId,
    report: SignatureReport,
    passed: Passed,
    use: Quota,
    most: int,
) -> bool:
    """Add a report in this transaction; tell whether it was taken: not too many, and the challenge not used before.

    Raises ``Gone``.
    """
    await audit_log.hold_letter(conn, letter_id)
    if (await quotas.spend(conn, {use: 1}))[use.key] > most:
        return False
    if not await signature_queries.use_challenges(conn, [passed.nonce], [passed.expires_at], [None]):
        return False
    try:
        note = keys.hide({"text": report.note}) if report.note else None
    except KeyDestroyed:
        note = None
    await queries.add(conn, letter_id, signature_id, report.reason.value, note)
    return True
