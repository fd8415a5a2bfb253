"""The keeper by itself: its token, its limits, its page; and its settings on both sides."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError, Unavailable
from petition.core.keeper import KeeperClient, KeeperPurpose, KeeperRefused
from petition.core.keeper_settings import KeeperAddress, read_keeper
from petition.keeper.counts import KeeperCounts
from petition.keeper.digests import RateLimit, SecondKey
from petition.keeper.settings import load
from petition.keeper.strangers import Strangers
from tests.keeper import keepers
from tests.keeper.keepers import KEY, TOKEN, RunningKeeper

P = KeeperPurpose


async def ask(
    keeper: RunningKeeper, path: str, body: object = None, token: str | None = TOKEN, method: str | None = None
) -> tuple[int, Mapping[str, str], str]:
    """Return status, headers and body."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    connector = aiohttp.UnixConnector(str(keeper.socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        verb = method or ("GET" if body is None else "POST")
        async with session.request(verb, f"http://keeper{path}", data=data, headers=headers) as response:
            return response.status, response.headers, await response.text()


async def test_digests_are_keyed_and_counted_by_purpose() -> None:
    async with keepers.a_keeper() as keeper:
        values = {"sign": ["00" * 16, "11" * 16], "find": ["22" * 16]}
        status, _, text = await ask(keeper, "/v1/digests", {"values": values})
        assert status == 200
        answer, key = json.loads(text), SecondKey(bytes.fromhex(KEY))
        assert answer["fingerprint"] == key.fingerprint.hex()
        assert answer["digests"]["sign"] == [one.hex() for one in key.digests([bytes(16), b"\x11" * 16])]
        counts = json.loads((await ask(keeper, "/v1/counts"))[2])
        assert [(row["purpose"], row["requests"], row["values"]) for row in counts["hours"]] == [
            ("find", 1, 1),
            ("sign", 1, 2),
        ]
        page = (await ask(keeper, "/"))[2]
        assert "<td>sign<td>1<td>2" in page
        assert KEY not in page + text


@pytest.mark.parametrize("path", ["/", "/v1/counts", "/v1/digests", "/elsewhere"])
@pytest.mark.parametrize("token", [None, "", "x" * 40, TOKEN[:-1], TOKEN + "x", "é" * 32])
async def test_nothing_without_the_token(path: str, token: str | None) -> None:
    async with keepers.a_keeper() as keeper:
        body: object = {"values": {}} if path == "/v1/digests" else None
        sent = None if token is None else token.encode().decode("latin-1")
        assert (await ask(keeper, path, body, sent))[0] == 401
        assert (await ask(keeper, "/health", token=None))[0] == 200
        counts = json.loads((await ask(keeper, "/v1/counts"))[2])["hours"]
        assert [(row["purpose"], row["requests"]) for row in counts] == [("refused", 1)]


async def test_a_token_that_is_no_text_is_wrong_as_well() -> None:
    async with keepers.a_keeper() as keeper:
        reader, writer = await asyncio.open_unix_connection(str(keeper.socket))
        writer.write(b"GET / HTTP/1.1\r\nHost: keeper\r\nAuthorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_a_browser_may_give_the_token_as_password() -> None:
    async with keepers.a_keeper() as keeper:
        connector = aiohttp.UnixConnector(str(keeper.socket))
        headers = {"authorization": "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()}
        session = aiohttp.ClientSession(connector=connector, headers=headers)
        async with session, session.get("http://keeper/") as response:
            assert response.status == 200
            assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        {"values": []},
        {"values": {"sign": "00"}},
        {"values": {"sign": [1]}},
        {"values": {"sign": ["xx"]}},
        {"values": {"sign": ["0"]}},
        {"values": {"<b>": []}},
        {"values": {"sign": ["00" * 65]}},
        {"values": {"sign": ["00"] * 1001}},
        {"values": {f"p{'abcdefghijklmnopqrstu'[n]}": [] for n in range(21)}},
    ],
    ids=repr,
)
async def test_what_is_not_understood_is_refused(body: object) -> None:
    async with keepers.a_keeper() as keeper:
        assert (await ask(keeper, "/v1/digests", body))[0] == 400


async def test_large_bodies_are_refused() -> None:
    async with keepers.a_keeper() as keeper:
        assert (await ask(keeper, "/v1/digests", b" " * 300_000))[0] == 413


async def test_the_limit_is_kept_and_leaves_half_to_those_who_sign() -> None:
    async with keepers.a_keeper(limit=2000) as keeper:
        bulk: object = {"values": {"adopt": ["00"] * 900}}
        sign: object = {"values": {"sign": ["00"] * 900}}
        statuses = [(await ask(keeper, "/v1/digests", body))[0] for body in (bulk, bulk, sign, sign)]
        assert statuses == [200, 429, 200, 429]
        status, headers, _ = await ask(keeper, "/v1/digests", sign)
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= 60
        address = KeeperAddress(TOKEN, socket=keeper.socket)
        async with KeeperClient(address) as client:
            with pytest.raises(Unavailable, match="limit"):
                await client.ask({P.SIGN: [b"\0"] * 900})


def test_the_bucket_fills_steadily(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("petition.keeper.digests.time.monotonic", lambda: now[0])
    limit = RateLimit(6000)
    assert limit.take(6000) == 0
    assert limit.take(100) == 1
    now[0] = 1
    assert limit.take(100) == 0
    assert limit.take(1) > 0


def test_counts_survive_a_restart(tmp_path: Path) -> None:
    counts = KeeperCounts(tmp_path / "counts.json")
    counts.add("sign", 3)
    counts.add("sign", 3)
    counts.store()
    again = KeeperCounts(tmp_path / "counts.json")
    again.add("find", 1)
    again.store()
    rows = KeeperCounts(tmp_path / "counts.json").rows()
    assert [(row["purpose"], row["requests"], row["values"]) for row in rows] == [("find", 1, 1), ("sign", 2, 6)]
    assert (tmp_path / "counts.json").stat().st_mode & 0o777 == 0o600


def test_words_of_a_client_do_not_fill_the_memory() -> None:
    counts = KeeperCounts(None)
    for number in range(500):
        counts.add(f"p{number}", 1)
    rows = counts.rows()
    assert len(rows) <= 100
    assert sum(row["values"] for row in rows) == 500, "what is not named is counted all the same"


async def test_many_values_are_asked_for_in_parts() -> None:
    async with keepers.a_keeper() as keeper, KeeperClient(KeeperAddress(TOKEN, socket=keeper.socket)) as client:
        client._fingerprint = SecondKey(bytes.fromhex(KEY)).fingerprint
        values = [number.to_bytes(16) for number in range(2500)]
        assert await client.apply(values, P.IMPORT) == SecondKey(bytes.fromhex(KEY)).digests(values)


async def test_what_is_no_keeper_is_refused(tmp_path: Path) -> None:
    async with keepers.a_keeper() as keeper, KeeperClient(KeeperAddress("x" * 40, socket=keeper.socket)) as client:
        with pytest.raises(KeeperRefused, match="refuses KEEPER_TOKEN"):
            await client.ask({P.SIGN: []})
    async with KeeperClient(KeeperAddress(TOKEN, socket=tmp_path / "nothing")) as client:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await client.ask({P.SIGN: []})


def reading(url: str, **more: str) -> KeeperAddress | None:
    return read_keeper(EnvironmentReader({"KEEPER_URL": url, "KEEPER_TOKEN": TOKEN, **more}))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http+unix:///run/petition/keeper.sock", "http+unix:///run/petition/keeper.sock"),
        ("http+unix://%2Frun%2Fpetition%2Fkeeper.sock", "http+unix:///run/petition/keeper.sock"),
        ("https://keeper.example:8443/", "https://keeper.example:8443"),
        ("http://127.0.0.1:8443", "http://127.0.0.1:8443"),
        ("http://[::1]:8443", "http://[::1]:8443"),
        ("http://10.0.0.5:8443?plain=1", "http://10.0.0.5:8443"),
    ],
)
def test_addresses(url: str, text: str) -> None:
    address = reading(url)
    assert address is not None
    assert address.text == text
    assert TOKEN not in repr(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://10.0.0.5:8443", "plain=1"),
        ("http://keeper.example", "plain=1"),
        ("http://10.0.0.5:8443?plain=0", "plain=1"),
        ("https://keeper.example?timeout=3", "unknown parameter 'timeout'"),
        ("https://keeper.example?ca=/nothing", "ca must be"),
        ("https://user:secret@keeper.example", "KEEPER_TOKEN"),
        ("https://keeper.example/path", "must look like"),
        ("https://keeper.example:port", "must look like"),
        ("http+unix://relative/path", "path of a socket"),
        ("http+unix:///" + "x" * 120, "path of a socket"),
        ("ftp://keeper.example", "must look like"),
        ("keeper", "must look like"),
    ],
)
def test_wrong_addresses_are_refused(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        reading(url)


def test_a_token_is_needed_and_long() -> None:
    assert read_keeper(EnvironmentReader({})) is None
    with pytest.raises(SettingsError, match="needs KEEPER_TOKEN"):
        read_keeper(EnvironmentReader({"KEEPER_URL": "http://127.0.0.1:1"}))
    with pytest.raises(SettingsError, match="at least 32"):
        reading("http://127.0.0.1:1", KEEPER_TOKEN="short")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"KEEPER_LISTEN": "10.0.0.5:8443"}, "KEEPER_CERTIFICATE"),
        ({"KEEPER_LISTEN": "0.0.0.0:8443", "KEEPER_CERTIFICATE": "x"}, "set together"),
        ({"KEEPER_LISTEN": "8443"}, "must be the path"),
        ({"KEEPER_KEY": "short"}, "64 hexadecimal digits"),
        ({"KEEPER_LIMIT": "10"}, "at least 2000"),
        ({"KEEPER_TOKEN": "short"}, "at least 32"),
    ],
)
def test_wrong_settings_of_the_keeper(tmp_path: Path, more: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load({"DATA_DIR": str(tmp_path), "KEEPER_KEY": KEY, "KEEPER_TOKEN": TOKEN, **more})


def test_a_keeper_makes_its_own_secrets_once(tmp_path: Path) -> None:
    first, second = (load({"DATA_DIR": str(tmp_path)}) for _ in range(2))
    assert (first.key, first.token) == (second.key, second.token)
    assert len(first.key) == 32
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "keeper").iterdir()} == {0}
    assert KEY not in repr(first)


async def test_strangers_take_no_connections_from_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-sent heads, silent ones, forms without the token: they end, the oldest first; who has the token stays."""
    monkeypatch.setattr("petition.keeper.server.Strangers", lambda: Strangers(max_connections=20, seconds=0.5))
    async with keepers.a_keeper() as keeper, KeeperClient(read_keeper(EnvironmentReader(keeper.settings))) as client:
        assert len((await client.ask({P.CHECK: [bytes(16)]}))[1]["check"]) == 1
        beginnings = (b"", b"GET / HTTP/1.1\r\nX: ", b"POST /v1/digests HTTP/1.1\r\nContent-Length: 900\r\n\r\n{")
        strangers = [await asyncio.open_unix_connection(str(keeper.socket)) for _ in range(60)]
        for number, (_, writer) in enumerate(strangers):
            writer.write(beginnings[number % 3])
        # The first forty had to go at once, the others go in time.
        for reader, writer in strangers:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        assert len((await client.ask({P.CHECK: [bytes(16)]}))[1]["check"]) == 1
