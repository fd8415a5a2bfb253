"""Mail that came back: which mailbox gets no more, which recipient of a mailing got nothing, what the operator learns.

Our own token alone says which mailbox a report is about, and its status class what happened
(docs/decisions/bounces.md).
"""

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta

from petition.core.database import Connection, Database
from petition.core.errors import Unavailable
from petition.core.ids import LetterId, MailingId
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.log_summaries import LogSummary
from petition.incoming_mail import bounce_queries as queries
from petition.incoming_mail import reports
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.reports import NO_TOKEN, OLD_TOKEN, Report, ReportKind
from petition.mail.return_path import MAX_AGE, MailingMail, Reference, ReturnedToken, ReturnPaths
from petition.mailings.bounces import note_bounce

# A mailbox that does not exist may be one whose server erred for an hour: what its owner asks for then goes out again.
PAUSE_AFTER_BOUNCE = timedelta(hours=1)
PAUSE_AFTER_COMPLAINT = timedelta(days=30)

log = logging.getLogger(__name__)


class BounceReceiver:
    """Takes what comes to ``BOUNCE_DOMAIN``."""

    def __init__(self, database: Database, return_paths: ReturnPaths, keeper: KeeperClient | None = None) -> None:
        self._database = database
        self._return_paths = return_paths
        self._keeper = keeper or KeeperClient(None)
        self._sent_back = LogSummary(log, "a relay accepted mail that was then refused")

    async def receive(self, envelope_from: str, recipient: str, message: bytes) -> Outcome:
        """Act on a report; anything else is counted and forgotten. ``envelope_from`` says nothing that is believed."""
        report = await asyncio.to_thread(reports.read, message)
        token = self._return_paths.first_valid([recipient, *report.texts])
        kind = _counted_as(report, token)
        if kind == ReportKind.RELAY:
            self._sent_back.note()
        try:
            if token is not None and kind == report.kind:
                async with self._database.transaction() as conn:
                    await self._act(conn, report, token.mail, token.day)
            # By itself: no lock may follow the one on a row that every bounce changes.
            async with self._database.connection() as conn:
                await queries.count(conn, kind)
        except Unavailable:
            return Outcome.LATER
        return Outcome.UNREADABLE if report.kind is ReportKind.UNREADABLE else Outcome.DONE

    async def _act(self, conn: Connection, report: Report, mail: Reference, day: date) -> None:
        # lock order: see docs/decisions/lock-order.md
        if mail.letter_id is not None and report.kind in {ReportKind.HARD, ReportKind.COMPLAINT}:
            digest = await self._digest(conn, mail, mail.letter_id, day)
            if digest is not None:
                await self._suppress(conn, report.kind, mail.letter_id, digest)
        if isinstance(mail, MailingMail) and report.is_final:
            await note_bounce(conn, mail.letter_id, MailingId(mail.mailing_id), mail.signature_id)

    async def _digest(self, conn: Connection, mail: Reference, letter_id: LetterId, day: date) -> bytes | None:
        """Return the mailbox's digest; mails from before the letter was switched to the keeper hold the former one."""
        if isinstance(mail, MailingMail):
            return await queries.digest_of(conn, letter_id, mail.signature_id)
        if await queries.is_former(conn, letter_id, mail.digest, day):
            return (await self._keeper.apply([mail.digest], KeeperPurpose.MAIL_IN))[0]
        return mail.digest

    async def _suppress(self, conn: Connection, kind: ReportKind, letter_id: LetterId, digest: bytes) -> None:
        if kind is ReportKind.COMPLAINT:
            await queries.stop_updates(conn, letter_id, digest)
            await queries.suppress(conn, letter_id, digest, "complaint", PAUSE_AFTER_COMPLAINT)
        else:
            await queries.suppress(conn, letter_id, digest, "bounce", PAUSE_AFTER_BOUNCE)


async def lift(database: Database) -> int:
    """Let mail go again to mailboxes that have confirmed since their bounce; return how many."""
    async with database.connection() as conn:
        await queries.forget_counts(conn)
        return await queries.lift(conn)


def _counted_as(report: Report, token: ReturnedToken | None) -> str:
    if report.kind in {ReportKind.UNREADABLE, ReportKind.NO_REPORT}:
        return report.kind.value
    if token is None:
        return NO_TOKEN
    age = datetime.now(UTC).date() - token.day
    return report.kind.value if timedelta(days=-1) <= age <= MAX_AGE else OLD_TOKEN
