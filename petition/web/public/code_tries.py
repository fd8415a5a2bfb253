"""Tries of the mailed code, counted so that a stranger's wrong ones never keep the mailbox's owner from the right one.

Three limits, all of wrong tries (docs/decisions/quotas.md has the arithmetic): of a network for one mailbox and in all,
which refuse only that network; and of a mailbox from all networks together, over which a try costs a solved challenge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from petition.captcha import Passed
from petition.core import quotas
from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.core.quotas import HiddenQuota, Quota
from petition.signatures import queries
from petition.web.public.visit import Visit

NETWORK_FACTOR = 2  # times ``LIMIT_CODE``, then drawn: at least so many tries of one network are compared
FREE_FACTOR = 20  # times ``LIMIT_CODE``: tries a day of a mailbox's code without a challenge
LAST_FACTOR = 60  # times ``LIMIT_CODE``: tries a day of a mailbox's code; the link works on


class Verdict(Enum):
    """Whether a code may be compared."""

    COMPARE = auto()
    CHALLENGE = auto()  # with a solved challenge
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class CodeTry:
    """One try of a code, known address or not."""

    refusing: tuple[HiddenQuota, ...]  # of the client's own network
    priced: tuple[HiddenQuota, ...]  # of networks it shares with others
    mailbox: HiddenQuota  # priced by its first limit, refusing by its second

    async def count(self, conn: Connection, passed: Passed | None) -> Verdict:
        """Count the try, in a transaction to be committed before anything is compared; one that may not be compared
        counts nowhere, and a challenge passes once."""
        # lock order: see docs/decisions/lock-order.md
        if passed is not None and not await queries.use_challenges(conn, [passed.nonce], [passed.expires_at], [None]):
            return Verdict.CHALLENGE
        used = await quotas.spend(conn, self._amounts)
        verdict = self._verdict(used, is_paid=passed is not None)
        if verdict is not Verdict.COMPARE:
            await self.give_back(conn)
        return verdict

    async def give_back(self, conn: Connection) -> None:
        """Uncount the try: the code was right."""
        await quotas.give_back(conn, self._amounts)

    @property
    def _amounts(self) -> dict[Quota, int]:
        return dict.fromkeys((hidden.quota for hidden in (*self.refusing, *self.priced, self.mailbox)), 1)

    def _verdict(self, used: Mapping[bytes, int], *, is_paid: bool) -> Verdict:
        if any(_is_over(hidden, used) for hidden in self.refusing) or _is_over(self.mailbox, used, 1):
            return Verdict.REFUSED
        has_price = any(_is_over(hidden, used) for hidden in (*self.priced, self.mailbox))
        return Verdict.CHALLENGE if has_price and not is_paid else Verdict.COMPARE


def _is_over(hidden: HiddenQuota, used: Mapping[bytes, int], which: int = 0) -> bool:
    return used[hidden.quota.key] > hidden.limits[which]


async def of(visit: Visit, letter_id: LetterId, digest: bytes) -> CodeTry:
    """Return the try of a code for the mailbox that the letter knows by ``digest``. Raises ``Unavailable``."""
    day, (hour, _) = await visit.services.day_keys.today(), await visit.services.day_keys.hours()
    limits, network = visit.services.settings.limits, visit.network
    mailbox = f"{letter_id}|{digest.hex()}"
    by_prefix = [
        day.hidden_daily("code-prefix", f"{prefix}|{mailbox}", limit * NETWORK_FACTOR)
        for prefix, limit in network.limits(limits.code)
    ]
    in_all = hour.hidden("code-network", network.narrowest, limits.code_network)
    return CodeTry(
        refusing=(by_prefix[0], in_all) if network.has_own_bucket else (),
        priced=tuple(by_prefix[1:] if network.has_own_bucket else by_prefix),
        mailbox=day.hidden_daily("code", mailbox, limits.code * FREE_FACTOR, limits.code * LAST_FACTOR),
    )
