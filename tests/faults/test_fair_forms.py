"""What a form costs beside being stored: one network that asks for all of it waits for itself, and no one for it."""

import asyncio
from urllib.parse import urlencode

import pytest

from tests import rows
from tests.faults.conftest import Pair
from tests.faults.flood import Attacked
from tests.faults.load import Crowd
from tests.running import SLUG

REQUESTS = 240
SIGN, CODE, CHALLENGE = f"/en/{SLUG}/sign", f"/en/{SLUG}/confirm", f"/captcha/challenge?letter={SLUG}"
VISITOR = "93.184.216.34"


class Line:
    """Requests to one web process that are sent at once, and the order in which they are answered."""

    def __init__(self, pair: Pair, version: str) -> None:
        self._attacked = Attacked(pair, None, 0)  # type: ignore[arg-type]
        self._version = version
        self.answered: list[str] = []
        self.statuses: dict[str, set[int]] = {}

    def request(self, kind: str, network: str) -> bytes:
        """Return a request of a kind; each of them costs a page or a challenge."""
        match kind:
            case "challenge":
                return self._attacked.head(CHALLENGE, network, "\r\n")
            case "broken form":
                return self._post(SIGN, network, {"version": self._version, "name": "Vera Novak"})
            case "form without a challenge":
                form = {"version": self._version, "kind": "person", "name": "Vera Novak", "consent": "yes"}
                return self._post(SIGN, network, {**form, "email": "vera@letters.example", "visibility": "public"})
        return self._post(CODE, network, {"email": "vera@letters.example", "mailed_code": "123456"})

    def _post(self, path: str, network: str, form: dict[str, str]) -> bytes:
        body = urlencode(form).encode()
        more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        return self._attacked.head(path, network, more).replace(b"GET", b"POST", 1) + body

    async def send(self, kind: str, network: str) -> asyncio.Task[None]:
        """Send a request; return the task that notes when it is answered."""
        reader, writer = await self._attacked.connect()
        writer.write(self.request(kind, network))

        async def answer() -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            self.answered.append(network)
            self.statuses.setdefault(network, set()).add(int(head.split(maxsplit=2)[1]))
            writer.close()

        return asyncio.create_task(answer())


KINDS = ["challenge", "broken form", "form without a challenge", "code without a challenge"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_visitor_waits_for_a_turn_and_not_for_all_that_another_network_asked_before(
    pair: Pair, kind: str
) -> None:
    """200 connections of one address made others wait for seven seconds, ``/readyz`` too."""
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
    line = Line(pair, letter.version.digest)
    attacker = f"9.9.{KINDS.index(kind)}.9"
    floods = await asyncio.gather(*(line.send(kind, attacker) for _ in range(REQUESTS)))
    async with asyncio.timeout(60):
        visit, first = await line.send(kind, VISITOR), len(line.answered)
        await visit
        before, after = line.answered.index(VISITOR) - first, REQUESTS - line.answered.index(VISITOR)
        assert before < after, "the visitor came last, and was answered last"
        await asyncio.gather(*floods)
    usual = 200 if kind == "challenge" else 422
    assert line.statuses[VISITOR] == {usual}
    assert line.statuses[attacker] <= {usual, 429, 503}  # with more than its share it may be refused
    assert (await Crowd(pair.webs[0].client, letter, 7).sign()).status_code == 303


async def test_tries_of_codes_that_wait_for_each_other_leave_the_database_to_those_who_sign(pair: Pair) -> None:
    """All tries of a network count in one row; those of one address took all connections of a process in turn."""
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
    client, attacker = pair.webs[0].client, {"x-forwarded-for": "9.9.9.9"}

    async def guess(number: int) -> int:
        form = {"email": f"vera{number}@letters.example", "code": "123456"}
        return (await client.post(CODE, data=form, headers=attacker)).status_code

    assert await guess(0) == 422
    async with pair.site.database.connection() as conn, conn.transaction():
        await conn.fetch("SELECT FROM limit_use FOR UPDATE")  # as another try would for a moment
        guesses = [asyncio.create_task(guess(number)) for number in range(1, 21)]
        async with asyncio.timeout(60), pair.site.database.connection() as other:
            while not await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await asyncio.sleep(0.01)
        assert (await Crowd(client, letter, 30).sign()).status_code == 303
        assert not any(task.done() for task in guesses)
    assert set(await asyncio.gather(*guesses)) == {422}


async def test_tries_that_are_refused_leave_no_row(pair: Pair) -> None:
    """Each try with another address left rows for a day, also the refused ones: a way to fill the disk."""
    client, attacker = pair.webs[0].client, {"x-forwarded-for": "9.8.9.9"}
    statuses: list[int] = []
    stored: list[int] = []
    for number in range(120):
        form = {"email": f"vera{number}@letters.example", "code": "123456"}
        statuses.append((await client.post(CODE, data=form, headers=attacker)).status_code)
        stored += [row["n"] for row in await rows.rows_of(pair.site.database, "SELECT count(*) AS n FROM limit_use")]
    refused = statuses.index(429)
    assert refused <= 90
    assert set(statuses[refused:]) == {429}
    assert set(stored[refused:]) == {stored[refused - 1]}
