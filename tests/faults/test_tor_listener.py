"""A visitor over Tor invents addresses: no limit is passed by, no stranger's address used up, and all others sign."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core.database import opened
from petition.core.settings import Process, load
from tests.conftest import fresh_database
from tests.faults.processes import web
from tests.running import SLUG, Installation, environment, free_port
from tests.wire import ask

if TYPE_CHECKING:
    from tests.conftest import Conn

ONION = "letters7example.onion"
HOST = "letters.localhost:8000"
TRIES = 150
VICTIM = "93.184.216.34"
CONFIRM, SIGN = f"/en/{SLUG}/confirm", f"/en/{SLUG}/sign"


@dataclass
class Town:
    """A running installation; ``onion_port`` is where Tor's daemon connects."""

    site: Installation
    port: int
    onion_port: int

    async def over_tor(
        self, path: str, form: Mapping[str, str], address: str = "", *, circuit: int | None = None, host: str = ONION
    ) -> int:
        """Post a form as Tor's daemon passes it on, with an address of the visitor's invention; return the status."""
        headers = {"X-Forwarded-For": address} if address else {}
        line = b"" if circuit is None else b"PROXY TCP6 fc00:dead:beef:4dad::0:%x ::1 %d 80\r\n" % (circuit, circuit)
        return await ask(self.onion_port, path, host, form, headers, line)

    async def by_proxy(self, path: str, form: Mapping[str, str], address: str) -> int:
        """Post a form as the proxy passes it on."""
        return await ask(self.port, path, HOST, form, {"X-Forwarded-For": address})

    async def assert_all_sign(self, name: str, circuit: int | None) -> None:
        """Sign over Tor, and as the visitor whose address is being used up; try a code from there."""
        assert await self.over_tor(SIGN, await self.site.form(email=f"{name}1@letters.example"), circuit=circuit) == 303
        assert await self.by_proxy(SIGN, await self.site.form(email=f"{name}2@letters.example"), VICTIM) == 303
        assert await self.by_proxy(CONFIRM, code(f"{name}3"), VICTIM) == 422


def code(name: str) -> dict[str, str]:
    """Return a try of a code for a mailbox that has none."""
    return {"email": f"{name}@example.com", "code": "000000"}


@asynccontextmanager
async def town(url: str, folder: Path, arguments: str, **more: str) -> AsyncIterator[Town]:
    port = free_port()
    base = {"BASE_URL": f"http://{HOST}", "ONION_URL": f"http://{ONION}", "TRUSTED_PROXIES": "127.0.0.1"}
    environ = environment(folder, url, port, **base, **more)
    settings = load(environ, role=Process.WEB)
    async with opened(url, max_size=4) as database, web(environ, port, folder / "web.log", arguments) as process:
        yield Town(Installation(environ, settings, database, process.client), port, settings.onion_port or port)


@pytest.fixture(params=["", "--workers 2"], ids=["one process", "two"])
async def separate(
    request: pytest.FixtureRequest, cluster: str, admin: "Conn", published: str, tmp_path: Path
) -> AsyncIterator[Town]:
    """Give an installation with a listener for Tor."""
    async with (
        fresh_database(cluster, admin, published) as url,
        town(url, tmp_path, request.param, ONION_PORT=str(free_port())) as running,
    ):
        yield running


@pytest.fixture
async def shared(cluster: str, admin: "Conn", published: str, tmp_path: Path) -> AsyncIterator[Town]:
    """Give one from before there was such a listener."""
    async with fresh_database(cluster, admin, published) as url, town(url, tmp_path, "") as running:
        yield running


async def test_on_the_listener_of_tor_an_invented_address_changes_nothing(separate: Town) -> None:
    await separate.assert_all_sign("before", 7)
    circuit, all_of_tor = Counter[int](), Counter[int]()
    for number in range(TRIES):
        address = f"9.{number}.1.1" if number % 2 else VICTIM
        circuit[await separate.over_tor(CONFIRM, code(f"x{number}"), address, circuit=41)] += 1
        all_of_tor[await separate.over_tor(CONFIRM, code(f"y{number}"), address)] += 1
        if number % 50 == 25:
            await separate.assert_all_sign(f"while{number}", 7)
    assert circuit[429] > TRIES / 3  # the circuit's own limit of sixty an hour, give or take a half
    assert set(circuit) == {422, 429}
    assert set(all_of_tor) == {422}  # without circuits all of Tor shares a bucket, which refuses no one
    await separate.assert_all_sign("after", 7)
    assert await separate.over_tor(CONFIRM, code("other"), circuit=8) == 422
    assert await separate.over_tor(CONFIRM, code("z"), VICTIM, circuit=41) == 429


async def test_the_name_of_the_other_listener_opens_no_way_around(separate: Town) -> None:
    for number in range(20):
        assert await separate.over_tor(CONFIRM, code(f"x{number}"), f"9.{number}.1.1", host=HOST) == 421
        assert await ask(separate.port, CONFIRM, ONION, code("y"), {"X-Forwarded-For": f"9.{number}.1.1"}) == 421
    await separate.assert_all_sign("after", None)


async def test_where_tor_shares_the_port_an_invented_address_is_refused(shared: Town) -> None:
    await shared.assert_all_sign("before", None)
    statuses = Counter[int]()
    for number in range(TRIES):
        address = f"9.{number}.1.1" if number % 2 else VICTIM
        statuses[await shared.over_tor(CONFIRM, code(f"x{number}"), address)] += 1
        assert await shared.over_tor(CONFIRM, code(f"y{number}"), f"10.0.0.{number}") == 422
    assert statuses == {421: TRIES}
    await shared.assert_all_sign("after", None)


async def test_where_tor_shares_the_port_no_invented_address_locks_its_owner_out(shared: Town) -> None:
    for number in range(TRIES):
        assert await shared.over_tor(CONFIRM, code(f"x{number}"), VICTIM, host=HOST) == 422
    await shared.assert_all_sign("after", None)
