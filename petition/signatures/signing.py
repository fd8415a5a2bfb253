"""Signing, and asking for a lost link: a request becomes a row and a mail job. A batch shares one commit.

Nothing here looks up whether an address has signed. Known and unknown addresses take the same statements, so neither
the response nor its time reveals who has signed; the worker, which alone can open the address, chooses the mail.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from petition.captcha.model import Passed
from petition.core import metrics, quotas
from petition.core.batching import Batcher
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Sealer
from petition.core.ids import LetterId, SignatureId
from petition.core.quotas import HARDER_FACTOR, BatchPositions, Quota
from petition.core.settings import Limits
from petition.signatures import ceilings, queries
from petition.signatures.model import Kind
from petition.signatures.signals import DRAWN

THREAD_THRESHOLD = 8  # forms in a batch from which on a thread is worth its start


class SignOutcome(StrEnum):
    """What became of a request to sign or to find a link."""

    STORED = "stored"  # or silently dropped: the mailbox has had its mails for today
    HARDER_CHALLENGE = "dearer"  # a harder challenge must be solved
    CHALLENGE_USED = "used"
    DUPLICATE = "again"  # double submit of the same form
    REFUSED = "refused"  # too many from this network, or on this letter
    CLOSED = "closed"
    STOPPED = "stopped"  # for now
    GONE = "gone"  # the letter was taken down
    SUPERSEDED = "superseded"  # the text has changed since it was read


@dataclass(frozen=True, slots=True)
class PendingSignature:
    """The part of a request that becomes a pending row."""

    id: SignatureId
    kind: Kind
    fields: bytes = field(repr=False)  # encrypted
    version: int
    consent: int
    read_lang: str
    signals: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class SignRequest:
    """A request to sign (``pending`` is set) or to find a lost link."""

    letter_id: LetterId
    digest: bytes
    address: str = field(repr=False)  # sealed before it leaves this process
    mail_lang: str
    challenge: Passed
    network: Quota
    network_limit: int
    per_letter: Quota
    mailbox: Quota
    drawn: Quota  # of the letter; counted only where a picture was read
    form: bytes  # digest of all fields, under a key of the day
    pending: PendingSignature | None = None


class Signing:
    """Stores requests in batches. One object per process."""

    def __init__(self, database: Database, limits: Limits, sealer: Sealer) -> None:
        self._database = database
        self._limits = limits
        self._sealer = sealer
        self._batcher: Batcher[SignRequest, SignOutcome] = Batcher(self._store)

    async def submit(self, request: SignRequest) -> SignOutcome:
        """Store ``request`` unless it is rejected. Returns after the commit. Raises ``Unavailable``."""
        return await self._batcher.submit(request)

    async def drain(self) -> None:
        """Wait until everything submitted is stored."""
        await self._batcher.drain()

    async def _store(self, requests: Sequence[SignRequest]) -> list[SignOutcome]:
        sealing = asyncio.create_task(self._seal_addresses(requests))
        async with self._database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            outcomes, waiting = await self._check_quotas(conn, requests)
            await _check_letters(conn, requests, outcomes)
            await _use_challenges(conn, requests, outcomes)
            accepted = [
                request for request, outcome in zip(requests, outcomes, strict=True) if outcome is SignOutcome.STORED
            ]
            await _add(conn, await self._within_mailbox_quota(conn, accepted), await sealing, waiting)
        for outcome in outcomes:
            metrics.SIGN_REQUESTS.labels(outcome.value).inc()
        return outcomes

    async def _seal_addresses(self, requests: Sequence[SignRequest]) -> dict[int, bytes]:
        """Return the sealed addresses, by ``id()`` of the request.

        A large batch is sealed in a thread while the first statements run: the library releases the interpreter.
        """
        addresses = [request.address for request in requests]
        seal = self._sealer.seal_all
        is_large = len(addresses) >= THREAD_THRESHOLD
        sealed = await asyncio.to_thread(seal, addresses) if is_large else seal(addresses)
        return {id(request): address for request, address in zip(requests, sealed, strict=True)}

    async def _check_quotas(
        self, conn: Connection, requests: Sequence[SignRequest]
    ) -> tuple[list[SignOutcome], frozenset[int]]:
        """Return the outcomes, and ``id()`` of the requests by picture above a limit, whose signatures wait."""
        used = quotas.count_by_quota(quota for request in requests for quota in _quotas(request))
        positions = BatchPositions(await quotas.spend(conn, used), used)
        outcomes, waiting = [], set[int]()
        for request in requests:
            network, per_letter = map(positions.next_position, (request.network, request.per_letter))
            outcomes.append(
                _worse(
                    _by_position(network, request.network_limit, request.challenge),
                    _by_position(per_letter, self._limits.letter, request.challenge),
                )
            )
            if _is_drawn(request):
                budget = ceilings.threshold(request.drawn.key, self._limits.drawn_letter)
                is_over = network > request.network_limit or per_letter > self._limits.letter
                if positions.next_position(request.drawn) > budget or is_over:
                    waiting.add(id(request))
        return outcomes, frozenset(waiting)

    async def _within_mailbox_quota(self, conn: Connection, requests: Sequence[SignRequest]) -> list[SignRequest]:
        """Drop, silently, what would be one mail too many for a mailbox."""
        if not requests:
            return []
        used = quotas.count_by_quota(request.mailbox for request in requests)
        positions = BatchPositions(await quotas.spend(conn, used), used)
        return [request for request in requests if positions.next_position(request.mailbox) <= self._limits.mailbox]


def _quotas(request: SignRequest) -> tuple[Quota, ...]:
    shared = request.network, request.per_letter
    return (*shared, request.drawn) if _is_drawn(request) else shared


def _is_drawn(request: SignRequest) -> bool:
    return request.challenge.drawn and request.pending is not None


def _by_position(position: int, limit: int, challenge: Passed) -> SignOutcome:
    if position > limit * HARDER_FACTOR:
        return SignOutcome.REFUSED
    return SignOutcome.HARDER_CHALLENGE if position > limit and not challenge.hard else SignOutcome.STORED


def _worse(first: SignOutcome, second: SignOutcome) -> SignOutcome:
    order = (SignOutcome.REFUSED, SignOutcome.HARDER_CHALLENGE, SignOutcome.STORED)
    return min(first, second, key=order.index)


async def _check_letters(conn: Connection, requests: Sequence[SignRequest], outcomes: list[SignOutcome]) -> None:
    """Mark what comes too late: after closing, or for a text that is not the current one any more."""
    letters = await queries.lock_letters(conn, sorted({request.letter_id for request in requests}))
    for i, request in enumerate(requests):
        if outcomes[i] is SignOutcome.STORED:
            outcomes[i] = _by_letter(request, letters.get(request.letter_id))


def _by_letter(request: SignRequest, letter: Record | None) -> SignOutcome:
    if letter is None or letter["gone"]:
        return SignOutcome.GONE
    if request.pending is None:
        return SignOutcome.STORED
    if not letter["open"]:
        return SignOutcome.CLOSED
    if letter["stopped"]:
        return SignOutcome.STOPPED
    return SignOutcome.STORED if letter["version"] == request.pending.version else SignOutcome.SUPERSEDED


async def _use_challenges(conn: Connection, requests: Sequence[SignRequest], outcomes: list[SignOutcome]) -> None:
    """Use up the challenges of what will be stored; each passes once, also within a batch.

    A double submit of the same form with the same challenge gets the response of the first: it repeats what that client
    knows already, and reveals nothing about another signature.
    """
    by_nonce: dict[bytes, SignRequest] = {}
    for request, outcome in zip(requests, outcomes, strict=True):
        if outcome is SignOutcome.STORED:
            by_nonce.setdefault(request.challenge.nonce, request)
    if not by_nonce:
        return
    expires_at = [request.challenge.expires_at for request in by_nonce.values()]
    forms = [request.form for request in by_nonce.values()]
    unused = await queries.use_challenges(conn, list(by_nonce), expires_at, forms)
    used = [
        i
        for i, request in enumerate(requests)
        if outcomes[i] is SignOutcome.STORED and not _take(unused, request.challenge.nonce)
    ]
    if used:
        used_by = await queries.forms_of_challenges(conn, [requests[i].challenge.nonce for i in used])
        for i in used:
            is_duplicate = used_by.get(requests[i].challenge.nonce) == requests[i].form
            outcomes[i] = SignOutcome.DUPLICATE if is_duplicate else SignOutcome.CHALLENGE_USED


def _take(nonces: set[bytes], nonce: bytes) -> bool:
    """Remove ``nonce`` from ``nonces``; return whether it was among them."""
    is_in = nonce in nonces
    nonces.discard(nonce)
    return is_in


async def _add(
    conn: Connection, requests: Sequence[SignRequest], sealed: Mapping[int, bytes], waiting: Collection[int]
) -> None:
    pending = [
        (
            request.letter_id,
            request.pending.id,
            request.pending.kind.value,
            request.digest,
            request.pending.fields,
            sealed[id(request)],
            request.pending.version,
            request.pending.consent,
            request.pending.read_lang,
            request.mail_lang,
            {**(request.pending.signals or {}), DRAWN: True} if id(request) in waiting else request.pending.signals,
            request.network.key,
        )
        for request in requests
        if request.pending is not None
    ]
    if pending:
        await queries.add_pending(conn, list(zip(*pending, strict=True)))
    lookups = [
        (request.letter_id, request.digest, sealed[id(request)], request.mail_lang)
        for request in requests
        if request.pending is None
    ]
    if lookups:
        await queries.add_lookups(conn, list(zip(*lookups, strict=True)))
