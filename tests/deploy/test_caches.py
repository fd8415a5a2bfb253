"""Varnish and nginx's cache, as shipped, before the web: who reaches us, what is stored, and what is gone at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.deploy.caches import TOKEN, Relay, relaying, varnish
from tests.deploy.proxies import running, trusting
from tests.running import SLUG, Installation, free_port, installation, link_in, working

READS = 400
LETTER, LIST, COUNT = f"/en/{SLUG}", f"/en/{SLUG}/signatories", f"/api/v1/letters/{SLUG}/count"
NAME = "Vera Novak"


@dataclass
class Front:
    """An installation behind a cache; ``relay`` counts what the cache asks for, ``client`` is a reader."""

    site: Installation
    relay: Relay
    client: httpx2.AsyncClient

    async def reaching(self, path: str, times: int, **headers: str) -> int:
        """Read a page so many times; return how many requests reached the web."""
        before = self.relay.requests
        answers = await asyncio.gather(*(self.client.get(path, headers=headers) for _ in range(times)))
        assert {answer.status_code for answer in answers} == {200}
        return self.relay.requests - before

    async def until(self, path: str, is_so: Callable[[str], bool]) -> None:
        """Wait until a page is so."""
        async with asyncio.timeout(60):
            while not is_so((await self.client.get(path)).text):
                await asyncio.sleep(0.05)


@pytest.fixture(params=["varnish", "nginx"])
async def front(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, with_letter: None
) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        yield await _build(stack, request.param, database_url, tmp_path)


@pytest.fixture
async def stubborn(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Front]:
    """Give Varnish that stores everything for an hour, so that only purges help."""
    async with AsyncExitStack() as stack:
        yield await _build(stack, "varnish", database_url, tmp_path, is_stubborn=True)


async def _build(
    stack: AsyncExitStack, cache: str, database_url: str, folder: Path, *, is_stubborn: bool = False
) -> Front:
    port = free_port()
    base = f"http{'' if cache == 'varnish' else 's'}://localhost:{port}"
    more = {"BASE_URL": base, "TRUSTED_PROXIES": "127.0.0.1"}
    if cache == "varnish":
        more |= {"CACHE_PURGE_URLS": f"http://127.0.0.1:{port}", "CACHE_PURGE_TOKEN": TOKEN}
    site = await stack.enter_async_context(installation(database_url, folder, **more))
    relay = await stack.enter_async_context(relaying(site.settings.port))
    if cache == "varnish":
        await stack.enter_async_context(varnish(folder, relay.port, port, is_stubborn=is_stubborn))
    else:
        await stack.enter_async_context(running("nginx with its cache", folder, relay.port, port, free_port()))
    transport = httpx2.AsyncHTTPTransport(
        verify=trusting(), local_address="127.0.0.2", limits=httpx2.Limits(max_connections=20)
    )
    client = httpx2.AsyncClient(base_url=base, transport=transport, timeout=60)
    site.client = await stack.enter_async_context(client)  # through the cache, as all visitors
    return Front(site, relay, client)


async def signed(front: Front) -> str:
    """Have a person sign with a public name; return the path of their own page."""
    async with working(front.site.environ, front.site.inbox):
        assert (await front.site.sign(email="vera@letters.example")).status_code == 303
        link = link_in(await front.site.mail_to("vera@letters.example"))
        assert (await front.client.post(link)).status_code == 303
    return link.replace("/confirm/", "/signature/")


async def test_one_in_twenty_reads_of_a_hot_page_reaches_us_at_most(front: Front) -> None:
    for path in (LETTER, LIST, COUNT, f"/badge/{SLUG}.svg"):
        assert await front.reaching(path, READS) <= READS * 0.05, path
    assert await front.reaching(LETTER, READS, cookie="desk=1") <= READS * 0.05


async def test_codings_and_conditions_are_kept_apart(front: Front) -> None:
    for _ in range(2):
        for coding in ("br", "gzip", "identity"):
            answer = await front.client.get(LETTER, headers={"accept-encoding": coding})
            assert answer.headers.get("content-encoding", "identity") == coding
            assert "Accept-Encoding" in answer.headers["vary"]
            assert "</html>" in answer.text
        again = await front.client.get(LETTER, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert "surrogate-key" not in answer.headers
    assert (await front.client.get(f"/badge/{SLUG}.svg?lang=ru")).text != (
        await front.client.get(f"/badge/{SLUG}.svg?lang=en")
    ).text


async def test_what_belongs_to_one_person_is_not_stored(front: Front) -> None:
    own = await signed(front)
    for path in (own, "/organizer/", f"/captcha/challenge?letter={SLUG}"):
        before = front.relay.requests
        answers = [await front.client.get(path) for _ in range(3)]
        assert front.relay.requests - before == 3, path
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}, path
    assert (await front.client.get(own)).headers["cache-control"] == "no-store"


async def test_without_the_web_counts_are_shown_and_names_are_not(front: Front) -> None:
    assert (await front.client.get(COUNT)).status_code == 200
    assert (await front.client.get(LIST)).status_code == 200
    await front.relay.cut()
    async with asyncio.timeout(60):
        while (answer := await front.client.get(LIST)).status_code == 200:
            await asyncio.sleep(0.05)
    assert answer.status_code in {502, 503}
    for _ in range(3):
        assert (await front.client.get(COUNT)).json()["total"] == 0


async def test_a_hidden_name_is_purged_and_a_count_is_refreshed(stubborn: Front) -> None:
    await stubborn.until(COUNT, lambda text: '"total":0' in text.replace(" ", ""))
    own = await signed(stubborn)
    await stubborn.until(COUNT, lambda text: '"total":1' in text.replace(" ", ""))
    await stubborn.until(LIST, lambda text: NAME in text)
    assert await stubborn.reaching(LIST, READS) == 0  # stored
    answer = await stubborn.client.post(own, data={"action": "visibility", "visibility": "organizers"})
    assert answer.status_code == 303, answer.text
    await stubborn.until(LIST, lambda text: NAME not in text)
    assert (await stubborn.client.get(COUNT)).json()["total"] == 1


async def test_strangers_cannot_purge(stubborn: Front) -> None:
    assert await stubborn.reaching(LETTER, 2) <= 2
    keys = {"surrogate-key": f"petition letter-{SLUG}"}
    token = {"authorization": f"Bearer {TOKEN}"}
    for headers in (keys, keys | {"authorization": "Bearer guessed"}, keys | token | {"x-forwarded-for": "198.18.0.1"}):
        assert (await stubborn.client.request("PURGE", LETTER, headers=headers)).status_code == 405
    assert await stubborn.reaching(LETTER, 2) == 0
    assert (await stubborn.client.request("PURGE", "/", headers=keys | token)).status_code == 200
    assert await stubborn.reaching(LETTER, 2) >= 1
