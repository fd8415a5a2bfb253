"""By what a replica is judged: positions of the log, ages by samples, marks of what has changed, who the server is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from petition.core import replicas
from petition.core.database import Record
from petition.core.errors import SettingsError
from petition.core.reading import MAX_ACTS, NEWEST, REMEMBERED, Freshness, Marks, RecentActs
from petition.core.replicas import Identity, LogSamples, position_in, trouble_in
from petition.core.service_urls import each_server, parse_database
from petition.core.settings import Process, load
from tests.running import KEY, PUBLIC_KEY

IDENTITY = Identity(system=7, database=5, timeline=2)
STANDBY = {"is_standby": True, "system": 7, "database": 5, "timeline": 2}
SEGMENT = 16 * 1024 * 1024
URL = "postgresql://u:p%40w@one.example:5433,two.example/letters"


def row(**values: object) -> Record:
    return cast("Record", values)


def test_the_age_is_that_of_the_newest_sample_that_was_reached() -> None:
    samples = LogSamples()
    for position, moment in ((100, 1.0), (200, 2.0), (200, 3.0), (300, 4.0)):
        samples.add(position, moment)
    assert samples.age_of(300, 4.5) == 0.5
    assert samples.age_of(299, 4.5) == 1.5  # nothing was written between 2 and 3
    assert samples.age_of(150, 4.5) == 3.5
    assert samples.age_of(99, 4.5) is None
    samples.clear()
    assert samples.age_of(300, 4.5) is None


def test_a_change_is_awaited_until_a_sample_that_was_begun_after_it() -> None:
    marks = Marks()
    assert marks.of("letter") == NEWEST  # nothing has been sampled
    marks.begin()
    marks.end(100)
    assert marks.of("letter") == 100
    marks.begin()
    marks.add("letter")  # while a sample is under way that may not contain it
    marks.end(200)
    assert marks.of("letter") == NEWEST
    assert marks.of("other") == 100
    marks.begin()
    assert marks.of("letter") == NEWEST
    marks.begin()  # the last one has failed
    marks.end(300)
    assert (marks.of("letter"), marks.of("other")) == (300, 100)
    marks.clear()
    assert marks.of("letter") == NEWEST
    marks.begin()
    marks.end(10)
    assert marks.of("letter") == 10


def test_acts_are_forgotten_after_a_minute_and_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(replicas, "now", lambda: now[0])
    acts = RecentActs()
    acts.add("one", 10)
    assert (acts.of("one"), acts.of("two")) == (10, 0)
    now[0] = REMEMBERED + 1
    assert acts.of("one") == 0
    acts.add("one", 20)
    for number in range(MAX_ACTS):
        acts.add(str(number), 30)
    assert (acts.of("one"), acts.of("0")) == (0, 30)


def test_the_oldest_reading_is_what_a_page_says() -> None:
    freshness = Freshness()
    for age in (1.0, 3.0, 2.0):
        freshness.note(age)
    assert freshness.age == 3.0


@pytest.mark.parametrize(
    ("position", "end"),
    [
        (8192 * 3, 8192 * 3),
        (8192 * 3 + 24, 8192 * 3),  # the next page's header
        (8192 * 3 + 40, 8192 * 3 + 40),  # the end of a record that began a page before
        (SEGMENT + 40, SEGMENT),  # the next segment's header is longer
        (SEGMENT + 48, SEGMENT + 48),
    ],
)
def test_the_header_of_an_empty_page_is_not_waited_for(position: int, end: int) -> None:
    assert position_in(row(position=position, segment_size=SEGMENT)) == end


@dataclass(frozen=True)
class _Case:
    changes: Mapping[str, Any]
    trouble: str | None


@pytest.mark.parametrize(
    "case",
    [
        _Case({}, None),
        _Case({"timeline": 3}, None),  # it has heard of a failover before we have
        _Case({"is_standby": False}, replicas.NO_STANDBY),
        _Case({"system": 8}, replicas.OTHER_SYSTEM),
        _Case({"database": 6}, replicas.OTHER_DATABASE),
        _Case({"timeline": 1}, replicas.OTHER_TIMELINE),
    ],
)
def test_what_is_wrong_with_a_server(case: _Case) -> None:
    assert trouble_in(row(**{**STANDBY, **case.changes}), IDENTITY) == case.trouble


def test_each_host_is_a_server_of_its_own() -> None:
    servers = dict(each_server(f"{URL}?plain=1&target_session_attrs=standby", "DATABASE_READ_URL", {}))
    assert list(servers) == ["one.example:5433", "two.example:5432"]
    assert servers["two.example:5432"] == "postgresql://u:p%40w@/letters?plain=1&host=two.example&port=5432"
    assert all(parse_database(url, {}) for url in servers.values())
    assert [name for name, _ in each_server("postgresql:///x?host=/run/a,/run/b&port=1,2", "X", {})] == [
        "/run/a:1",
        "/run/b:2",
    ]
    assert [name for name, _ in each_server("postgresql://u@[::1]:7/x?statement_cache_size=0", "X", {})] == ["[::1]:7"]
    [(_, pooled)] = each_server("postgresql://u@[::1]/x?statement_cache_size=0", "X", {})
    assert parse_database(pooled, {}).is_pooled
    [(name, _)] = each_server(
        "postgresql:///x", "X", {"PGHOST": "three.example", "PGPORT": "9", "PGSSLMODE": "require"}
    )
    assert name == "three.example:9"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DATABASE_READ_URL": URL}, "DATABASE_READ_URL needs DATABASE_URL"),
        ({"DATABASE_URL": URL, "DATABASE_READ_URL": "postgres:x"}, "DATABASE_READ_URL must look like"),
        ({"DATABASE_URL": URL, "DATABASE_READ_URL": f"{URL}?sslmode=disable"}, "DATABASE_READ_URL: with sslmode"),
        ({"DATABASE_URL": URL, "DATABASE_READ_URL": f"{URL}?colour=red"}, "DATABASE_READ_URL has an unknown"),
        ({"READ_MAX_AGE": "0"}, "READ_MAX_AGE must be between 1 and 60"),
        ({"READ_MAX_AGE": "61"}, "READ_MAX_AGE must be between 1 and 60"),
    ],
)
def test_wrong_settings_are_named(settings: Mapping[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load({"SECRET_KEY": KEY, "CONTACT_PUBLIC_KEY": PUBLIC_KEY, **settings}, role=Process.TOOL)
