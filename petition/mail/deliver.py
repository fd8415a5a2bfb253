"""From the outbox to the relays: lease, choose, write, send, delete.

A job is a row; no transaction is open during SMTP. Once a relay has accepted a mail, its row is deleted however long
that takes: only a worker that dies between the two can have a mail accepted twice.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from petition.core.backoff import Backoff
from petition.core.batching import Batcher
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress
from petition.core.errors import PetitionError, Unavailable
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.mime import Unmailable
from petition.mail.model import ChosenMail, MailJob, patience, pause
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused
from petition.mail.relays import NotNow, Relays
from petition.mail.summaries import LogSummary

LEASE = timedelta(minutes=5)
SENDERS = 8  # mails in progress at once; each relay has a limit of its own
SENDERS_IN_BULK = 2  # as many more, for jobs in bulk
SLOW = 1.0  # seconds after which a mail in progress, perhaps at a relay that hangs, no longer holds up others
MAX_IN_FLIGHT = 64
RENEW_AFTER = 60.0  # seconds; a younger lease is not extended before the mail is sent
POLL = 0.5  # seconds between two polls of an empty outbox
# After an outage of the database, deleting accepted jobs goes first: it is retried twice as often as this.
AFTER_OUTAGE = 1.0
PATIENCE = 6.0  # seconds that mails in flight may take when the worker stops
IDLE = 15.0  # seconds after which an unused connection is closed

log = logging.getLogger(__name__)

Act = Callable[[Connection], Awaitable[object]]


class LeaseLost(PetitionError):
    """Another worker has taken the job over."""


class Flight:
    """A leased job on its way, and how old its lease is: by both clocks, since one of them stops with the machine."""

    def __init__(self, job: MailJob) -> None:
        self.job = job
        self.renew()

    def renew(self) -> None:
        self._at, self._at_by_wall = time.monotonic(), time.time()

    def age(self) -> float:
        """Return how many seconds ago the job was leased."""
        return max(time.monotonic() - self._at, abs(time.time() - self._at_by_wall))


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
        self._in_flight: dict[asyncio.Task[None], Flight] = {}
        self._done = Batcher[MailJob, None](self._delete)
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
        free = self._free()
        if free < SENDERS // 2:  # so that a lease is of several
            return SLOW
        if rest := self._relays.rest():
            return min(rest, POLL)
        in_bulk = sum(flight.job.bulk for flight in self._in_flight.values())
        jobs = await self._lease(free, max(0, SENDERS_IN_BULK - in_bulk))
        if jobs is None:
            return self._reading.pause
        for job in jobs:
            flight = Flight(job)
            self._in_flight[asyncio.create_task(self._deliver(flight))] = flight
        if not jobs:
            await self._relays.hang_up(idle_for=IDLE)
        return POLL

    def _free(self) -> int:
        """Return how many more mails may begin: slow ones do not count, as long as there are not very many."""
        busy = sum(not flight.job.bulk and flight.age() < SLOW for flight in self._in_flight.values())
        return min(SENDERS - busy, MAX_IN_FLIGHT - len(self._in_flight))

    async def _lease(self, limit: int, limit_in_bulk: int) -> list[MailJob] | None:
        try:
            async with self._database.connection() as conn:
                jobs = await queries.lease(conn, limit, secrets.randbits(63), LEASE, limit_in_bulk)
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
            del self._in_flight[task]

    async def _finish(self) -> None:
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._collect()
        await self._relays.hang_up()

    async def _deliver(self, flight: Flight) -> None:
        """Send one job's mail, if it becomes one, and settle its row. Raises nothing but cancellation."""
        job, outcome = flight.job, None
        try:
            await self._send(flight)
        except Exception as error:  # noqa: BLE001 - one mail that cannot be sent must not stop the others
            outcome = self._after(error, job)
            if outcome is None:
                return
        if await self._settle(job, outcome):
            self._accepted.discard(job.id)

    async def _send(self, flight: Flight) -> None:
        job = flight.job
        if job.id in self._accepted:
            return
        async with self._database.connection() as conn:
            chosen = await self._selector.choose(conn, job)
        if chosen is None:
            return
        mail = self._composer.compose(job, chosen)
        if self._notes and isinstance(chosen, ChosenMail) and chosen.template.leads_to_confirming:
            await self._notes.add(chosen)
        relay = await self._relays.send(mail, lambda: self._still_mine(flight), bulk=job.bulk, first=job.relay)
        self._accepted.add(job.id)
        log.info("accepted", extra={"job": job.id, "relay": relay})

    async def _still_mine(self, flight: Flight) -> None:
        """Extend an older lease over the sending. Raises ``LeaseLost``, ``Unavailable``."""
        if flight.job.id not in self._accepted and flight.age() < RENEW_AFTER:
            return
        async with self._database.connection() as conn:
            if flight.job.id in self._accepted or not await queries.extend(conn, flight.job, LEASE):
                raise LeaseLost("another worker has this job")
        flight.renew()

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
            case Unavailable():
                return lambda conn: queries.release(conn, job)
            case NotNow(tried=False):
                return lambda conn: queries.release(conn, job, error.after or timedelta())
            case NotNow():
                self._put_off.note()
                return lambda conn: self._retry(conn, job, error.after, error.relay)
        log.error("an e-mail cannot be composed", exc_info=error, extra={"job": job.id})
        return lambda conn: self._retry(conn, job)

    async def _retry(
        self, conn: Connection, job: MailJob, after: timedelta | None = None, relay: str | None = None
    ) -> None:
        wait = max(after or timedelta(), pause(job.attempts + 1))
        if await queries.retry(conn, job, wait, patience(job), relay):
            log.warning("mail given up", extra={"job": job.id, "attempt": job.attempts + 1})

    async def _delete(self, jobs: Sequence[MailJob]) -> list[None]:
        async with self._database.connection() as conn:
            await queries.done(conn, [job.id for job in jobs])
        return [None] * len(jobs)

    async def _settle(self, job: MailJob, act: Act | None) -> bool:
        """Run ``act``, or delete the job, again and again while the database is away; return whether it succeeded."""
        while True:
            try:
                if act is None:
                    await self._done.submit(job)
                else:
                    async with self._database.connection() as conn:
                        await act(conn)
                return True
            except Unavailable:
                self._note_outage()
                await asyncio.sleep(AFTER_OUTAGE / 2)
            except Exception:  # the lease expires, and the job is taken again
                log.exception("a job cannot be settled")
                return False
