"""Signing, and asking for a lost link: a request becomes a row and a mail job. A batch shares one commit.

Nothing here looks up whether an address has signed. Known and unknown addresses take the same statements, so neither
the response nor its time reveals who has signed; the worker, which alone can open the address, chooses the mail.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

from petition.captcha.model import Passed
from petition.core import metrics, quotas
from petition.core.batching import Batcher
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Sealer
from petition.core.errors import Unavailable
from petition.core.ids import LetterId, SignatureId
from petition.core.limits import Limits
from petition.core.prices import Buckets
from petition.core.quotas import BatchPositions, Quota
from petition.signatures import ceilings, queries
from petition.signatures.model import Kind
from petition.signatures.signals import DRAWN

MAILBOX_FACTOR = 4  # times ``LIMIT_MAILBOX``: mails a day to one mailbox, from all networks together
SEALED_AT_ONCE = 16  # addresses: a millisecond


class SignOutcome(StrEnum):
    """What became of a request to sign or to find a link."""

    STORED = "stored"  # a mail goes out, unless the mailbox has had its mails for today
    HARDER_CHALLENGE = "dearer"  # a harder challenge must be solved
    CHALLENGE_USED = "used"
    DUPLICATE = "again"  # double submit of the same form
    REFUSED = "refused"  # too many from this network
    CLOSED = "closed"
    STOPPED = "stopped"  # for now
    GONE = "gone"  # the letter was taken down
    REKEYED = "rekeyed"  # the letter's digests have just been switched to the keeper
    SUPERSEDED = "superseded"  # the text has changed since it was read


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class PendingSignature:
    """The part of a request that becomes a pending row."""

    id: SignatureId
    kind: Kind
    fields: bytes = field(repr=False)  # encrypted
    version: int
    consent: int
    read_lang: str
    signals: Mapping[str, object] | None


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class MailQuotas:
    """What the mails to one mailbox are counted against, for a day."""

    from_network: Quota  # those that the client's network causes
    in_all: Quota
    of_letter: Quota  # those of one letter: its first one is always sent

    @property
    def all(self) -> tuple[Quota, Quota, Quota]:
        return self.from_network, self.in_all, self.of_letter


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class SignRequest:
    """A request to sign (``pending`` is set) or to find a lost link."""

    letter_id: LetterId
    digest: bytes
    address: str = field(repr=False)  # sealed before it leaves this process
    mail_lang: str
    challenge: Passed
    buckets: Buckets
    mails: MailQuotas
    drawn: Quota | None  # of the letter, where a picture was read
    form: bytes  # digest of all fields, under a key of the day
    pending: PendingSignature | None = None
    is_kept: bool = False  # the digest is the keeper's
    is_proven: bool = False  # the mailbox has shown itself already: no link is mailed

    @property
    def is_drawn(self) -> bool:
        """Whether it signs with a picture read."""
        return self.challenge.drawn and self.pending is not None

    @property
    def quotas(self) -> tuple[Quota, ...]:
        """All that it counts against."""
        shared = (*self.buckets.counted, *self.mails.all)
        return (*shared, self.drawn) if self.drawn and self.is_drawn else shared


@dataclass(slots=True)
class _Counted:
    """What counting a batch has decided; requests by their ``id()``."""

    mailed: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)  # by picture above a limit: their signatures wait for a moderator
    refunds: list[Quota] = field(default_factory=list)
    unused: list[bytes] = field(default_factory=list)  # nonces of challenges whose requests were refused


class Signing:
    """Stores requests in batches. One object per process."""

    def __init__(self, database: Database, limits: Limits, sealer: Sealer) -> None:
        self._database = database
        self._limits = limits
        self._sealer = sealer
        self._batcher: Batcher[SignRequest, SignOutcome] = Batcher(self._store, patience=database.patience)

    async def submit(self, request: SignRequest) -> SignOutcome:
        """Store ``request`` unless it is rejected. Returns after the commit. Raises ``Unavailable``."""
        outcome = await self._batcher.submit(request)
        if outcome is SignOutcome.REKEYED:
            raise Unavailable("the letter's digests have just been switched to the keeper", retry_after=1)
        return outcome

    def has_room(self) -> bool:
        """Return whether the next batch has room."""
        return self._batcher.has_room

    async def drain(self) -> None:
        """Wait until everything submitted is stored."""
        await self._batcher.drain()

    async def _store(self, requests: Sequence[SignRequest]) -> list[SignOutcome]:
        sealing = asyncio.create_task(self._seal_addresses(requests))
        async with self._database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            outcomes = await _check_letters(conn, requests)
            await _use_challenges(conn, requests, outcomes)
            counted = await self._count(conn, requests, outcomes)
            accepted = [
                request for request, outcome in zip(requests, outcomes, strict=True) if outcome is SignOutcome.STORED
            ]
            await _add(conn, accepted, counted, await sealing)
        for outcome, number in Counter(outcomes).items():
            metrics.SIGN_REQUESTS.labels(outcome.value).inc(number)
        return outcomes

    async def _seal_addresses(self, requests: Sequence[SignRequest]) -> dict[int, bytes]:
        """Return the sealed addresses, by ``id()`` of the request.

        A few in one iteration of the event loop, while the first statements run. Not in a thread: it would hand the
        interpreter over for each address, and where processors are scarce each time waits for one, as all others do.
        """
        sealed = {}
        for start in range(0, len(requests), SEALED_AT_ONCE):
            part = requests[start : start + SEALED_AT_ONCE]
            sealed.update({id(request): self._sealer.seal(request.address) for request in part})
            await asyncio.sleep(0)
        return sealed

    async def _count(self, conn: Connection, requests: Sequence[SignRequest], outcomes: list[SignOutcome]) -> _Counted:
        """Count what has used up a challenge, and mark what its buckets refuse: that counts nowhere."""
        fresh = [i for i, outcome in enumerate(outcomes) if outcome is SignOutcome.STORED]
        counted = _Counted()
        if not fresh:
            return counted
        amounts = quotas.count_by_quota(chain.from_iterable(requests[i].quotas for i in fresh))
        gauges = {gauge.key for i in fresh for gauge in requests[i].buckets.gauges}
        used = await quotas.spend(conn, amounts, gauges)
        positions = BatchPositions(used, amounts)
        for i in fresh:
            price = requests[i].buckets.price(used)
            outcomes[i] = self._count_one(requests[i], positions, counted, price=price)
        if counted.refunds:
            await quotas.give_back(conn, quotas.count_by_quota(counted.refunds))
        if counted.unused:
            await queries.release_challenges(conn, counted.unused)
        return counted

    def _count_one(
        self, request: SignRequest, positions: BatchPositions, counted: _Counted, *, price: int
    ) -> SignOutcome:
        outcome = _by_buckets(request, positions.next_position(request.buckets.own), price)
        if outcome is not SignOutcome.STORED:
            counted.refunds += request.quotas
            counted.unused.append(request.challenge.nonce)
            return outcome
        if self._is_mailed(request, positions):
            counted.mailed.add(id(request))
        else:
            counted.refunds.append(request.mails.in_all)
        if request.drawn and request.is_drawn:
            budget = ceilings.threshold(request.drawn.key, self._limits.drawn_letter)
            if positions.next_position(request.drawn) > budget or price > 0:
                counted.waiting.add(id(request))
        return outcome

    def _is_mailed(self, request: SignRequest, positions: BatchPositions) -> bool:
        """Return whether a mail goes out; nothing that the client sees depends on it.

        What one network causes never keeps another from a mail, and each letter sends its first one: behind its link
        the mailbox's owner finds every form that waits.
        """
        from_network, in_all, of_letter = (positions.next_position(quota) for quota in request.mails.all)
        limit = self._limits.mailbox
        is_first = of_letter == 1 and request.pending is not None
        return is_first or (from_network <= limit and in_all <= limit * MAILBOX_FACTOR)


def _by_buckets(request: SignRequest, position: int, price: int) -> SignOutcome:
    """Return what a request's buckets say: ``position`` is its place in its own network's hour."""
    limit, challenge = request.buckets.refused_above, request.challenge
    if limit is not None and position > limit:
        return SignOutcome.REFUSED
    return SignOutcome.STORED if challenge.drawn or challenge.price >= price else SignOutcome.HARDER_CHALLENGE


async def _check_letters(conn: Connection, requests: Sequence[SignRequest]) -> list[SignOutcome]:
    """Return what comes too late: after closing, or for a text that is not the current one any more."""
    letters = await queries.lock_letters(conn, sorted({request.letter_id for request in requests}))
    return [_by_letter(request, letters.get(request.letter_id)) for request in requests]


def _by_letter(request: SignRequest, letter: Record | None) -> SignOutcome:
    if letter is None or letter["gone"]:
        return SignOutcome.GONE
    if letter["kept"] != request.is_kept:
        return SignOutcome.REKEYED
    if request.pending is None:
        return SignOutcome.STORED
    if not letter["open"]:
        return SignOutcome.CLOSED
    if letter["stopped"]:
        return SignOutcome.STOPPED
    return SignOutcome.STORED if letter["version"] == request.pending.version else SignOutcome.SUPERSEDED


async def _use_challenges(conn: Connection, requests: Sequence[SignRequest], outcomes: list[SignOutcome]) -> None:
    """Use up the challenges of what may be stored; each passes once, also within a batch.

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
    conn: Connection, requests: Sequence[SignRequest], counted: _Counted, sealed: Mapping[int, bytes]
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
            {**(request.pending.signals or {}), DRAWN: True}
            if id(request) in counted.waiting
            else request.pending.signals,
            request.buckets.own.key,
        )
        for request in requests
        if request.pending is not None
    ]
    if pending:
        mailed_ids = [
            request.pending.id
            for request in requests
            if request.pending and id(request) in counted.mailed and not request.is_proven
        ]
        await queries.add_pending(conn, list(zip(*pending, strict=True)), mailed_ids)
    lookups = [
        (request.letter_id, request.digest, sealed[id(request)], request.mail_lang)
        for request in requests
        if request.pending is None and id(request) in counted.mailed
    ]
    if lookups:
        await queries.add_lookups(conn, list(zip(*lookups, strict=True)))
