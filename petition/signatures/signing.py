"""Signing, and asking for a lost link: what is typed becomes a row and a mail job, all of a moment in one commit.

Nothing here looks whether an address has signed. Known and unknown addresses take the same statements, so neither the
answer nor its time tells anyone who has; the worker, which alone can open the address, picks the mail.
"""

import asyncio
from collections.abc import Mapping, Sequence
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
from petition.signatures import queries
from petition.signatures.model import Kind

THREAD_THRESHOLD = 8  # forms in a batch from which on a thread is worth its while


class SignOutcome(StrEnum):
    """What became of a request to sign or to find."""

    STORED = "stored"  # or silently not: the mailbox had its mails for today
    HARDER_CHALLENGE = "dearer"  # a dearer challenge is wanted
    CHALLENGE_USED = "used"  # this challenge has been used up
    DUPLICATE = "again"  # by the very same form: a button was pressed twice, and the first time counts
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
    """One visitor's wish: to sign (``pending`` is set) or to find a lost link."""

    letter_id: LetterId
    digest: bytes
    address: str = field(repr=False)  # sealed before it leaves this process
    mail_lang: str
    challenge: Passed
    network: Quota
    network_limit: int
    per_letter: Quota
    mailbox: Quota
    form: bytes  # digest of all that was typed, under a key of the day
    pending: PendingSignature | None = None

    @property
    def is_lookup(self) -> bool:
        """Tell whether a link was lost."""
        return self.pending is None


class Signing:
    """Stores wishes in batches. One object per process."""

    def __init__(self, database: Database, bounds: Limits, sealer: Sealer) -> None:
        self._database = database
        self._bounds = bounds
        self._sealer = sealer
        self._batcher: Batcher[SignRequest, SignOutcome] = Batcher(self._store)

    async def submit(self, wish: SignRequest) -> SignOutcome:
        """Store ``wish`` unless something speaks against it. Returns after the commit. Raises ``Unavailable``."""
        return await self._batcher.submit(wish)

    async def drain(self) -> None:
        """Wait until everything submitted is stored."""
        await self._batcher.drain()

    async def _store(self, wishes: Sequence[SignRequest]) -> list[SignOutcome]:
        sealing = asyncio.create_task(self._sealed(wishes))
        async with self._database.transaction() as conn:
            outcomes = await self.check_quotas(conn, wishes)
            await _by_letter(conn, wishes, outcomes)
            await _by_challenge(conn, wishes, outcomes)
            good = await self._by_mailbox(
                conn, [w for w, o in zip(wishes, outcomes, strict=True) if o is SignOutcome.STORED]
            )
            await _add(conn, good, await sealing)
        for outcome in outcomes:
            metrics.WISHES.labels(outcome.value).inc()
        return outcomes

    async def _sealed(self, wishes: Sequence[SignRequest]) -> dict[int, bytes]:
        """Return the sealed addresses, by the wishes' identity.

        Those of a crowd are sealed beside the loop, while the first statements run: the library lets go of the
        interpreter meanwhile.
        """
        addresses = [wish.address for wish in wishes]
        crowd = len(addresses) >= THREAD_THRESHOLD
        seals = await asyncio.to_thread(self._sealer.seal_all, addresses) if crowd else self._sealer.seal_all(addresses)
        return {id(wish): sealed for wish, sealed in zip(wishes, seals, strict=True)}

    async def check_quotas(self, conn: Connection, wishes: Sequence[SignRequest]) -> list[SignOutcome]:
        counted = quotas.count_by_quota(use for wish in wishes for use in (wish.network, wish.per_letter))
        ranks = BatchPositions(await quotas.spend(conn, counted), counted)
        return [
            _worse(
                _by_rank(ranks.next_position(wish.network), wish.network_limit, dear=wish.challenge.dear),
                _by_rank(ranks.next_position(wish.per_letter), self._bounds.letter, dear=wish.challenge.dear),
            )
            for wish in wishes
        ]

    async def _by_mailbox(self, conn: Connection, wishes: Sequence[SignRequest]) -> list[SignRequest]:
        """Drop, silently, what would be one mail too many for a mailbox."""
        if not wishes:
            return []
        counted = quotas.count_by_quota(wish.mailbox for wish in wishes)
        ranks = BatchPositions(await quotas.spend(conn, counted), counted)
        return [wish for wish in wishes if ranks.next_position(wish.mailbox) <= self._bounds.mailbox]


def _by_rank(rank: int, limit: int, *, dear: bool) -> SignOutcome:
    if rank > limit * HARDER_FACTOR:
        return SignOutcome.REFUSED
    return SignOutcome.HARDER_CHALLENGE if rank > limit and not dear else SignOutcome.STORED


def _worse(one: SignOutcome, other: SignOutcome) -> SignOutcome:
    order = (SignOutcome.REFUSED, SignOutcome.HARDER_CHALLENGE, SignOutcome.STORED)
    return min(one, other, key=order.index)


async def _by_letter(conn: Connection, wishes: Sequence[SignRequest], outcomes: list[SignOutcome]) -> None:
    """Mark what comes too late: after closing, or for a text that is no longer the current one."""
    now = await queries.letters_now(conn, sorted({wish.letter_id for wish in wishes}))
    for i, wish in enumerate(wishes):
        if outcomes[i] is SignOutcome.STORED:
            outcomes[i] = rejection(wish, now.get(wish.letter_id))


def rejection(wish: SignRequest, letter: Record | None) -> SignOutcome:
    """Return what keeps ``wish`` from being stored, or that nothing does."""
    if letter is None or letter["gone"]:
        return SignOutcome.GONE
    if wish.pending is None:
        return SignOutcome.STORED
    if not letter["open"]:
        return SignOutcome.CLOSED
    if letter["stopped"]:
        return SignOutcome.STOPPED
    return SignOutcome.STORED if letter["version"] == wish.pending.version else SignOutcome.SUPERSEDED


async def _by_challenge(conn: Connection, wishes: Sequence[SignRequest], outcomes: list[SignOutcome]) -> None:
    """Use up the challenges of what will be stored; each passes once, also within a batch.

    Whoever sends the same form with the same challenge once more is answered as the first time: that says nothing but
    what they have been told already, and nothing of anybody else's signature.
    """
    solved: dict[bytes, SignRequest] = {}
    for wish, outcome in zip(wishes, outcomes, strict=True):
        if outcome is SignOutcome.STORED:
            solved.setdefault(wish.challenge.nonce, wish)
    if not solved:
        return
    expire, forms = [each.challenge.expires_at for each in solved.values()], [each.form for each in solved.values()]
    fresh = await queries.use_challenges(conn, list(solved), expire, forms)
    stale = [i for i, wish in enumerate(wishes) if outcomes[i] is SignOutcome.STORED and not _takes(fresh, wish)]
    if stale:
        used_by = await queries.used_by(conn, [wishes[i].challenge.nonce for i in stale])
        for i in stale:
            same = used_by.get(wishes[i].challenge.nonce) == wishes[i].form
            outcomes[i] = SignOutcome.DUPLICATE if same else SignOutcome.CHALLENGE_USED


def _takes(fresh: set[bytes], wish: SignRequest) -> bool:
    """Take a challenge out of those that are fresh; tell whether it was among them."""
    there = wish.challenge.nonce in fresh
    fresh.discard(wish.challenge.nonce)
    return there


async def _add(conn: Connection, wishes: Sequence[SignRequest], seals: Mapping[int, bytes]) -> None:
    signing = [(wish, wish.pending) for wish in wishes if wish.pending is not None]
    if signing:
        rows = [
            (
                *(w.letter_id, p.id, p.kind.value, w.digest, p.fields, seals[id(w)], p.version, p.consent),
                *(p.read_lang, w.mail_lang, p.signals, w.network.key),
            )
            for w, p in signing
        ]
        await queries.add_pending(conn, list(zip(*rows, strict=True)))
    finding = [(w.letter_id, w.digest, seals[id(w)], w.mail_lang) for w in wishes if w.is_lookup]
    if finding:
        await queries.add_searches(conn, list(zip(*finding, strict=True)))
