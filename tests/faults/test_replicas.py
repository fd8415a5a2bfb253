"""Reading from standbys, real ones: which pages do, what a reader of each kind sees when one lags, and every fault."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from petition.cli import check_replicas
from petition.core import metrics, replicas
from petition.core.database import Connection, connect, migrate, opened
from petition.core.ids import SignatureId
from petition.core.reading import Freshness, opened_reading
from petition.signatures import self_service
from tests import rows
from tests.organizers import people
from tests.replication import Node, primary_and_standbys
from tests.running import SLUG, Installation, installation

LIST = f"/en/{SLUG}/signatories"
NAMES = f"/api/v1/letters/{SLUG}/signatories"  # in no cache
READER = {"X-Forwarded-For": "203.0.113.9"}
DESK = f"/organizer/{SLUG}"
PUBLIC = (
    f"/en/{SLUG}/updates?before=9",
    LIST,
    f"{LIST}?q=novak",
    f"{LIST}?kind=organization",
    f"{LIST}/print",
    f"/en/{SLUG}/report?q=novak",
    f"/en/{SLUG}/versions",
    f"/en/{SLUG}/updates",
    f"/en/{SLUG}/feed.atom",
    "/sitemap.xml",
    *(f"/api/v1/letters/{SLUG}/{path}" for path in ("signatories", "signatories?q=novak", "affiliations")),
    *(f"/api/v1/letters/{SLUG}/{path}" for path in ("history", "history?step=hour", "partners")),
)
AT_DESK = (
    *("/", "/queue", "/queue?q=novak", "/queue?wait=all", "/signatures/{signature}", "/campaigns"),
    *("/log", "/log.csv", "/statistics", "/statistics/hours.csv", "/statistics/people.csv", "/export", "/updates"),
)
LARGE = 30  # seconds of READ_MAX_AGE where no test waits until it is over


@pytest.fixture(scope="module")
async def nodes() -> AsyncIterator[list[Node]]:
    """Give a primary, and two standbys; the second one is for the worse."""
    async with primary_and_standbys(2) as servers:
        await migrate(servers[0].url)
        yield servers


@pytest.fixture
async def primary(nodes: list[Node]) -> Node:
    return nodes[0]


@pytest.fixture
async def standby(nodes: list[Node]) -> Node:
    return nodes[1]


@asynccontextmanager
async def replicated(folder: Path, primary: Node, *standbys: Node, max_age: int = LARGE) -> AsyncIterator[Installation]:
    """Run the web with these standbys, from the moment that pages are read from one."""
    hosts = ",".join(node.name for node in standbys)
    read_url = f"postgresql://petition@{hosts}/petition"
    more = {"DATABASE_READ_URL": read_url, "READ_MAX_AGE": str(max_age)}
    async with installation(primary.url, folder, **more) as site:
        await until(lambda: is_replicas(site, PUBLIC[0]))
        yield site


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await is_so():
            await asyncio.sleep(0.05)


async def is_replicas(site: Installation, path: str) -> bool:
    """Tell whether a page was read from a replica, as its header says; it must be there in any case."""
    answer = await site.client.get(path, headers=site.new_network())
    assert answer.status_code == 200
    return "data-as-of" in answer.headers


async def shows(site: Installation, name: str, headers: dict[str, str] = READER, path: str = NAMES) -> bool:
    answer = await site.client.get(path, headers=headers)
    assert answer.status_code == 200
    return name in answer.text


def readings(server: str) -> float:
    """Return how many readings a server has answered, of all installations in this process."""
    return sample(f'petition_reads_total{{server="{server}"}}')


def sample(name: str) -> float:
    """Return a figure of /metrics; 0 if it has none yet."""
    lines = metrics.render().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)


async def confirmed(site: Installation, name: str, headers: dict[str, str] = READER) -> SignatureId:
    """Confirm a signature by its mailed link, as its signatory from the network in ``headers``."""
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        [number] = await rows.add_pending(conn, letter, [f"{name.split()[0].lower()}@letters.example"], name=name)
    answer = await site.client.post(f"/en/confirm/{rows.token(letter, number)}", headers=headers)
    assert answer.status_code == 303, answer.text
    assert "set-cookie" not in answer.headers
    return number


@asynccontextmanager
async def paused(standby: Node) -> AsyncIterator[None]:
    """Have the standby replay nothing meanwhile."""
    await standby.ask("SELECT pg_wal_replay_pause()")
    await until(lambda: _is(standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'"))
    try:
        yield
    finally:
        await standby.ask("SELECT pg_wal_replay_resume()")


async def _is(node: Node, statement: str) -> bool:
    return bool(await node.ask(statement))


async def test_pages_are_read_from_the_replica(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with (
        replicated(tmp_path, primary, standby) as site,
        people.at_desk(site, "owner") as owner,
    ):
        number = await confirmed(site, "Nadia Novak", site.new_network())
        await until(lambda: _counts_one(site))  # pages that show the count are rendered again from then on
        await until(lambda: is_replicas(site, PUBLIC[0]))
        await standby.caught_up_with(primary)
        for path in PUBLIC:
            assert await answered_by(site.client, path, site.new_network()) == (0, True), path
        for path in AT_DESK:
            address = DESK + path.format(signature=number)
            assert await answered_by(owner, address, {}) == (0, True), path
        page = (await owner.get(f"{DESK}/queue")).text
        assert "As of 1 s ago" in page
        form = {"c_name": "1", "form": "csv"}
        before = readings("primary"), readings("replica")
        answer = await owner.post(f"{DESK}/export", data=form)
        assert "Nadia Novak" in answer.text
        assert (readings("primary"), readings("replica") > before[1]) == (before[0], True)


async def _counts_one(site: Installation) -> bool:
    return bool((await site.client.get(f"/api/v1/letters/{SLUG}/count")).json()["total"] == 1)


async def answered_by(client: httpx2.AsyncClient, path: str, headers: dict[str, str]) -> tuple[float, bool]:
    """Return how many readings of a page the primary answered, and whether a replica answered any."""
    before = readings("primary"), readings("replica")
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, (path, answer.text)
    return readings("primary") - before[0], readings("replica") > before[1]


async def test_without_the_setting_nothing_is_said(site: Installation) -> None:
    before = readings("primary"), readings("replica")
    answer = await site.client.get(LIST)
    assert "data-as-of" not in answer.headers
    assert "replica" not in (await site.client.get("/readyz")).text
    assert (readings("primary"), readings("replica")) == before


async def test_signatories_see_their_own_name_at_once(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with replicated(tmp_path, primary, standby) as site:
        own, stranger = site.new_network(), site.new_network()
        await standby.caught_up_with(primary)
        async with paused(standby):
            await confirmed(site, "Olga Owen", own)
            assert await shows(site, "Olga Owen", own)
            assert await shows(site, "Olga Owen", own, LIST)
            assert not await shows(site, "Olga Owen", stranger)
            assert await is_replicas(site, NAMES)
        await until(lambda: shows(site, "Olga Owen", stranger))


async def test_a_name_that_was_taken_back_stays_away(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with replicated(tmp_path, primary, standby) as site:
        here = await confirmed(site, "Paul Petrov", site.new_network())
        elsewhere = await confirmed(site, "Rita Rossi", site.new_network())
        await until(lambda: shows(site, "Paul Petrov"))
        await until(lambda: shows(site, "Rita Rossi"))
        await until(lambda: is_replicas(site, NAMES))
        await standby.caught_up_with(primary)
        async with site.database.connection() as conn:
            letter = await rows.letter(conn)
        async with paused(standby):
            form = {"action": "withdraw"}
            answer = await site.client.post(
                f"/en/signature/{rows.token(letter, here)}", data=form, headers=site.new_network()
            )
            assert answer.status_code == 303
            assert not await shows(site, "Paul Petrov")
            await self_service.withdraw(site.database, letter, elsewhere)  # as another process would
            await until(lambda: _is_away(site, "Rita Rossi"))
            for _ in range(20):
                for path in (LIST, f"{LIST}?q=rossi", f"/api/v1/letters/{SLUG}/signatories", f"{LIST}/print"):
                    text = (await site.client.get(path, headers=site.new_network())).text
                    assert "Rita Rossi" not in text
                    assert "Paul Petrov" not in text


async def _is_away(site: Installation, name: str) -> bool:
    return not await shows(site, name)


async def test_organizers_see_what_they_did_at_once(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with (
        replicated(tmp_path, primary, standby) as site,
        people.at_desk(site, "moderator", email="one@letters.example") as one,
        people.at_desk(site, "moderator", email="two@letters.example") as two,
    ):
        number = await confirmed(site, "Sara Stone", site.new_network())
        await standby.caught_up_with(primary)
        async with paused(standby):
            form = {"act": "remove", "reason": "fake", "why": "fake", f"s{number}": "0"}
            answer = await one.post(f"{DESK}/queue", data=form)
            assert answer.status_code == 303, answer.text
            assert "desk-position=" in answer.headers["set-cookie"]
            page = await one.get(f"{DESK}/queue?state=removed")
            assert "Sara Stone" in page.text
            assert "s ago</p>" not in page.text
            other = await two.get(f"{DESK}/queue?state=removed")
            assert "Sara Stone" not in other.text
            assert "s ago</p>" in other.text


async def test_one_that_is_too_old_is_not_read_from(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with replicated(tmp_path, primary, standby, max_age=2) as site:
        async with paused(standby):
            await confirmed(site, "Tom Tanaka", site.new_network())
            await until(lambda: shows(site, "Tom Tanaka"))
            await until(lambda: _says(site, f"replica {standby.name}: what it has is"))
            assert not await is_replicas(site, NAMES)
        await until(lambda: is_replicas(site, NAMES))
        await until(lambda: _says(site, ""))


async def _says(site: Installation, line: str) -> bool:
    """Tell whether /readyz has such a line, or "": none on replicas; people can sign in any case."""
    answer = await site.client.get("/readyz")
    assert answer.status_code == 200, answer.text
    return f"\n{line}" in answer.text if line else "\nreplica" not in answer.text


async def test_one_that_is_killed_or_frozen(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with replicated(tmp_path, primary, standby) as site:
        await standby.end(signal.SIGKILL)
        await until(lambda: _says(site, f"replica {standby.name}: the database cannot be reached"))
        assert not await is_replicas(site, NAMES)
        await standby.start()
        await until(lambda: is_replicas(site, NAMES))
        standby.freeze()
        try:
            answers = await asyncio.gather(*(is_replicas(site, path) for path in PUBLIC))
            assert not any(answers)
            assert await _says(site, f"replica {standby.name}: the server does not answer")
        finally:
            standby.thaw()
        await until(lambda: is_replicas(site, NAMES))


async def test_while_the_primary_is_frozen(primary: Node, standby: Node, tmp_path: Path) -> None:
    async with replicated(tmp_path, primary, standby, max_age=1) as site:
        await confirmed(site, "Uma Urban", site.new_network())
        await until(lambda: is_replicas(site, NAMES))
        await standby.caught_up_with(primary)
        primary.freeze()
        try:
            await until(lambda: _is_old(site))
            assert await shows(site, "Uma Urban")
        finally:
            primary.thaw()


async def _is_old(site: Installation) -> bool:
    """Tell whether a page older than READ_MAX_AGE comes from the replica."""
    age = sample(f'petition_replica_age_seconds{{replica="{_only_replica(site)}"}}')
    return (await is_replicas(site, NAMES)) and age > 2


def _only_replica(site: Installation) -> str:
    return urlsplit(site.environ["DATABASE_READ_URL"]).netloc.partition("@")[2]


async def test_a_statement_that_replay_cancels(primary: Node, standby: Node) -> None:
    conn = await connect(primary.url)
    await conn.execute("CREATE TABLE quarry AS SELECT 1 AS n FROM generate_series(1, 10000)")
    await standby.caught_up_with(primary)
    begun = asyncio.Event()

    async def load(reader: Connection) -> bool:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            is_standby = bool(await reader.fetchval("SELECT pg_is_in_recovery() FROM quarry LIMIT 1"))
            begun.set()
            await reader.fetchval("SELECT CASE WHEN pg_is_in_recovery() THEN pg_sleep(100) END")
            return is_standby

    before = sample('petition_replica_refusals_total{reason="conflict"}')
    async with opened_reading_of(primary, standby) as read:
        reading = asyncio.ensure_future(read(load))
        await begun.wait()
        await conn.execute("DELETE FROM quarry")
        await conn.execute("VACUUM quarry")
        assert await reading is False
    await conn.execute("DROP TABLE quarry")
    await conn.close()
    assert sample('petition_replica_refusals_total{reason="conflict"}') == before + 1


@asynccontextmanager
async def opened_reading_of(
    primary: Node, *standbys: Node
) -> AsyncIterator[Callable[[Callable[[Connection], Awaitable[bool]]], Awaitable[bool]]]:
    """Give what reads from these servers, after a first look at them."""
    url = f"postgresql://petition@{','.join(node.name for node in standbys)}/petition"
    async with opened(primary.url) as database, opened_reading(database, primary.url, url, LARGE) as reading:
        await reading.look()
        yield lambda load: reading.read(load, Freshness())


async def is_standby(conn: Connection) -> bool:
    return bool(await conn.fetchval("SELECT pg_is_in_recovery()"))


async def test_several_replicas_take_turns(nodes: list[Node]) -> None:
    primary, first, second = nodes

    async def port(conn: Connection) -> bool:
        ports.append(await conn.fetchval("SELECT inet_server_port()"))
        return True

    async with opened_reading_of(primary, first, second) as read:
        ports: list[int] = []
        for _ in range(4):
            await read(port)
        assert sorted(set(ports)) == sorted([first.cluster.port, second.cluster.port])
        await second.end(signal.SIGKILL)
        ports.clear()
        for _ in range(4):
            await read(port)
        assert set(ports) == {first.cluster.port}
    await second.start()


async def test_what_is_no_replica(primary: Node, standby: Node, site: Installation) -> None:
    other = f"{standby.url.rpartition('/')[0]}/postgres"
    assert await findings(site, primary, standby.url) == []
    for url, trouble in (
        (primary.url, f"{primary.name}: {replicas.NO_STANDBY}"),
        (other, f"{standby.name}: {replicas.OTHER_DATABASE}"),
        (f"postgresql://petition@127.0.0.1:{9}/petition", "127.0.0.1:9: the database cannot be reached"),
    ):
        [finding] = await findings(site, primary, url)
        assert finding.startswith(trouble)
    before = await primary.ask("SELECT count(*) FROM migration")
    async with paused(standby):
        await primary.ask("CREATE TABLE later ()")
        [finding] = await findings(site, primary, standby.url)
        assert finding.startswith(f"{standby.name}: it has not what the primary had 1 s ago")
    await primary.ask("DROP TABLE later")
    assert before == await primary.ask("SELECT count(*) FROM migration")


async def findings(site: Installation, primary: Node, url: str) -> list[str]:
    """Return what ``petition check`` says of replicas."""
    settings = replace(site.settings, database_url=primary.url, database_read_url=url, read_max_age=1)
    return [finding async for finding in check_replicas.findings(settings)]


async def test_one_that_is_promoted(nodes: list[Node], tmp_path: Path) -> None:
    primary, _, second = nodes
    await second.caught_up_with(primary)
    async with replicated(tmp_path, primary, second) as site:
        await confirmed(site, "Vito Vance", site.new_network())
        await until(lambda: shows(site, "Vito Vance"))
        await until(lambda: is_replicas(site, NAMES))
        await second.ask("SELECT pg_promote()")
        assert not await is_replicas(site, NAMES)  # from the first request on
        await until(lambda: _says(site, f"replica {second.name}: {replicas.NO_STANDBY}"))
        await confirmed(site, "Wanda Weiss", site.new_network())
        assert await shows(site, "Wanda Weiss")
        assert await second.ask("SELECT count(*) FROM signature WHERE state = 'confirmed'") == await primary.ask(
            "SELECT count(*) - 1 FROM signature WHERE state = 'confirmed'"
        )
