"""Mails updates to their subscribers, in the worker: leases a chunk, opens, composes, sends, stamps.

It runs beside the outbox and sends in bulk, so a confirmation never waits behind a mailing (``mail.relay_pool``). No
transaction is open during SMTP. What a relay has accepted is stamped before its sender takes the next mail: a worker
that is killed leaves at most one mail a sender of which it is not known whether it was accepted. Its stamp is sent
again under the same Message-ID (docs/decisions/mailings.md).
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from petition.core import letter_facts
from petition.core.backoff import Backoff
from petition.core.batching import Batcher
from petition.core.database import Database, Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.email_addresses import BadAddress
from petition.core.encryption import Opener
from petition.core.errors import Gone, PetitionError, Unavailable
from petition.core.ids import JobId, LetterId, MailingId, SignatureId, UpdateId
from petition.core.letter_facts import LetterFacts
from petition.core.tokens import Tokens
from petition.mail.compose import Composer, OutgoingMail
from petition.mail.mime import Unmailable
from petition.mail.model import DirectMail, MailJob, pause
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused
from petition.mail.relays import NotNow, Relays
from petition.mail.return_path import MailingMail
from petition.mail.serial_mail import SerialMail
from petition.mail.suppression import Suppression
from petition.mailings import content, moves
from petition.mailings import sending_queries as queries
from petition.mailings.model import text_language
from petition.mailings.sending_queries import Key, Settlement

SENDERS = 8  # mails in progress at once, beside those of the outbox
CHUNK = 100  # stamps leased at once
LEASE = timedelta(seconds=30)
RENEWAL = 10.0  # seconds between two extensions of the leases
POLL = 1.0  # seconds between two polls while nothing is to be mailed
BRIEF = 0.02  # seconds until the senders are asked again whether they need more
LAST_LOOK = 0.5  # seconds before a mail is handed over: is the mailing still to be sent, and to this recipient?
REST = timedelta(seconds=2)  # until a mail is taken again that no relay was asked for
PATIENCE = timedelta(days=2)  # how long a mail is tried that no relay takes
STOPPING = 6.0  # seconds that mails in flight may take when the worker stops

ACCEPTED, REFUSED, SUPPRESSED, IN_FLIGHT = "accepted", "refused", "suppressed", "in_flight"
GIVEN_UP = 0  # the code of a mail that no relay took in time

log = logging.getLogger(__name__)


class NotWanted(PetitionError):
    """The recipient has left since the mail was leased."""


class NotMine(PetitionError):
    """The mailing was stopped, or another worker has the stamp."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient's mail, not yet composed."""

    key: Key
    address: str = field(repr=False)
    never: bytes = field(repr=False)
    lang: str
    attempts: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class LoadedMailing:
    """What all copies of a mailing share."""

    key: tuple[LetterId, MailingId]
    update_id: UpdateId
    texts: Mapping[str, Mapping[str, str]]
    started_at: datetime
    letter: LetterFacts
    serials: dict[tuple[str, str], SerialMail | None] = field(default_factory=dict)  # by language, and that of the text


@dataclass(frozen=True, slots=True)
class MailingTools:
    """What a sender works with."""

    opener: Opener
    suppression: Suppression
    composer: Composer
    relays: Relays
    tokens: Tokens
    base_url: str
    rate: int  # mails a minute of one mailing


class MailingSender:
    """Sends the mailings of one installation. Several may run at once, in one process or in many."""

    def __init__(self, database: Database, tools: MailingTools) -> None:
        self._database = database
        self._tools = tools
        self._lease = secrets.randbits(63)
        self._copies: asyncio.Queue[tuple[LoadedMailing, Copy]] = asyncio.Queue()
        self._held: set[Key] = set()
        self._mailing: LoadedMailing | None = None
        self._starts_at = 0.0  # when to look for mailings whose time has come
        self._begins: Batcher[Key, Record | None] = Batcher(self._store_begins)
        self._settlements: Batcher[Settlement, None] = Batcher(self._store_settlements)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set; then finish what is in flight, for a few seconds at most."""
        senders = [asyncio.create_task(self._send_all()) for _ in range(SENDERS)]
        renewing = asyncio.create_task(self._renew_all())
        try:
            await self._lease_all(stop)
        finally:
            while not self._copies.empty():
                self._held.discard(self._copies.get_nowait()[1].key)
                self._copies.task_done()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._copies.join(), STOPPING)
            for task in (*senders, renewing):
                task.cancel()
            await asyncio.gather(*senders, renewing, return_exceptions=True)

    async def _lease_all(self, stop: asyncio.Event) -> None:
        backoff, is_away = Backoff(POLL), False
        while not stop.is_set():
            seconds = POLL
            try:
                seconds = await self._lease_some()
                backoff.worked()
                is_away = False
            except Gone:  # the letter was taken down at this moment
                pass
            except Unavailable:
                if not is_away:
                    log.warning("mailings are waiting for the database")
                is_away = True
            except Exception:
                seconds = backoff.failed()
                log.exception("a mailing cannot go on", extra={"seconds": seconds})
            if seconds:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), seconds)

    async def _lease_some(self) -> float:
        """Lease a chunk and hand it to the senders; return after how many seconds to look again."""
        if rest := self._tools.relays.rest():
            return min(rest, POLL)
        if self._copies.qsize() > CHUNK // 2:
            return BRIEF
        if _clock() >= self._starts_at:
            self._starts_at = _clock() + POLL
            await moves.start_due(self._database, self._tools.base_url)
        async with self._database.connection() as conn:
            next_chunk = await queries.next_chunk(conn)
        if next_chunk is None or next_chunk.wait > 0:
            return POLL if next_chunk is None else min(next_chunk.wait, POLL)
        return await self._lease_chunk(next_chunk.key)

    async def _lease_chunk(self, key: tuple[LetterId, MailingId]) -> float:
        pace = timedelta(minutes=1) / self._tools.rate
        limit = max(1, min(CHUNK, self._tools.rate // 60))
        async with self._database.transaction() as conn:
            signature_ids = await queries.claim(conn, key, self._lease, LEASE, limit, pace)
            if not signature_ids:
                await moves.note(conn, await queries.move_states(conn, [key]))
        if not signature_ids:
            return BRIEF
        await self._prepare(key, [(*key, signature_id) for signature_id in signature_ids])
        return 0

    async def _prepare(self, key: tuple[LetterId, MailingId], keys: Sequence[Key]) -> None:
        """Open the addresses of a chunk; what is not to be mailed is settled at once."""
        self._held.update(keys)
        try:
            mailing, to_send = await self._open_chunk(key, keys)
        except BaseException:  # their leases end, and they are taken again
            self._held.difference_update(keys)
            raise
        await asyncio.gather(*(self._settle(Settlement(one, SUPPRESSED)) for one in keys if one not in to_send))
        for copy in to_send.values():
            self._copies.put_nowait((mailing, copy))

    async def _open_chunk(
        self, key: tuple[LetterId, MailingId], keys: Sequence[Key]
    ) -> tuple[LoadedMailing, dict[Key, Copy]]:
        """Return what is to be mailed of a chunk."""
        async with self._database.connection() as conn:
            mailing = await self._load(key)
            rows = await queries.facts(conn, key, [signature_id for *_, signature_id in keys])
            digest = await self._tools.suppression.digester(conn)
            # In a thread, so that other mail goes out meanwhile.
            copies = await asyncio.to_thread(self._open_all, key, rows, digest)
            stored = await self._tools.suppression.stored(conn, [copy.never for copy in copies])
            suppressed = await queries.suppressed(conn, stored)
        pairs = zip(copies, stored, strict=True)
        return mailing, {copy.key: copy for copy, digest in pairs if digest not in suppressed}

    async def _load(self, key: tuple[LetterId, MailingId]) -> LoadedMailing:
        if self._mailing is None or self._mailing.key != key:
            async with self._database.connection() as conn:
                row = await queries.load_mailing(conn, key)
                letter = await letter_facts.load(conn, key[0])
            if row is None or letter is None:
                raise Gone("the letter was taken down")
            self._mailing = LoadedMailing(key, row["news"], row["texts"], row["started_at"], letter)
        return self._mailing

    def _open_all(
        self, key: tuple[LetterId, MailingId], rows: Sequence[Record], digest: Callable[[str], bytes]
    ) -> list[Copy]:
        copies = []
        for row in rows:
            # Sealed to an earlier contact key, or none that a digest can be made of: it cannot be mailed.
            with contextlib.suppress(PetitionError):
                address = self._tools.opener.open(row["sealed"], key[0], DecryptionPurpose.UPDATE)
                values = address, digest(address), row["mail_lang"] or "", row["attempts"], row["first_at"]
                copies.append(Copy((*key, row["signature"]), *values))
        return copies

    async def _send_all(self) -> None:
        while True:
            mailing, copy = await self._copies.get()
            try:
                await self._deliver(mailing, copy)
            finally:
                self._held.discard(copy.key)
                self._copies.task_done()

    async def _deliver(self, mailing: LoadedMailing, copy: Copy) -> None:
        """Send one copy and stamp it. Raises nothing but cancellation."""
        try:
            mail = await self._tools.composer.sign(self._write(mailing, copy))
            await self._send(copy.key, mail)
            settlement: Settlement | None = Settlement(copy.key, ACCEPTED)
        except Exception as error:  # noqa: BLE001 - one mail that cannot be sent must not stop the others
            settlement = self._after(error, copy)
        if settlement is not None:
            await self._settle(settlement)

    def _write(self, mailing: LoadedMailing, copy: Copy) -> OutgoingMail:
        letter_id, mailing_id, signature_id = copy.key
        text_lang = text_language(copy.lang, tuple(mailing.texts))
        path = content.unsubscribe_path(mailing.letter.slug, self._tools.tokens.for_updates(letter_id, signature_id))
        mail = content.content(mailing.letter, mailing.update_id, mailing.texts[text_lang], text_lang, path)
        job = MailJob(
            id=JobId(signature_id),
            letter_id=letter_id,
            purpose=content.TEMPLATE,
            pending_id=None,
            digest=b"",
            sealed=None,
            lang=copy.lang or text_lang,
            attempts=copy.attempts,
            lease=self._lease,
            created_at=mailing.started_at,
        )
        chosen = DirectMail(mail, copy.address, copy.never)
        reference = MailingMail(letter_id, mailing_id, signature_id)
        serial = self._serial(mailing, job, chosen, text_lang)
        if serial is None:
            return self._tools.composer.write(job, chosen, reference)
        return self._tools.composer.write_copy(serial, job, chosen, reference)

    def _serial(self, mailing: LoadedMailing, job: MailJob, chosen: DirectMail, text_lang: str) -> SerialMail | None:
        """Return the mail in a language of the job, to be filled in; None if each must be composed by itself."""
        key = job.lang, text_lang
        if key not in mailing.serials:
            composer, tokens = self._tools.composer, self._tools.tokens
            letter_id, mailing_id = mailing.key
            path = content.unsubscribe_path(
                mailing.letter.slug, tokens.for_updates(letter_id, SignatureId(content.NO_SIGNATURE))
            )
            text = mailing.texts[text_lang]
            mail = content.content(mailing.letter, mailing.update_id, text, text_lang, path)
            first = MailingMail(letter_id, mailing_id, SignatureId(content.NO_SIGNATURE))
            serial = composer.serial(replace(job, id=JobId(0)), mail, bytes(len(chosen.never or b"")), first)
            sample = MailingMail(letter_id, mailing_id, SignatureId(job.id))
            is_right = serial.is_whole and composer.proves(serial, job, chosen, sample)
            mailing.serials[key] = serial if is_right else None
        return mailing.serials[key]

    def _after(self, error: Exception, copy: Copy) -> Settlement | None:
        """Return what to do with a stamp whose mail failed."""
        match error:
            case RecipientRefused():
                return Settlement(copy.key, REFUSED, error.code)
            case Unmailable() | BadAddress():
                return Settlement(copy.key, REFUSED, NO_SUCH_MAILBOX)
            case NotWanted():
                return Settlement(copy.key, SUPPRESSED)
            case NotMine():
                return Settlement(copy.key, IN_FLIGHT)
            case Unavailable():
                return Settlement(copy.key, IN_FLIGHT, pause=REST)
            case NotNow(tried=False):
                return Settlement(copy.key, IN_FLIGHT, pause=error.after or REST)
            case NotNow():
                return self._retry(copy, error.after)
        log.error("an e-mail of a mailing cannot be composed", exc_info=error)
        return self._retry(copy)

    def _retry(self, copy: Copy, after: timedelta | None = None) -> Settlement:
        wait = after or pause(copy.attempts + 1)
        if datetime.now(UTC) + wait > copy.first_at + PATIENCE:
            return Settlement(copy.key, REFUSED, GIVEN_UP, failed=True)
        return Settlement(copy.key, IN_FLIGHT, failed=True, pause=wait)

    async def _send(self, key: Key, mail: OutgoingMail) -> None:
        """Mark the stamp and hand the mail over; look again if it waited long for a connection, which others need."""
        await self._begin(key)
        begun_at = _clock()

        async def look_again() -> None:
            if _clock() - begun_at > LAST_LOOK:
                await self._begin(key)

        await self._tools.relays.send(mail, look_again, bulk=True)

    async def _begin(self, key: Key) -> None:
        """Note that a mail is being handed over. Raises ``NotMine``, ``NotWanted``, ``Unavailable``."""
        row = await self._begins.submit(key)
        if row is not None and row["begun"]:
            return
        if row is not None and row["goes"] and not row["subscribed"]:
            raise NotWanted("the recipient has left")
        raise NotMine("the mailing was stopped, or another worker has this stamp")

    async def _store_begins(self, keys: Sequence[Key]) -> list[Record | None]:
        async with self._database.connection() as conn:
            rows = await queries.begin(conn, self._lease, LEASE, keys)
        return [rows.get(key) for key in keys]

    async def _settle(self, settlement: Settlement) -> None:
        """Stamp, again and again while the database is unavailable."""
        await self._until_available(lambda: self._settlements.submit(settlement))
        self._held.discard(settlement.key)

    async def _until_available(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await act()
            except Unavailable:
                await asyncio.sleep(POLL / 2)
            except Exception:  # the lease ends, and the stamp is taken again
                log.exception("a stamp cannot be settled")
                return None

    async def _store_settlements(self, settlements: Sequence[Settlement]) -> list[None]:
        async with self._database.transaction() as conn:
            await moves.note(conn, await queries.settle(conn, self._lease, settlements))
        return [None] * len(settlements)

    async def _renew_all(self) -> None:
        """Extend the leases of all that is in hand, so that they can be short: a killed worker's end soon."""
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                if self._held:
                    async with self._database.connection() as conn:
                        await queries.renew(conn, self._lease, LEASE, sorted(self._held))
            except Unavailable:
                continue
            except Exception:  # they end, and each mail looks at its own before it is sent
                log.exception("leases cannot be renewed")


def _clock() -> float:
    return asyncio.get_running_loop().time()
