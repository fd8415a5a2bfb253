"""What every request or link carries: languages, forwarded addresses, tokens; and the addresses in the settings."""

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asyncpg import connect_utils
from hypothesis import strategies as st

from petition.core import i18n, resources
from petition.core.client_networks import of_client
from petition.core.errors import BadToken, PetitionError, SettingsError
from petition.core.ids import LetterId, SignatureId
from petition.core.relay_urls import parse_relay
from petition.core.service_urls import is_this_machine, parse_database
from petition.core.tokens import Tokens
from tests.fuzz.running import ROUGH, TEXT, fuzz, lines_of

LANGUAGES = i18n.load(resources.folder("locales"))
TOKENS = Tokens(["a secret key of this test that is long enough"])


@fuzz(ROUGH | lines_of("en", "ru", "de-DE", "*", ";q=", "0.5", "1", ",", "-"), examples=200)
def test_a_language_is_one_of_ours(header: str) -> None:
    assert LANGUAGES.best(header) in LANGUAGES


ADDRESSES = lines_of(
    "127.0.0.1", "203.0.113.9", "10.0.0.7", "::1", "2001:db8::1", "::ffff:", ",", " ", "[", "]", ":80", "unknown"
)
PROXIES = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))


@fuzz(st.lists(ADDRESSES, max_size=3), st.sampled_from(["198.51.100.7", "2001:db8:9::9", "x", None]), examples=200)
def test_no_header_moves_the_network_of_a_stranger(values: list[str], peer: str | None) -> None:
    assert of_client(peer, values, PROXIES) == of_client(peer, [], PROXIES)


@fuzz(st.lists(ADDRESSES, max_size=3), st.sampled_from(["127.0.0.1", "10.0.0.7"]), examples=200)
def test_what_stands_left_of_the_visitors_address_moves_nothing(values: list[str], peer: str) -> None:
    own = of_client(peer, ["203.0.113.9"], PROXIES)
    assert of_client(peer, [*values, "203.0.113.9"], PROXIES) == own
    assert of_client(peer, [f"{','.join(values)}, 203.0.113.9, 10.0.0.7"], PROXIES) == own
    of_client(peer, values, PROXIES)


@fuzz(ROUGH, st.integers(0, 60), st.integers(0, 60), examples=200)
def test_a_token_has_one_spelling(noise: str, start: int, end: int) -> None:
    token = TOKENS.for_signature(LetterId(7), SignatureId(9))
    for changed in (noise, token[:start] + noise + token[end:]):
        for read in (
            TOKENS.read_signature,
            TOKENS.read_second,
            TOKENS.read_reply,
            TOKENS.read_preview,
            TOKENS.read_never,
        ):
            try:
                read(changed)
            except BadToken:
                continue
            assert changed == token
            assert read == TOKENS.read_signature


@fuzz(TEXT)
def test_a_code_is_six_digits(typed: str) -> None:
    code = TOKENS.code(LetterId(7), SignatureId(9))
    assert TOKENS.is_code(typed, LetterId(7), SignatureId(9)) == (typed == code)


HOSTS = (
    "localhost",
    "127.0.0.1",
    "[::1]",
    "db.example",
    "10.0.0.1",
    "%2Frun%2Fx",
    "/run/x",
    "127.1",
    "x.localhost",
    "localhost.",
)
PARTS = (
    *HOSTS,
    *(
        "postgresql://",
        "postgres://",
        "u:p",
        "@",
        ",",
        ":5432",
        ":0",
        "/x",
        "?",
        "&",
        "host=",
        "port=",
        "sslmode=",
        "require",
    ),
    *(
        "prefer",
        "disable",
        "verify-full",
        "plain=1",
        "plain=0",
        "service=s",
        "user=u",
        "dbname=d",
        "%",
        "%40",
        "#",
        "=",
        "6432",
    ),
)
URLS = st.lists(st.sampled_from(PARTS), max_size=9).map(lambda parts: "postgresql://" + "".join(parts))
ENVIRON = st.fixed_dictionaries(
    {},
    optional={
        "PGHOST": st.sampled_from(["db.example", "localhost", "/run/x", "localhost,db.example", "::1"]),
        "PGPORT": st.sampled_from(["5432", "1,2", "x", "99999"]),
        "PGSSLMODE": st.sampled_from(["prefer", "disable", "require", "allow", "x"]),
    },
)


@fuzz(URLS | TEXT, ENVIRON, examples=400)
def test_nothing_leaves_this_machine_in_the_clear(url: str, environ: dict[str, str]) -> None:
    """The driver's own reading of the address and of the environment is asked."""
    try:
        address = parse_database(url, environ)
    except SettingsError as error:
        assert "u:p" not in str(error)  # noqa: PT017 - not every address is refused
        return
    if "plain=1" in url:
        return
    with changed_environment(environ):
        try:
            hosts, params, *_ = driver_reading(address.url)
        except (PetitionError, ValueError, OSError, IndexError) as error:
            is_clear = "port" in str(error) or "sslmode" in address.url or not str(error)
            assert is_clear, error  # noqa: PT017 - the driver may refuse what it would not use in the clear
            return
    for host in hosts:
        if isinstance(host, tuple) and not is_this_machine(host[0]):
            assert isinstance(params.ssl, ssl.SSLContext)
            assert params.sslmode.name in {"require", "verify_ca", "verify_full"}


def driver_reading(url: str) -> Any:
    options = dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile")
    )
    more = dict.fromkeys(("direct_tls", "server_settings", "target_session_attrs", "krbsrvname", "gsslib"))
    """Return what the driver makes of an address; the function is private, and moves with the driver's versions."""
    return connect_utils._parse_connect_dsn_and_args(dsn=url, **options, **more)  # type: ignore[attr-defined]


@contextlib.contextmanager
def changed_environment(environ: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("PGHOST", "PGPORT", "PGSSLMODE", "HOME")}
    os.environ.update(environ | {"HOME": str(Path("/nonexistent"))})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


RELAYS = (
    *(
        "smtp://",
        "smtps://",
        "u:pass",
        "@",
        ":587",
        ":465",
        "?",
        "&",
        "starttls=1",
        "starttls=0",
        "plain=1",
        "starttls=true",
    ),
    *(
        "localhost",
        "127.0.0.1",
        "[::1]",
        "mail.example",
        "mail.example.",
        "10.0.0.1",
        "%",
        "#",
        "/",
        "x.localhost",
        "tls=1",
    ),
)


@fuzz(st.lists(st.sampled_from(RELAYS), max_size=8).map("".join) | TEXT, examples=400)
def test_no_relay_is_used_in_the_clear(url: str) -> None:
    try:
        relay = parse_relay(url)
    except SettingsError as error:
        assert "u:pass" not in str(error)  # noqa: PT017 - as above
        return
    assert relay.tls or relay.starttls or is_this_machine(relay.host) or "plain=1" in url
    assert 0 < relay.port < 65536
