"""Limits of a relay and of receiving providers, with a clock of the test's own."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from petition.core import receiving_providers
from petition.core.relay_urls import RelayLimits
from petition.mail.mail_rate import MailRate
from petition.mail.relay_quota import WARM, RelayQuota, WorkerShare

Pass = Callable[[float], None]


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Give a function that lets seconds pass."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def let_pass(seconds: float) -> None:
        now[0] += seconds

    return let_pass


def sent_in(rate: MailRate, passing: Pass, seconds: int, *, bulk: bool = False) -> list[float]:
    """Send whenever it is allowed; return the times, in tenths of a second."""
    times = []
    for tenth in range(seconds * 10):
        while not rate.wait(bulk=bulk):
            rate.take()
            times.append(tenth / 10)
        passing(0.1)
    return times


@pytest.mark.parametrize("per_minute", [1, 2, 5, 30, 300, 2000])
def test_no_minute_has_more_mails_than_the_limit(passing: Pass, per_minute: int) -> None:
    times = sent_in(MailRate(per_minute), passing, 300)
    in_a_minute = [sum(start <= time < start + 60 for time in times) for start in range(240)]
    assert max(in_a_minute) <= per_minute
    assert len(times) >= 4 * per_minute  # and it is used


def test_bulk_leaves_a_reserve(passing: Pass) -> None:
    rate = MailRate(300)
    sent_in(rate, passing, 30, bulk=True)
    assert rate.wait(bulk=True) > 0
    for _ in range(10):
        assert rate.wait(bulk=False) == 0
        rate.take()


def test_mails_put_off_come_back_one_after_another(passing: Pass) -> None:
    rate = MailRate(60)
    while not rate.wait(bulk=False):
        rate.take()
    waits = [rate.book() for _ in range(5)]
    assert waits == sorted(waits)
    assert waits[-1] - waits[0] == pytest.approx(4 * (waits[1] - waits[0]))


@pytest.mark.parametrize(("connections", "workers"), [(4, 1), (4, 3), (1, 2), (7, 4)])
def test_workers_share_what_there_is(connections: int, workers: int) -> None:
    shares = [WorkerShare(rank, workers).of(connections) for rank in range(workers)]
    assert sum(shares) == connections
    assert max(shares) - min(shares) <= 1


def test_a_provider_has_a_limit_of_its_own(passing: Pass) -> None:
    quota = RelayQuota(RelayLimits(providers={"mail_ru": 30}))
    for _ in range(3):
        with quota.mail_to("mail.ru"):
            pass
    assert quota.wait("bk.ru", bulk=False) > 0  # the same provider
    assert quota.wait("gmail.com", bulk=False) == 0
    assert quota.wait("example.org", bulk=False) == 0
    passing(60)
    assert quota.wait("mail.ru", bulk=False) == 0


def test_a_provider_occupies_few_connections(passing: Pass) -> None:
    quota = RelayQuota(RelayLimits(connections=50))
    provider = receiving_providers.of_domain("yandex.ru")
    assert provider
    with quota.mail_to("yandex.ru"), quota.mail_to("ya.ru"), quota.mail_to("yandex.com"):
        assert provider.connections == 3
        assert quota.wait("yandex.ru", bulk=False) > 0
        assert quota.wait("mail.ru", bulk=False) == 0
    assert quota.wait("yandex.ru", bulk=False) == 0


def test_a_relay_is_warmed_up_slowly(passing: Pass) -> None:
    limits = RelayLimits(warm_up=timedelta(days=10))
    sent = []
    for day in (0, 1, 5, 9.99, 10):
        quota = RelayQuota(limits)
        quota.change(WorkerShare(), timedelta(days=day))
        mails = 0
        for _ in range(600):
            while not quota.wait("example.org", bulk=False) and mails < 10 * WARM:
                with quota.mail_to("example.org"):
                    mails += 1
            passing(0.1)
        sent.append(mails)
    assert sent[0] <= 2
    assert sent[1] <= 3
    assert sent[0] <= sent[1] < sent[2] < sent[3] <= WARM
    assert sent[4] >= 10 * WARM  # warm: no limit


def test_a_new_relay_is_cold_until_its_age_is_known(passing: Pass) -> None:
    quota = RelayQuota(RelayLimits(warm_up=timedelta(days=10)))
    with quota.mail_to("example.org"):
        pass
    assert quota.wait("example.org", bulk=False) > 1


def test_domains_of_providers_are_no_ones_elses() -> None:
    all_domains = [domain for provider in receiving_providers.PROVIDERS_BY_NAME.values() for domain in provider.domains]
    assert len(all_domains) == len(set(all_domains)) > 30
    assert all(provider.sources for provider in receiving_providers.PROVIDERS_BY_NAME.values())
