"""Tiny requests from changing networks: the forms stay open for all who come from elsewhere."""

import asyncio

import pytest

from tests import rows
from tests.faults.conftest import Pair
from tests.faults.flood import Attacked
from tests.faults.load import Crowd
from tests.running import SLUG

REQUESTS, CONNECTIONS = 20_700, 30
NETWORKS = {
    "64": "2a00:1450:7:{:x}::1",
    "56": "2a00:1450:{1:x}:{2:x}00::1",
    "IPv4": "{3}.{1}.{2}.8",
}


def address(pattern: str, number: int) -> str:
    """Return the address of a number, each in another network."""
    return pattern.format(number, number // 256, number % 256, 20 + number // 65536)


@pytest.mark.parametrize("pattern", NETWORKS.values(), ids=NETWORKS.keys())
async def test_tiny_requests_from_changing_networks_refuse_no_stranger(pair: Pair, pattern: str) -> None:
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
    attacked = Attacked(pair, letter, 0)
    statuses: set[bytes] = set()

    async def attack(first: int) -> None:
        reader, writer = await attacked.connect()
        for number in range(first, REQUESTS, CONNECTIONS):
            head = attacked.head("/", address(pattern, number), "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n")
            writer.write(head.replace(b"GET / ", f"POST /en/{SLUG}/sign ".encode(), 1))
            answer = await reader.readuntil(b"\r\n\r\n")
            statuses.add(answer.split(maxsplit=2)[1])
            length = int(answer.lower().partition(b"content-length: ")[2].split()[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(attack(first) for first in range(CONNECTIONS)))
    assert b"415" in statuses
    assert statuses <= {b"415", b"429"}
    await attacked.visit()
    strangers = Crowd(pair.webs[0].client, letter, 250)
    for _ in range(3):
        assert (await strangers.sign()).status_code == 303
