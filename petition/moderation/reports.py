"""Reports by readers that an entry of the public list is wrong. They change only the queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from petition.captcha import Passed
from petition.core import audit_log, quotas
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.core.quotas import Quota
from petition.moderation import filters
from petition.moderation.model import ReportReason
from petition.signatures import queries as signature_queries

MAX_NOTE = 500  # characters

TOO_LONG = N_("Too long: use at most 500 characters.")


PERSON = """
SELECT id, name, NULL AS name_en, NULL AS name_ru FROM signature
WHERE letter = $1 AND id = $2 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public'
"""

# A report on an organization is stored with the first of its signatures.
ORGANIZATION = """
SELECT s.id, NULL AS name, o.name_en, o.name_ru
FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
WHERE o.letter = $1 AND o.id = $2 ORDER BY s.listed_at, s.id LIMIT 1
"""

ADD_REPORT = """
WITH flagged AS (
  UPDATE signature SET flags = array_append(array_remove(flags, 'reported'), 'reported')
  WHERE letter = $1 AND id = $2 AND state = 'confirmed' RETURNING letter, id
)
INSERT INTO report (letter, signature, reason, note) SELECT letter, id, $3, $4 FROM flagged
"""


class ReportOutcome(Enum):
    """What became of a report."""

    STORED = auto()
    REFUSED = auto()  # too many from this network
    CHALLENGE_USED = auto()


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What a reader reports of an entry."""

    reason: ReportReason
    note: str


def parse(form: Mapping[str, str]) -> SignatureReport:
    """Raises ``Refused``."""
    note = form.get("note", "").replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE:
        raise Refused(TOO_LONG, "note")
    return SignatureReport(filters.report_reason_of(form), note)


async def entry(conn: Connection, letter_id: LetterId, kind: str, id: int) -> Record | None:
    """Return the signature behind an entry of the public list, with the names in it."""
    return await conn.fetchrow(PERSON if kind == "person" else ORGANIZATION, letter_id, id)


async def add(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    signature_id: SignatureId,
    report: SignatureReport,
    *,
    passed: Passed,
    quota: Quota,
    limit: int | None,
) -> ReportOutcome:
    """Add a report, if the signature still counts, in this transaction; ``limit`` None is no limit.

    What is not stored counts nowhere. Raises ``Gone``.
    """
    # lock order: see docs/decisions/lock-order.md
    await audit_log.hold_letter(conn, letter_id)
    if not await signature_queries.use_challenges(conn, [passed.nonce], [passed.expires_at], [None]):
        return ReportOutcome.CHALLENGE_USED
    used = (await quotas.spend(conn, {quota: 1}))[quota.key]
    if limit is not None and used > limit:
        await quotas.give_back(conn, {quota: 1})
        await signature_queries.release_challenges(conn, [passed.nonce])
        return ReportOutcome.REFUSED
    try:
        note = keys.hide({"text": report.note}) if report.note else None
    except KeyDestroyed:
        note = None
    await conn.execute(ADD_REPORT, letter_id, signature_id, report.reason.value, note)
    return ReportOutcome.STORED
