"""Floods at the connection: memory stays bounded, and a visitor reads, signs and confirms all the while."""

import asyncio
import contextlib
import itertools
import random
import socket
import struct

import pytest

from tests import rows
from tests.faults.conftest import Pair
from tests.faults.flood import MEGABYTE, Attacked, attacking, pour, raise_file_limit, reset_peak
from tests.running import SLUG

FIND = f"/en/{SLUG}/find"
EVENTS = f"/api/v1/letters/{SLUG}/events"
NETWORKS = [f"203.{n}.114.9" for n in range(40)]
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n0\r\n"


@pytest.fixture
async def attacked(pair: Pair) -> Attacked:
    """Give a process with warm caches."""
    raise_file_limit()
    async with pair.site.database.connection() as conn:
        letter = await rows.letter(conn)
    attacked = Attacked(pair, letter, 0)
    await attacked.visit()
    attacked.before = reset_peak(pair.webs[0].process.pid)
    return attacked


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        pytest.param("", b"a:b\r\n" * 20_000, id="short lines"),
        pytest.param("A: ", b"x" * 100_000, id="one value"),
        pytest.param(CHUNKED, b"a:b\r\n" * 20_000, id="trailers"),
        pytest.param(None, b"x" * 100_000, id="target"),
    ],
)
async def test_a_hundred_megabytes_of_head_take_no_memory(attacked: Attacked, begin: str | None, block: bytes) -> None:
    head = b"GET /" if begin is None else attacked.head(f"/en/{SLUG}", more=begin)
    answers: list[bytes] = []

    async def attack() -> None:
        connection = await attacked.connect()
        connection[1].write(head)
        answers.append(await pour(connection, block, 10 * MEGABYTE))

    async with attacking([attack() for _ in range(10)]) as tasks:
        await attacked.visit()
        await asyncio.gather(*tasks)
    assert len(answers) == 10
    assert all(answer.startswith(b"HTTP/1.1 431 ") for answer in answers if answer)
    assert attacked.growth() < 20 * MEGABYTE
    await attacked.visit()


async def test_readers_who_never_read_hold_little(attacked: Attacked) -> None:
    """400 requests at once of each, most of them for a page that the application renders."""
    request = attacked.head(f"/en/{SLUG}") + b"\r\n" + attacked.head(FIND) + b"\r\n"
    deaf = []
    for _ in range(100):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        assert attacked.client.base_url.port is not None
        one.connect(("127.0.0.1", attacked.client.base_url.port))
        one.sendall(request * 200)
        deaf.append(one)
    for _ in range(3):
        await attacked.visit()
    assert attacked.growth() < 40 * MEGABYTE
    for one in deaf:
        one.close()


async def test_a_file_of_megabytes_is_not_held_for_each_client_that_does_not_read_it(attacked: Attacked) -> None:
    """Each held the file, and that of the next request in its pipeline: a thousand may be behind at once."""
    size = MEGABYTE
    async with attacked.pair.site.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO picture (letter, id, type, content) VALUES ($1, 5, 'image/png', $2)",
            attacked.letter.id,
            random.Random(5).randbytes(size),
        )
        await conn.execute(
            "INSERT INTO sharing (letter, lang, text, alt, picture) VALUES ($1, 'en', '', 'x', 5)"
            " ON CONFLICT (letter, lang) DO UPDATE SET picture = 5",
            attacked.letter.id,
        )
    picture = f"/en/{SLUG}/picture/5"
    with contextlib.ExitStack() as deaf:
        for _ in range(150):
            one = deaf.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            assert attacked.client.base_url.port is not None
            one.connect(("127.0.0.1", attacked.client.base_url.port))
            one.sendall((attacked.head(picture) + b"\r\n") * 4)
        shown = await attacked.client.get(picture, headers={"x-forwarded-for": "93.184.216.34"})
        assert shown.content == random.Random(5).randbytes(size)
        await attacked.visit()
        assert attacked.growth() < 60 * MEGABYTE


async def test_connections_of_forty_networks_leave_turns_to_others(attacked: Attacked) -> None:
    refused = asyncio.Event()

    async def attack(network: str) -> None:
        reader, writer = await attacked.connect()
        request = attacked.head(FIND, network, "Accept-Encoding: gzip\r\n") + b"\r\n"
        try:
            while True:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                if head.startswith(b"HTTP/1.1 503 "):
                    refused.set()
        finally:
            writer.close()

    crowd = [attack(network) for network in itertools.islice(itertools.cycle(NETWORKS), 1200)]
    async with attacking(crowd) as tasks:
        await asyncio.wait([asyncio.create_task(refused.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
        assert refused.is_set()
        await attacked.visit()
        assert attacked.growth() < 60 * MEGABYTE


async def test_thousands_of_half_open_heads_keep_no_one_out(attacked: Attacked) -> None:
    half = attacked.head(FIND, "", "A: " + "x" * 4000)
    opened = []
    for _ in range(3000):
        _, writer = await attacked.connect()
        writer.write(half)
        opened.append(writer)
    for _ in range(3):
        await attacked.visit()
    assert attacked.growth() < 60 * MEGABYTE
    for writer in opened:
        writer.transport.abort()


async def test_who_leaves_early_leaves_no_trace_in_the_log(attacked: Attacked) -> None:
    """300 connections are reset, each at another point of a request or its response."""
    get, form = attacked.head(FIND, NETWORKS[0]), b"version=1&name=" + b"x" * 3000
    post = get.replace(b"GET " + FIND.encode(), f"POST /en/{SLUG}/sign".encode())
    post += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3015\r\n\r\n" + form
    upload = get.replace(b"GET ", b"POST ") + b"Content-Type: multipart/form-data; boundary=x\r\n"
    upload += b"Content-Length: 9000000\r\n\r\n--x\r\n" + b"y" * 200_000
    requests = [
        get + b"\r\n",
        (get + b"\r\n") * 10,
        get.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
        attacked.head(f"/en/{SLUG}") + b"\r\n",
        (attacked.head(EVENTS) + b"\r\n") * 2,
        attacked.head(EVENTS).replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
        attacked.head(f"/en/{SLUG}/signatories/print", NETWORKS[1]) + b"\r\n",
        post,
        upload,
        attacked.head("/", more="Connection: Upgrade\r\nUpgrade: websocket\r\n") + b"\r\n",
    ]
    drawn = random.Random(7)

    async def leave(request: bytes, number: int) -> None:
        reader, writer = await attacked.connect()
        cut = len(request) if number % 3 else drawn.randrange(1, len(request))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(request[:cut])
            await writer.drain()
            if number % 3 == 1:
                await reader.readexactly(1)
            elif number % 2:
                await asyncio.sleep(drawn.random() / 50)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        writer.transport.abort()

    await asyncio.gather(*(leave(requests[number % 10], number) for number in range(300)))
    await attacked.visit()
    assert [line for line in attacked.log.splitlines() if '"level": "info"' not in line] == []
