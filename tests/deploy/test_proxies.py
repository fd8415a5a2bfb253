"""What the desk promises passes through the shipped examples for nginx and Caddy, and limits hold behind them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from petition.imports.model import MAX_BYTES
from tests.deploy.proxies import running, trusting
from tests.drafts import desk
from tests.imports.desk import IMPORT, Carrier, text_of
from tests.organizers import people
from tests.running import SLUG, Installation, free_port, installation

HEADER = b"name,city\n"
ROW = b"Vera Novak 17,Riga Riga Riga\n"
LETTER = f"/en/{SLUG}"


@dataclass
class Front:
    """An installation behind a proxy; ``client`` is a signed-in editor who comes through it."""

    site: Installation
    client: httpx2.AsyncClient


@pytest.fixture(params=["nginx", "caddy"])
async def front(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, with_letter: None
) -> AsyncIterator[Front]:
    port, spare_port = free_port(), free_port()
    base = f"https://localhost:{port}"
    async with (
        installation(database_url, tmp_path, BASE_URL=base, TRUSTED_PROXIES="127.0.0.1") as site,
        running(request.param, tmp_path, site.settings.port, port, spare_port),
    ):
        organizer = await people.add(site, "editor@letters.example")
        await people.give_role(site, organizer.id, "owner")
        await people.give_totp(site, organizer.id)
        cookies = {"__Host-desk": await people.cookie(site, organizer.id)}
        async with client(base, cookies=cookies, headers=people.headers(site)) as editor:
            yield Front(site, editor)


def client(base: str, **options: object) -> httpx2.AsyncClient:
    """Return a visitor who comes through the proxy, from an address that is not the proxy's."""
    transport = httpx2.AsyncHTTPTransport(verify=trusting(), local_address="127.0.0.2")
    return httpx2.AsyncClient(base_url=base, transport=transport, timeout=300, **options)  # type: ignore[arg-type]


def list_of(size: int) -> bytes:
    """Return a list of exactly ``size`` bytes."""
    rows = HEADER + ROW * (size // len(ROW) + 1)
    return rows[: size - 1] + b"\n"


@pytest.mark.parametrize("size", [92 * 1024, MAX_BYTES], ids=["92 KB", "32 MB"])
async def test_a_list_passes(front: Front, size: int) -> None:
    carrier = Carrier(front.site, front.client)
    answer = await carrier.upload(list_of(size))
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"{IMPORT}/{(await carrier.newest()).number}"


async def test_a_list_that_is_too_large_is_answered_by_a_page_of_ours(front: Front) -> None:
    answer = await Carrier(front.site, front.client).upload(list_of(MAX_BYTES + 1))
    assert answer.status_code == 413
    assert "32 MB" in text_of(answer)


async def test_a_stranger_s_upload_is_answered_by_a_page_of_ours(front: Front) -> None:
    front.client.cookies.clear()
    answer = await Carrier(front.site, front.client).upload(list_of(MAX_BYTES))
    assert answer.status_code == 401
    assert "Sign in again" in text_of(answer)


async def test_a_sharing_picture_of_a_megabyte_passes(front: Front) -> None:
    noise = Image.effect_noise((900, 500), 100).convert("RGB")
    picture = io.BytesIO()
    noise.save(picture, "PNG")
    assert 900_000 < len(picture.getvalue()) < 1024 * 1024
    files = {"file.en": ("picture.png", picture.getvalue(), "image/png")}
    answer = await desk.save(front.client, await desk.opened(front.client), files=files)
    assert answer.status_code == 303, answer.text
    async with front.site.database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM picture") == 1


async def test_a_form_that_is_too_large_is_answered_by_a_page_of_ours(front: Front) -> None:
    async with client(front.site.base) as visitor:
        answer = await visitor.post(f"{LETTER}/sign", content=b"name=" + b"x" * 100_000)
        assert answer.status_code == 413
        assert "more data than we accept" in text_of(answer)
        answer = await visitor.post(f"{LETTER}/sign", content=b"name=" + b"x" * 3_000_000)
        assert answer.status_code in {413, 502}


async def test_the_visitor_s_own_forwarding_header_has_no_effect(front: Front) -> None:
    async with client(front.site.base) as visitor:
        for number in range(3):
            form = await front.site.form(email=f"vera{number}@letters.example")
            answer = await visitor.post(
                f"{LETTER}/sign", data=form, headers={"X-Forwarded-For": f"198.51.100.{number}"}
            )
            assert answer.status_code == 303
    async with front.site.database.connection() as conn:
        assert await conn.fetchval("SELECT count(DISTINCT network) FROM pending") == 1


async def test_a_name_that_is_not_ours_leads_to_no_page(front: Front) -> None:
    async with client(front.site.base) as visitor:
        assert "</html>" in (await visitor.get(LETTER)).text
        for host in ("letters7example.onion", "evil.example", "localhost.evil.example"):
            answer = await visitor.get(LETTER, headers={"Host": host})
            assert answer.status_code == 421 or not answer.content, host
        assert (await visitor.get(LETTER)).status_code == 200


async def test_the_count_streams_at_once(front: Front) -> None:
    async with (
        client(front.site.base) as visitor,
        asyncio.timeout(60),
        visitor.stream("GET", f"/api/v1/letters/{SLUG}/events") as events,
    ):
        lines = events.aiter_lines()
        assert json.loads((await _data_line(lines)).removeprefix("data: "))["total"] == 0
        async with front.site.database.connection() as conn:
            await conn.execute("UPDATE count SET people = 7, changed_at = now()")
        assert json.loads((await _data_line(lines)).removeprefix("data: "))["total"] == 7


async def _data_line(lines: AsyncIterator[str]) -> str:
    while not (line := await anext(lines)).startswith("data: "):
        pass
    return line
