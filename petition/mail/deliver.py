"""From the outbox to the relays: lease, choose, write, send, delete.

A job is a row; no transaction is open during SMTP. Once a relay has accepted a mail, its row is deleted however long
that takes: only a worker that dies between the two can have a mail accepted twice.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from petition.core.backoff import Backoff
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress
from petition.core.errors import PetitionError, Unavailable
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer, Unmailable
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.model import ChosenMail, MailJob, patience, pause
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused
from petition.mail.relays import NotNow, RelayConnections, Relays
from petition.mail.summaries import LogSummary

LEASE = timedelta(minutes=5)
SENDERS = 4  # connections to a relay
POLL = 0.5  # seconds between two polls of an empty outbox
# After an outage of the database, deleting accepted jobs goes first: it is retried twice as often as this.
AFTER_OUTAGE = 1.0
PATIENCE = 6.0  # seconds that mails in flight may take when the worker stops
IDLE = 15.0  # seconds after which an unused connection is closed

log = logging.getLogger(__name__)

Act = Callable[[Connection], Awaitable[object]]


class LeaseLost(PetitionError):
    """Another worker has taken the job over."""


class Deliverer:
    """Delivers the outbox of one installation. Several may run at once, in one process or in many."""

    def __init__(
        self,
        database: Database,
        selector: MailSelector,
        composer: Composer,
        relays: Relays,
        notes: MailboxNotes | None = None,
    ) -> None:
        self._database = database
        self._selector = selector
        self._composer = composer
        self._relays = relays
        self._notes = notes
        self._idle = [relays.lines() for _ in range(SENDERS)]
        self._in_flight: dict[asyncio.Task[None], RelayConnections] = {}
        self._accepted: set[int] = set()  # jobs whose rows could not be deleted yet
        self._is_away = False
        self._reading = Backoff(AFTER_OUTAGE)
        self._put_off = LogSummary(log, "mail put off: no relay takes it now")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then finish what is in flight, for a few seconds at most."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                seconds = await self._begin_some()
                await asyncio.wait({stopping, *self._in_flight}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                self._collect()
        finally:
            stopping.cancel()
            await self._finish()

    async def _begin_some(self) -> float | None:
        """Begin as many jobs as there are free senders; return after how many seconds to look again.

        None means: as soon as one of those in flight is done.
        """
        self._put_off.flush()
        self._relays.flush_logs()
        if not self._idle:
            return None
        if rest := self._relays.rest():
            return min(rest, POLL)
        jobs = await self._lease(len(self._idle))
        if jobs is None:
            return self._reading.pause
        for job in jobs:
            lines = self._idle.pop()
            self._in_flight[asyncio.create_task(self._deliver(job, lines))] = lines
        if not jobs:
            for lines in self._idle:
                await lines.hang_up(idle_for=IDLE)
        return POLL if self._idle else None

    async def _lease(self, limit: int) -> list[MailJob] | None:
        try:
            async with self._database.connection() as conn:
                jobs = await queries.lease(conn, limit, secrets.randbits(63), LEASE)
        except Unavailable:
            self._note_outage()
            return None
        except Exception:
            log.exception("the outbox cannot be read", extra={"seconds": self._reading.failed()})
            return None
        self._is_away = False
        self._reading.worked()
        return jobs

    def _note_outage(self) -> None:
        if not self._is_away:
            log.warning("database unavailable")
        self._is_away = True

    def _collect(self) -> None:
        for task in [task for task in self._in_flight if task.done()]:
            self._idle.append(self._in_flight.pop(task))

    async def _finish(self) -> None:
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._collect()
        await asyncio.gather(*(lines.hang_up() for lines in self._idle))

    async def _deliver(self, job: MailJob, lines: RelayConnections) -> None:
        """Send one job's mail, if it becomes one, and settle its row. Raises nothing but cancellation."""
        outcome: Act | None
        try:
            outcome = await self._send(job, lines)
        except Exception as error:  # noqa: BLE001 - one mail that cannot be sent must not stop the others
            outcome = self._after(error, job)
        if outcome is not None and await self._settle(outcome):
            self._accepted.discard(job.id)

    async def _send(self, job: MailJob, lines: RelayConnections) -> Act:
        if job.id not in self._accepted:
            async with self._database.connection() as conn:
                chosen = await self._selector.choose(conn, job)
            if chosen is not None:
                mail = self._composer.compose(job, chosen)
                if self._notes and isinstance(chosen, ChosenMail) and chosen.template.leads_to_confirming:
                    await self._notes.add(chosen)
                relay = await lines.send(mail, lambda: self._still_mine(job))
                self._accepted.add(job.id)
                log.info("accepted", extra={"job": job.id, "relay": relay})
        return lambda conn: queries.done(conn, job)

    async def _still_mine(self, job: MailJob) -> None:
        """Extend the lease over the sending. Raises ``LeaseLost``, ``Unavailable``."""
        async with self._database.connection() as conn:
            if job.id in self._accepted or not await queries.extend(conn, job, LEASE):
                raise LeaseLost("another worker has this job")

    def _after(self, error: Exception, job: MailJob) -> Act | None:
        """Return what to do with the row of a job that failed."""
        match error:
            case RecipientRefused():
                log.info("mailbox refused the mail", extra={"job": job.id, "code": error.code})
                return lambda conn: queries.refused(conn, job, error.code)
            case Unmailable() | BadAddress():
                return lambda conn: queries.refused(conn, job, NO_SUCH_MAILBOX)
            case LeaseLost():
                return None
            case Unavailable() | NotNow(tried=False):
                return lambda conn: queries.release(conn, job)
            case NotNow():
                self._put_off.note()
                return lambda conn: self._retry(conn, job)
        log.error("an e-mail cannot be composed", exc_info=error, extra={"job": job.id})
        return lambda conn: self._retry(conn, job)

    async def _retry(self, conn: Connection, job: MailJob) -> None:
        if await queries.retry(conn, job, pause(job.attempts + 1), patience(job)):
            log.warning("mail given up", extra={"job": job.id, "attempt": job.attempts + 1})

    async def _settle(self, act: Act) -> bool:
        """Run ``act``, again and again while the database is unavailable; return whether it succeeded."""
        while True:
            try:
                async with self._database.connection() as conn:
                    await act(conn)
                return True
            except Unavailable:
                self._note_outage()
                await asyncio.sleep(AFTER_OUTAGE / 2)
            except Exception:  # the lease expires, and the job is taken again
                log.exception("a job cannot be settled")
                return False
