"""The addresses of relays and databases: what is read from them, and what the driver is handed."""

import dataclasses
from datetime import timedelta

import pytest

from petition.core.errors import SettingsError
from petition.core.relay_urls import RelayLimits, names_of, parse_relay
from petition.core.service_urls import is_loopback, parse_database


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://mail.example?plain=1", ("mail.example", 25, None, None, False, False)),
        ("smtp://localhost", ("localhost", 25, None, None, False, False)),
        ("smtp://localhost.:465", ("localhost", 465, None, None, False, False)),
        ("smtps://Mail.Example.", ("mail.example", 465, None, None, True, False)),
        ("smtps://почта.рф", ("почта.рф", 465, None, None, True, False)),
        ("smtp://mail.example?starttls=true", ("mail.example", 25, None, None, False, True)),
        ("smtp://mail.example?starttls=yes", ("mail.example", 25, None, None, False, True)),
        ("smtp://mail.example?starttls=on", ("mail.example", 25, None, None, False, True)),
        ("smtp://mail.example?starttls=True", ("mail.example", 25, None, None, False, True)),
        ("smtp://mail.example:587?starttls=1", ("mail.example", 587, None, None, False, True)),
        ("smtps://u:p@mail.example", ("mail.example", 465, "u", "p", True, False)),
        ("smtp://u%40x.example:p%2Fq%3A@[::1]:2525", ("::1", 2525, "u@x.example", "p/q:", False, False)),
    ],
)
def test_relays(url: str, relay: tuple[object, ...]) -> None:
    parsed = parse_relay(url)
    assert dataclasses.astuple(parsed)[:-1] == relay
    assert parsed.limits == RelayLimits()


def test_limits_of_a_relay() -> None:
    url = "smtp://localhost?connections=7&per_minute=300&warm_up=14d&gmail=1200&mail_ru=60"
    limits = RelayLimits(7, 300, timedelta(days=14), {"gmail": 1200, "mail_ru": 60})
    assert parse_relay(url).limits == limits


@pytest.mark.parametrize(
    "parameter",
    [
        *("connections=0", "connections=101", "per_minute=", "per_minute=-1", "per_minute=1e3", "warm_up=14"),
        *("warm_up=0d", "warm_up=1w", "warm_up=366d", "gmail=0", "yandex=many", "hotmail=5", "Connections=4"),
    ],
)
def test_limits_that_make_no_sense_are_refused(parameter: str) -> None:
    with pytest.raises(SettingsError, match=parameter.partition("=")[0]):
        parse_relay(f"smtp://localhost?{parameter}")


def test_names_of_relays() -> None:
    urls = ["smtps://mail.example", "smtp://a:x@localhost", "smtp://b:x@localhost", "smtp://[::1]:2525"]
    names = names_of([parse_relay(url) for url in (*urls, urls[1])])
    assert (names[0], names[3]) == ("mail.example:465", "[::1]:2525")
    assert names[1].startswith("localhost:25/")
    assert names[1][len("localhost:25/") :] not in {"a", "b"}
    assert names[2].startswith("localhost:25/")
    assert names[4] == f"{names[1]}#2"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "url", ["http://localhost", "http://localhost:80", "http://x.localhost", "http://127.1.2.3", "http://[::1]:8000"]
)
def test_loopback(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url", ["http://localhost.example", "http://10.0.0.1", "https://letters.example", "http://0.0.0.0", "http://"]
)
def test_not_loopback(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize(
    ("url", "drivers", "is_pooled"),
    [
        ("postgresql://u:p@db.example/x", "postgresql://u:p@db.example/x?sslmode=require", False),
        (
            "postgresql://u:p@db.example/x?sslmode=verify-full",
            "postgresql://u:p@db.example/x?sslmode=verify-full",
            False,
        ),
        ("postgresql://u:p@db.example/x?plain=1", "postgresql://u:p@db.example/x", False),
        ("postgresql://db/x?sslmode=disable&plain=yes", "postgresql://db/x?sslmode=disable", False),
        ("postgresql://localhost/x?statement_cache_size=0", "postgresql://localhost/x", True),
        ("postgresql://localhost/x?statement_cache_size=100", "postgresql://localhost/x", False),
        ("postgresql:///x?host=/run/p,/run/q&port=1", "postgresql:///x?host=/run/p,/run/q&port=1", False),
        (
            "postgresql://a,b:1/x?target_session_attrs=primary",
            "postgresql://a,b:1/x?target_session_attrs=primary&sslmode=require",
            False,
        ),
    ],
)
def test_what_the_driver_is_given(url: str, drivers: str, is_pooled: bool) -> None:
    address = parse_database(url, {})
    assert (address.url, address.is_pooled) == (drivers, is_pooled)


@pytest.mark.parametrize(
    ("url", "environ", "drivers", "mode"),
    [
        (
            "postgresql://db.example/x",
            {"PGSSLMODE": "verify-full"},
            "//db.example/x?sslmode=verify-full",
            "verify-full",
        ),
        ("postgresql:///x", {"PGHOST": "db.example"}, "///x?sslmode=require", "require"),
        ("postgresql:///x", {"PGHOST": "/run/postgresql", "PGSSLMODE": "disable"}, "///x", None),
        ("postgresql:///x?host=/run/x", {"PGHOST": "db.example"}, "///x?host=/run/x", None),
        ("postgresql://localhost/x", {"PGSSLMODE": "disable"}, "//localhost/x", None),
        ("postgresql://db.example/x?plain=1", {"PGSSLMODE": "disable"}, "//db.example/x?sslmode=disable", "disable"),
        ("postgresql://db.example/x?plain=1", {}, "//db.example/x", "prefer"),
        ("postgresql://%2Frun%2Fx/x", {}, "//%2Frun%2Fx/x", None),
        ("postgresql://u:p@q%40#@db.example/x", {}, "//u:p%40q%40%23@db.example/x?sslmode=require", "require"),
        ("postgresql:///x?service=s&sslmode=require", {}, "///x?service=s&sslmode=require", "require"),
    ],
)
def test_what_the_driver_reads_by_itself_is_held_to_the_same_rules(
    url: str, environ: dict[str, str], drivers: str, mode: str | None
) -> None:
    address = parse_database(url, environ)
    assert (address.url.removeprefix("postgresql:"), address.sslmode) == (drivers, mode)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PGHOST": "db.example", "PGSSLMODE": "prefer"}, "with sslmode=prefer names and passwords"),
        ({"PGHOST": "/run/postgresql,db.example", "PGSSLMODE": "disable"}, "with sslmode=disable names and passwords"),
        ({"PGHOST": "db.example", "PGSSLMODE": "hush"}, "sslmode must be one of"),
        ({"PGPORT": "hush"}, "port \\(or PGPORT\\) must be a whole number"),
    ],
)
def test_the_environment_of_the_driver_opens_no_way_around(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        parse_database("postgresql:///x", environ)
    assert "hush" not in str(refused.value)
