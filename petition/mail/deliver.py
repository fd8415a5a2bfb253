"""From the outbox to the relays: lease, choose, write, send, delete.

A job is a row. Jobs are leased and chosen some at a time, ahead of the senders; accepted ones are deleted some at a
time. No transaction is open during SMTP. Once a relay has accepted a mail, its row is deleted however long
that takes: only a worker that dies between the two can have a mail accepted twice.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta

from petition.core.backoff import Backoff
from petition.core.batching import Batcher
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress
from petition.core.errors import PetitionError, Unavailable
from petition.core.log_summaries import LogSummary
from petition.mail import queries
from petition.mail.choosing import Choice, MailSelector
from petition.mail.compose import Composer
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.mime import Unmailable
from petition.mail.model import ChosenMail, MailJob, patience, pause
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused
from petition.mail.relays import NotNow, Relays

# A worker that lives renews its leases; what one that was killed had taken is free again after this time.
LEASE = timedelta(seconds=16)
RENEW_EVERY = 4.0  # seconds
SENDERS = 8  # mails in progress at once; each relay has a limit of its own
SENDERS_IN_BULK = 2  # as many more, for jobs in bulk
# Jobs that wait for a sender. Where mails go fast, those of so many seconds share the statements of one lease.
READY, READY_IN_BULK = 24, 8
MAX_READY, READY_SECONDS = 192, 0.3
SLOW = 1.0  # seconds after which a mail in progress, perhaps at a relay that hangs, no longer holds up others
MAX_IN_FLIGHT = 64
RENEW_AFTER = 2 * RENEW_EVERY  # seconds; a younger lease is not extended before the mail is sent
# Seconds in which accepted jobs are gathered to be deleted together, while other mails are sent; and while very many
# go out. What a worker that is killed has gathered is sent a second time.
GATHERING, GATHERING_MANY = 0.003, 0.03
POLL = 0.5  # seconds between two polls of an empty outbox
POLL_BESIDES = 0.05  # while mails are in progress, and no more were due: others have asked for theirs meanwhile
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
        self.choice: Choice = None
        self.is_noted = False
        self.is_sent = False  # only its row is still there
        self.renew()
        self.begin()

    def renew(self) -> None:
        self._at, self._at_by_wall = time.monotonic(), time.time()

    def age(self) -> float:
        """Return how many seconds ago the job was leased."""
        return max(time.monotonic() - self._at, abs(time.time() - self._at_by_wall))

    def mail_to_note(self) -> ChosenMail | None:
        """Return the mail if its link leads to confirming and its mailbox is not noted yet."""
        mail = self.choice
        if self.is_noted or not isinstance(mail, ChosenMail):
            return None
        return mail if mail.template.leads_to_confirming else None

    def begin(self) -> None:
        self._begun_at = time.monotonic()

    def is_slow(self) -> bool:
        """Return whether the mail is in progress for so long that it must not hold up others."""
        return time.monotonic() - self._begun_at >= SLOW


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
        self._ready: dict[bool, deque[Flight]] = {False: deque(), True: deque()}  # by "in bulk"
        self._in_flight: dict[asyncio.Task[None], Flight] = {}
        self._wake = asyncio.Event()
        self._may_be_more = False  # due jobs in the outbox than the last lease took
        self._depth = READY  # jobs to have ready
        self._through, self._leased_at = 0, time.monotonic()  # mails since the last lease
        self._is_stopping = False
        self._done = Batcher[MailJob, None](self._delete, pause=GATHERING)
        self._accepted: set[int] = set()  # jobs whose rows could not be deleted yet
        self._is_away = False
        self._reading = Backoff(AFTER_OUTAGE)
        self._put_off = LogSummary(log, "mail put off: no relay takes it now")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then finish what is in flight, for a few seconds at most."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        renewing = asyncio.create_task(self._keep_leases())
        try:
            while not stop.is_set():
                self._wake.clear()
                seconds = await self._refill()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._wake.wait()
        finally:
            self._is_stopping = True
            stopping.cancel()
            await self._finish()
            renewing.cancel()

    async def _keep_leases(self) -> None:
        """Renew the leases of all jobs in hand, again and again."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            flights = {flight.job.id: flight for flight in self._in_hand()}
            if not flights:
                continue
            try:
                async with self._database.connection() as conn:
                    renewed = await queries.renew(conn, [flight.job for flight in flights.values()], LEASE)
            except Unavailable:
                self._note_outage()
            except Exception:  # each is extended before it is sent, or is another worker's
                log.exception("leases cannot be renewed")
            else:
                for job_id in renewed:
                    flights[job_id].renew()

    def _in_hand(self) -> Iterator[Flight]:
        yield from self._in_flight.values()
        for flights in self._ready.values():
            yield from flights

    async def _refill(self) -> float:
        """Lease and choose jobs if few are ready; return after how many seconds to look again, if none lands before."""
        self._put_off.flush()
        self._relays.flush_logs()
        self._begin_ready()
        if len(self._ready[False]) > self._depth // 2:
            return SLOW
        if rest := self._relays.rest():
            return min(rest, POLL)
        self._set_depth()
        limits = self._depth - len(self._ready[False]), READY_IN_BULK - len(self._ready[True])
        flights = await self._lease(*limits)
        if flights is None:
            return self._reading.pause
        await self._choose(flights)
        for flight in flights:
            self._ready[flight.job.bulk].append(flight)
        in_bulk = sum(flight.job.bulk for flight in flights)
        self._may_be_more = len(flights) - in_bulk == limits[0] or (0 < in_bulk == limits[1])
        self._begin_ready()
        if not flights:
            await self._relays.hang_up(idle_for=IDLE)
        return POLL_BESIDES if self._in_flight else POLL

    def _set_depth(self) -> None:
        """Have so many jobs ready as went out in some tenths of a second of late."""
        now = time.monotonic()
        rate = self._through / max(now - self._leased_at, 1e-3)
        self._through, self._leased_at = 0, now
        self._depth = min(MAX_READY, max(READY, int(rate * READY_SECONDS)))
        self._done.pause = GATHERING_MANY if self._depth > READY else GATHERING

    def _begin_ready(self) -> None:
        """Begin as many jobs as there are free senders: slow mails do not count, unless they are very many."""
        if self._is_stopping:
            return
        for bulk, limit in ((False, SENDERS), (True, SENDERS_IN_BULK)):
            if ready := self._ready[bulk]:
                free = min(limit - self._busy(bulk=bulk), MAX_IN_FLIGHT - self._unsent(), len(ready))
                for _ in range(free):
                    self._begin(ready.popleft())

    def _begin(self, flight: Flight) -> None:
        flight.begin()
        task = asyncio.create_task(self._deliver(flight))
        self._in_flight[task] = flight
        task.add_done_callback(self._landed)

    def _busy(self, *, bulk: bool) -> int:
        return sum(
            not flight.is_sent and flight.job.bulk == bulk and (bulk or not flight.is_slow())
            for flight in self._in_flight.values()
        )

    def _unsent(self) -> int:
        return sum(not flight.is_sent for flight in self._in_flight.values())

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.pop(task, None)
        self._go_on()

    def _go_on(self) -> None:
        """Begin other mails in place of one that is through, and have more leased before none is left."""
        self._begin_ready()
        if self._may_be_more and len(self._ready[False]) <= self._depth // 2:
            self._wake.set()

    async def _lease(self, limit: int, limit_in_bulk: int) -> list[Flight] | None:
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
        return [Flight(job) for job in jobs]

    async def _choose(self, flights: Sequence[Flight]) -> None:
        """Choose the mails; what keeps all of them from being chosen is what each then fails with."""
        if not flights:
            return
        try:
            async with self._database.connection() as conn:
                choices = await self._selector.choose_all(conn, [flight.job for flight in flights])
        except Exception as error:  # noqa: BLE001 - it is logged as that of each job
            choices = dict.fromkeys((flight.job.id for flight in flights), error)
        for flight in flights:
            flight.choice = choices[flight.job.id]
        await self._note_mailboxes(flights)

    async def _note_mailboxes(self, flights: Sequence[Flight]) -> None:
        """Note those that can be noted at once; the others are when their mail is sent."""
        mails = [mail for flight in flights if (mail := flight.mail_to_note()) is not None]
        if self._notes is None or not mails:
            return
        with contextlib.suppress(Unavailable):
            noted = await self._notes.add_known(mails)
            for flight in flights:
                mail = flight.mail_to_note()
                flight.is_noted = mail is not None and mail.refs[0].id in noted

    def _note_outage(self) -> None:
        if not self._is_away:
            log.warning("database unavailable")
        self._is_away = True

    async def _finish(self) -> None:
        """Give back what has not begun; let what has begun end."""
        ready = [flight.job for flights in self._ready.values() for flight in flights]
        for flights in self._ready.values():
            flights.clear()
        if ready:
            with contextlib.suppress(Unavailable):  # the leases end by themselves
                async with self._database.connection() as conn:
                    await queries.release(conn, ready)
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
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
        if outcome is None:
            flight.is_sent = True
            self._through += 1
            self._go_on()
        if await self._settle(job, outcome):
            self._accepted.discard(job.id)

    async def _send(self, flight: Flight) -> None:
        job, chosen = flight.job, flight.choice
        if job.id in self._accepted or chosen is None:
            return
        if isinstance(chosen, Exception):
            raise chosen
        mail = await self._composer.sign(self._composer.write(job, chosen))
        if self._notes and (unnoted := flight.mail_to_note()) is not None:
            await self._notes.add(unnoted)
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
        flight.begin()

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
                return lambda conn: queries.release(conn, [job])
            case NotNow(tried=False):
                return lambda conn: queries.release(conn, [job], error.after or timedelta())
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
