"""What a form costs the client's processor, and when it is refused, by what its buckets have used.

The price of an hour follows from the hour before it, and from limits that are drawn for each bucket and hour: within an
hour no act of one client changes the price of another (docs/decisions/no-meter.md). Only the client's own network is
ever refused; the buckets of many clients (wide prefixes, the Onion service, a letter) raise the price and no more
(docs/decisions/quotas.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from petition.core import quotas
from petition.core.client_networks import ONION, ClientNetwork
from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.core.limits import Limits
from petition.core.quotas import HARDER_FACTOR, HiddenQuota, HourKey, Quota

STEP_AT = (1, 4, 16)  # times a bucket's drawn limit, in the hour before: from there on the price is one step higher
MAX_PRICE = len(STEP_AT)


class PriceGauge(NamedTuple):
    """What a bucket has used in the hour before says how high the price is."""

    key: bytes
    limit: int  # as drawn
    max_price: int

    def price(self, used: int) -> int:
        """Return the step of the price, from 0."""
        return min(self.max_price, sum([used > self.limit * factor for factor in STEP_AT])) if used else 0


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class Buckets:
    """Where one form counts, and what it may be refused and priced by."""

    own: Quota  # the client's own network
    refused_above: int | None  # uses of ``own`` in this hour, as drawn; None where ``own`` is everyone's
    counted: tuple[Quota, ...]  # all of them, ``own`` included
    gauges: tuple[PriceGauge, ...]
    lowest: int = 0  # price that is asked of everyone

    def price(self, used: Mapping[bytes, int]) -> int:
        """Return the price by ``used``, which has what the hour before used of each gauge's key, unless it is 0."""
        return max(self.lowest, *[gauge.price(used.get(gauge.key, 0)) for gauge in self.gauges])


def buckets_of(
    network: ClientNetwork, letter_id: LetterId, limits: Limits, hours: tuple[HourKey, HourKey], *, lowest: int = 0
) -> Buckets:
    """Return the buckets of a form that ``network`` sends to a letter; ``hours`` are this one and the one before."""
    this_hour, before = hours
    counted, gauges = [], []
    for prefix, limit in network.limits(limits.network):
        top = limits.onion if prefix == ONION else limit
        counted.append(this_hour.hidden("network", prefix, top, top * HARDER_FACTOR))
        is_own = network.has_own_bucket and prefix == network.narrowest
        gauges.append(_gauge(before.hidden("network", prefix, top), 1 if is_own else MAX_PRICE))
    own = counted[0]
    counted.append(this_hour.of_letter(letter_id, limits.letter))
    gauges.append(_gauge(before.of_letter(letter_id, limits.letter), MAX_PRICE))
    quotas_counted = tuple(hidden.quota for hidden in counted)
    return Buckets(own.quota, own.limits[1] if network.has_own_bucket else None, quotas_counted, tuple(gauges), lowest)


def buckets_of_mail(sender: str, letter_id: LetterId, limits: Limits, hours: tuple[HourKey, HourKey]) -> Buckets:
    """Return the buckets of a signature that comes by mail; ``sender`` stands for its network."""
    this_hour, before = hours
    own = this_hour.hidden("network", sender, limits.network * HARDER_FACTOR)
    of_letter = this_hour.of_letter(letter_id, limits.letter)
    gauge = _gauge(before.of_letter(letter_id, limits.letter), MAX_PRICE)
    return Buckets(own.quota, own.limits[0], (own.quota, of_letter.quota), (gauge,))


async def current(conn: Connection, buckets: Buckets) -> int:
    """Return the price of a form that counts in ``buckets`` now; it stays so until the hour ends."""
    return buckets.price(await quotas.spent(conn, [gauge.key for gauge in buckets.gauges]))


def _gauge(hidden: HiddenQuota, max_price: int) -> PriceGauge:
    return PriceGauge(hidden.quota.key, hidden.limits[0], max_price)
