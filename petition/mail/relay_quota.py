"""What one worker may give one relay: its share of the relay's limits, and of each receiving provider's.

Workers share evenly (``shared_relays`` counts them), so that a limit costs no statement per mail.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from petition.core import receiving_providers
from petition.core.receiving_providers import PROVIDERS_BY_NAME, ReceivingProvider
from petition.core.relay_urls import RelayLimits
from petition.mail.mail_rate import MailRate

# A relay that is warmed up begins at a thousandth of its limit, which doubles ten times until the end.
DOUBLINGS = 10
WARM = 600  # mails a minute at the end of warming up, where no other limit is set
OCCUPIED = 0.2  # seconds after which to look again whether a provider's connections are free


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """This worker among those that run: ``rank`` of ``workers``, from 0."""

    rank: int = 0
    workers: int = 1

    def of(self, number: int) -> int:
        """Return this worker's part of ``number`` things; all workers' parts add up to it."""
        return number // self.workers + (self.rank < number % self.workers)


class RelayQuota:
    """How many connections this worker may use now, and when the next mail to a provider may go."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._share = WorkerShare()
        self._age = timedelta()  # since the relay was first used; cold until that is known
        self._changed_at = time.monotonic()
        self._rate = MailRate(limit) if (limit := self._per_minute()) else None
        self._rates: dict[str, MailRate] = {}
        self._busy: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        return self._share.of(self._limits.connections)

    def change(self, share: WorkerShare, age: timedelta) -> None:
        """Take the part of ``share``; ``age`` is since the relay was first used here."""
        if share == self._share and self._limits.warm_up is None:
            return
        self._share, self._age = share, age
        if (limit := self._per_minute()) is not None:
            if self._rate is None:
                self._rate = MailRate(limit)
            self._rate.change(limit)
        for name, rate in self._rates.items():
            rate.change(self._provider_limit(PROVIDERS_BY_NAME[name]))

    def wait(self, domain: str, *, bulk: bool) -> float:
        """Return in how many seconds a mail to ``domain`` may go, 0 for now."""
        seconds = self._rate.wait(bulk=bulk) if self._rate else 0.0
        provider = receiving_providers.of_domain(domain)
        if provider is None:
            return seconds
        is_full = self._busy[provider.name] >= max(1, self._share.of(provider.connections))
        return max(seconds, self._rate_to(provider).wait(bulk=bulk), OCCUPIED if is_full else 0.0)

    def book(self, domain: str) -> float:
        """Return in how many seconds a mail that is put off may come back."""
        rates = [self._rate] if self._rate else []
        if provider := receiving_providers.of_domain(domain):
            rates.append(self._rate_to(provider))
        return max((rate.book() for rate in rates if rate.wait(bulk=False)), default=OCCUPIED)

    @contextmanager
    def mail_to(self, domain: str) -> Iterator[None]:
        """Count a mail that goes now, and its provider's connection while it does."""
        provider = receiving_providers.of_domain(domain)
        if self._rate:
            self._rate.take()
        if provider is None:
            yield
            return
        self._rate_to(provider).take()
        self._busy[provider.name] += 1
        try:
            yield
        finally:
            self._busy[provider.name] -= 1

    def _rate_to(self, provider: ReceivingProvider) -> MailRate:
        rate = self._rates.get(provider.name)
        if rate is None:
            rate = self._rates[provider.name] = MailRate(self._provider_limit(provider))
        return rate

    def _provider_limit(self, provider: ReceivingProvider) -> float:
        return self._limits.providers.get(provider.name, provider.per_minute) / self._share.workers

    def _per_minute(self) -> float | None:
        """Return this worker's mails a minute, None without a limit."""
        limit: float | None = self._limits.per_minute
        if self._limits.warm_up and self._age < self._limits.warm_up:
            left = 1 - self._age / self._limits.warm_up
            limit = (limit or WARM) * 2.0 ** (-DOUBLINGS * left)
        elif self._limits.warm_up and limit is None:
            limit = float(1_000_000)  # warm
        return None if limit is None else limit / self._share.workers
