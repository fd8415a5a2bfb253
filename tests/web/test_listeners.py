"""Trust belongs to the listener: no header of a visitor's moves a bucket, and each listener has its own Host."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.client_networks import ONION_NETWORK, ClientNetwork, of_circuit, of_client
from petition.core.settings import Process, load
from petition.web.listeners import FORWARDING_NAMES, FORWARDING_PREFIXES, ONION_CLIENT, Listeners
from tests.running import SLUG, Installation, environment, free_port, installation

ONION = "letters7example.onion"
LETTER = f"/en/{SLUG}"
LINE = b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41 80\r\n"
PROXY = "198.18.0.1"  # the visitor's address, as the proxy tells it
VISITORS_OWN = st.sampled_from(
    [
        "8.8.8.8",
        "1.2.3.4:5",
        "[2a00:1450::1]:443",
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "unknown",
        "",
        ",",
        ", ,",
        "::ffff:8.8.4.4",
    ]
)
NAMES = ["X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via"]
NAMES += ["X-Forwarded-Proto", "X-Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Client-IP"]


@dataclass
class Requests:
    """What the application behind the gateway gets to see."""

    site: Installation
    scopes: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, data: bytes, *, onion: bool = False) -> int:
        """Send bytes on a connection of their own; return the answer's status, 0 if the connection was closed."""
        port = self.site.settings.onion_port if onion else self.site.settings.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            line = await asyncio.wait_for(reader.readline(), 60)
        except ConnectionError:
            return 0
        finally:
            writer.close()
        return int(line.split()[1]) if line else 0

    async def ask(
        self, target: str, host: str, headers: list[tuple[str, str]], *, onion: bool, line: bytes = b""
    ) -> int:
        """Ask for a target; return the status."""
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
        return await self.send(line + "\r\n".join([*lines, "Connection: close", "", ""]).encode(), onion=onion)

    @property
    def network(self) -> ClientNetwork:
        """The network of the newest request."""
        network: ClientNetwork = self.scopes[-1]["network"]
        return network


@contextlib.asynccontextmanager
async def listening(database_url: str, folder: Path, **more: str) -> AsyncIterator[Requests]:
    """Run an installation; note what its gateway passes on."""
    async with installation(database_url, folder, **more) as site:
        assert site.app is not None
        requests, app = Requests(site), site.app._app

        async def noting(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
            requests.scopes.append({**scope, "headers": list(scope["headers"])})
            await app(scope, receive, send)

        site.app._app = noting
        yield requests


@pytest.fixture
async def requests(database_url: str, tmp_path: Path) -> AsyncIterator[Requests]:
    """Give an installation with a listener for Tor."""
    more = {"ONION_URL": f"http://{ONION}", "ONION_PORT": str(free_port())}
    async with listening(database_url, tmp_path, **more) as requests:
        yield requests


@pytest.fixture
async def shared(database_url: str, tmp_path: Path) -> AsyncIterator[Requests]:
    """Give an installation as before ``ONION_PORT``: Tor's daemon and the proxy connect to the same port."""
    async with listening(database_url, tmp_path, ONION_URL=f"http://{ONION}") as requests:
        yield requests


def forged(seed: int) -> list[tuple[str, str]]:
    """Return some forwarding headers as a visitor may write them."""
    draw = random.Random(seed)
    values = [
        "8.8.8.8",
        "8.8.4.4, 1.1.1.1",
        "[2a00:1450::1]:443",
        "for=8.8.8.8;host=x",
        "127.0.0.1",
        "",
        ", ,",
        "x" * 2000,
    ]
    return [(draw.choice(NAMES), draw.choice(values)) for _ in range(draw.randint(1, 5))]


def assert_nothing_forwarded(requests: Requests) -> None:
    for scope in requests.scopes:
        for name, _ in scope["headers"]:
            assert not name.startswith(FORWARDING_PREFIXES)
            assert name not in FORWARDING_NAMES


@pytest.mark.parametrize("line", [b"", LINE], ids=["plain", "circuit"])
async def test_no_header_moves_a_bucket_on_the_listener_of_tor(requests: Requests, line: bytes) -> None:
    network = of_circuit("0:29") if line else ONION_NETWORK
    for seed in range(40):
        assert await requests.ask(f"{LETTER}/find", ONION, forged(seed), onion=True, line=line) == 200
        assert requests.network == network
    assert len(requests.scopes) == 40
    assert_nothing_forwarded(requests)


async def assert_only_the_proxy_counts(requests: Requests) -> None:
    host = f"localhost:{requests.site.settings.port}"
    for seed in range(40):
        headers = [*forged(seed), ("X-Forwarded-For", PROXY)]
        assert await requests.ask(f"{LETTER}/find", host, headers, onion=False) == 200
        assert requests.network.prefixes == of_client(PROXY, (), ()).prefixes
    assert_nothing_forwarded(requests)


async def test_on_the_main_listener_only_what_the_proxy_appends_counts(requests: Requests) -> None:
    await assert_only_the_proxy_counts(requests)
    assert requests.network.has_own_bucket


async def test_so_it_is_where_tor_shares_the_listener(shared: Requests) -> None:
    await assert_only_the_proxy_counts(shared)
    assert not shared.network.has_own_bucket  # Tor's daemon could have sent it


async def test_where_tor_shares_the_port_a_header_gets_no_other_bucket(shared: Requests) -> None:
    for seed in range(60):
        status = await shared.ask(f"{LETTER}/find", ONION, forged(seed), onion=False)
        assert (status, shared.scopes[-1].get("refused")) in {(200, None), (421, 421)}
        if status == 200:
            assert shared.network == ONION_NETWORK
    assert await shared.ask(f"{LETTER}/find", ONION, [], onion=False) == 200
    assert await shared.ask(LETTER, ONION, [("X-Forwarded-For", "8.8.8.8")], onion=False) in {200, 421}
    assert_nothing_forwarded(shared)


@given(
    before=st.lists(st.tuples(st.sampled_from([name.lower().encode() for name in NAMES]), VISITORS_OWN), max_size=6),
    host=st.sampled_from([b"letters.example", b"letters7example.onion", b"", b"evil.example", None]),
    onion=st.booleans(),
    address=st.ip_addresses().filter(lambda address: address.is_global),
)
def test_only_the_trusted_proxy_is_believed(
    before: list[tuple[bytes, str]], host: bytes | None, onion: bool, address: Any
) -> None:
    environ = {"ONION_URL": f"http://{ONION}", "ONION_PORT": "8001", "TRUSTED_PROXIES": "127.0.0.1"}
    settings = load(environment(Path("/nowhere"), "postgresql://nobody@127.0.0.1/x", 8000, **environ), role=Process.WEB)
    listeners = Listeners(settings)
    headers = [(name, value.encode()) for name, value in before]
    if host is not None:
        headers.append((b"host", host))

    def network_of(peer: str, *more: tuple[bytes, bytes]) -> ClientNetwork:
        scope: dict[str, Any] = {"client": (peer, 1), "headers": [*headers, *more]}
        if onion:
            scope[ONION_CLIENT] = of_circuit("0:1")
        listeners.identify(scope, host)
        network: ClientNetwork = scope["network"]
        return network

    own = of_circuit("0:1") if onion else of_client(str(address), (), ())
    assert network_of(str(address)) == own  # connects directly
    appended = network_of("127.0.0.1", (b"x-forwarded-for", f"{address}".encode()))
    assert appended == own


STRANGE_HOSTS = ["{}.", "{}:81", "www.{}", "{}@evil.example", "evil.example", "", "{}%00", "[{}]", "{},{}"]


async def test_each_listener_refuses_the_host_of_the_other(requests: Requests) -> None:
    port = requests.site.settings.port
    main = f"localhost:{port}"
    assert await requests.ask(LETTER, main, [], onion=False) == 200  # cached from now on
    for target in (LETTER, f"{LETTER}/find", f"/api/v1/letters/{SLUG}/count", "/", "/healthz", "/readyz"):
        for host in (ONION, ONION.upper(), f"{ONION}:80", f"{ONION}.", f"{ONION}:{port}"):
            expected = {421} if not (target in {"/healthz", "/readyz"} and host.endswith((".", str(port)))) else {200}
            assert await requests.ask(target, host, [], onion=False) in expected, (target, host)
        for host in (main, main.upper(), "localhost", f"127.0.0.1:{port}", "evil.example", *STRANGE_HOSTS):
            status = await requests.ask(target, host.replace("{}", ONION), [], onion=True)
            assert status in {400, 421}, (target, host)
        assert await requests.ask(target, ONION.upper(), [], onion=True) in {200, 303}
        assert await requests.ask(target, f"{ONION}:80", [], onion=True) in {200, 303}


async def test_a_target_in_absolute_form_names_the_host(requests: Requests) -> None:
    main = f"localhost:{requests.site.settings.port}"
    assert await requests.ask(LETTER, main, [], onion=False) == 200
    for scheme in ("http", "HTTP", "https"):
        assert await requests.ask(f"{scheme}://{ONION}{LETTER}", main, [], onion=False) == 421
        assert await requests.ask(f"{scheme}://{main}{LETTER}", ONION, [], onion=True) == 421
        assert await requests.ask(f"{scheme}://{main}{LETTER}", "evil.example", [], onion=False) == 200
        assert await requests.ask(f"{scheme}://{ONION}{LETTER}", main, [], onion=True) == 200
        assert await requests.ask(f"{scheme}://x@{ONION}{LETTER}", ONION, [], onion=True) == 421


async def test_two_hosts_are_none(requests: Requests) -> None:
    main = f"localhost:{requests.site.settings.port}"
    assert await requests.ask(LETTER, main, [], onion=False) == 200
    for other in (main, ONION, "evil.example"):
        assert await requests.ask(LETTER, main, [("Host", other)], onion=False) in {400, 421}
        assert await requests.ask(LETTER, ONION, [("hOST", other)], onion=True) in {400, 421}


async def test_a_proxy_line_is_read_only_where_tor_connects_and_only_its_own(requests: Requests) -> None:
    main = f"localhost:{requests.site.settings.port}"
    assert await requests.ask(LETTER, main, [], onion=False, line=LINE) == 400
    for line in (b"PROXY UNKNOWN\r\n", b"PROXY TCP4 8.8.8.8 8.8.4.4 1 2\r\n", b"PROXY " + b"x" * 200):
        assert await requests.ask(LETTER, ONION, [], onion=True, line=line) == 0
    assert await requests.ask(LETTER, ONION, [], onion=True, line=LINE + LINE) == 400


async def test_a_line_in_pieces_is_read_and_holds_for_the_whole_connection(requests: Requests) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", requests.site.settings.onion_port)
    request = f"GET {LETTER}/find HTTP/1.1\r\nHost: {ONION}\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n".encode()
    for byte in LINE + request:
        writer.write(bytes([byte]))
        await writer.drain()
    for number in range(3):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0]
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
        assert len(requests.scopes) == number + 1
        writer.write(request)
    writer.close()
    assert {scope["network"] for scope in requests.scopes} == {of_circuit("0:29")}
