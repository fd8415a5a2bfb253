"""Forms that cannot be read: encodings, kinds, sizes, and those that never end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from petition.web import http
from tests.running import SLUG, Installation
from tests.web.test_gateway import in_russian

FORM = {"content-type": "application/x-www-form-urlencoded"}
UNREADABLE = [
    (b"name=%ff", FORM, 400),
    (b"name=%C3%28", FORM, 400),
    (b"name=a%00b", FORM, 400),
    (b"na%00me=a", FORM, 400),
    ("name=Вера".encode("cp1251"), FORM, 400),
    (b"&".join(b"f%d=1" % n for n in range(100)), FORM, 400),
    (b'{"name": "Vera"}', {"content-type": "application/json"}, 415),
    (b"--x\r\n", {"content-type": "multipart/form-data; boundary=x"}, 415),
    (b"name=Vera", {"content-type": "text/plain"}, 415),
    (b"name=" + b"a" * http.MAX_BYTES, FORM, 413),
]


@pytest.mark.parametrize(("body", "headers", "status"), UNREADABLE)
@pytest.mark.parametrize("where", ["sign", "find", "confirm"])
async def test_a_form_that_cannot_be_read(
    shared_site: Installation, where: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert in_russian(await shared_site.client.post(f"/ru/{SLUG}/{where}", content=body, headers=headers), status)


async def test_too_much_is_refused_while_it_comes(shared_site: Installation) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"a" * 1000

    assert in_russian(await shared_site.client.post(f"/ru/{SLUG}/sign", content=endless(), headers=FORM), 413)


async def test_a_form_that_never_ends_is_not_waited_for(
    shared_site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_site.settings.port)
    lines = [
        f"POST /ru/{SLUG}/sign HTTP/1.1",
        f"Host: localhost:{shared_site.settings.port}",
        "Content-Length: 100",
        "",
        "name=",
    ]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(120):
        assert b" 408 " in await reader.readline()
    writer.close()
