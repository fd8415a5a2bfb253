"""From the outbox to the relays: lease, choose, write, send, delete.

A job is a row; no transaction is open while a relay is spoken to. Once a relay has accepted a mail, its row is deleted
however long that takes: only a worker that dies between the two can have a mail accepted twice.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress
from petition.core.errors import PetitionError, Unavailable
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer, Unmailable
from petition.mail.model import MailJob, pause
from petition.mail.relays import NotNow, RelayConnections, Relays
from petition.mail.smtp_connection import NO_SUCH_MAILBOX, RecipientRefused

LEASE = timedelta(minutes=5)
SENDERS = 4  # connections to a relay
POLL = 0.5  # seconds between two looks when there is nothing to do
# After the database was away, those who have something to delete go first: they try twice as often as this.
AFTER_OUTAGE = 1.0
PATIENCE = 6.0  # seconds that mails under way are given when the worker is stopped
IDLE = 15.0  # seconds after which an unused connection is closed

log = logging.getLogger(__name__)

Act = Callable[[Connection], Awaitable[object]]


class LeaseLost(PetitionError):
    """Another worker has taken the job over."""


class Deliverer:
    """Delivers the outbox of one installation. Several may run at once, in one process or in many."""

    def __init__(self, database: Database, chooser: MailSelector, composer: Composer, relays: Relays) -> None:
        self._database = database
        self._chooser = chooser
        self._composer = composer
        self._relays = relays
        self._idle = [relays.lines() for _ in range(SENDERS)]
        self._under_way: dict[asyncio.Task[None], RelayConnections] = {}
        self._accepted: set[int] = set()  # jobs whose rows could not be deleted yet
        self._is_away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then finish what is under way, for a few seconds at most."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                seconds = await self._begin_some()
                await asyncio.wait({stopping, *self._under_way}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                self._collect()
        finally:
            stopping.cancel()
            await self._finish()

    async def _begin_some(self) -> float | None:
        """Begin as many jobs as there are free senders; return after how many seconds to look again.

        None means: as soon as one of those under way is done.
        """
        if not self._idle:
            return None
        if rest := self._relays.rest():
            return min(rest, POLL)
        jobs = await self._lease(len(self._idle))
        if jobs is None:
            return AFTER_OUTAGE
        for job in jobs:
            lines = self._idle.pop()
            self._under_way[asyncio.create_task(self._deliver(job, lines))] = lines
        if not jobs:
            for lines in self._idle:
                await lines.hang_up(idle_for=IDLE)
        return POLL if self._idle else None

    async def _lease(self, most: int) -> list[MailJob] | None:
        try:
            async with self._database.connection() as conn:
                jobs = await queries.lease(conn, most, secrets.randbits(63), LEASE)
        except Unavailable:
            self._note_outage()
            return None
        except Exception:
            log.exception("the outbox cannot be read")
            return None
        self._is_away = False
        return jobs

    def _note_outage(self) -> None:
        if not self._is_away:
            log.warning("database unavailable")
        self._is_away = True

    def _collect(self) -> None:
        for task in [each for each in self._under_way if each.done()]:
            self._idle.append(self._under_way.pop(task))

    async def _finish(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=PATIENCE)
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
                choice = await self._chooser.choose(conn, job)
            if choice is not None:
                parcel = self._composer.compose(job, choice)
                relay = await lines.send(parcel, lambda: self._still_mine(job))
                self._accepted.add(job.id)
                log.info("accepted", extra={"job": job.id, "relay": relay})
        return lambda conn: queries.done(conn, job)

    async def _still_mine(self, job: MailJob) -> None:
        """Let the lease last through the sending. Raises ``LeaseLost``, ``Unavailable``."""
        async with self._database.connection() as conn:
            if job.id in self._accepted or not await queries.extend(conn, job, LEASE):
                raise LeaseLost("another worker has this job")

    def _after(self, error: Exception, job: MailJob) -> Act | None:
        """Return what to do with the row of a job that failed."""
        match error:
            case RecipientRefused():
                log.info("refused", extra={"job": job.id, "code": error.code})
                return lambda conn: queries.refused(conn, job, error.code)
            case Unmailable() | BadAddress():
                return lambda conn: queries.refused(conn, job, NO_SUCH_MAILBOX)
            case LeaseLost():
                return None
            case Unavailable() | NotNow(tried=False):
                return lambda conn: queries.release(conn, job)
            case NotNow():
                return lambda conn: self._retry(conn, job)
        log.error("an e-mail cannot be composed", exc_info=error, extra={"job": job.id})
        return lambda conn: self._retry(conn, job)

    async def _retry(self, conn: Connection, job: MailJob) -> None:
        if await queries.retry(conn, job, pause(job.attempts + 1)):
            log.warning("given up", extra={"job": job.id, "attempt": job.attempts + 1})

    async def _settle(self, act: Act) -> bool:
        """Do it, and if the database is away, do it again until it is back; tell whether it could be done."""
        while True:
            try:
                async with self._database.connection() as conn:
                    await act(conn)
                return True
            except Unavailable:
                self._note_outage()
                await asyncio.sleep(AFTER_OUTAGE / 2)
            except Exception:  # the lease will lapse, and the job come again
                log.exception("a job cannot be settled")
                return False
