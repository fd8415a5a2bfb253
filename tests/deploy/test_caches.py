"""Varnish and nginx's cache, as shipped, before the web: who reaches us, what is stored, and what is gone at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest

from petition.cli import check_caches
from petition.core.settings import Settings
from petition.letters import taking_down
from tests.deploy.caches import TOKEN, Relay, Varnish, relaying
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
    cache: Varnish | None = None

    async def reaching(self, path: str, times: int, **headers: str) -> int:
        """Read a page so many times; return how many requests reached the web."""
        before = self.relay.requests
        answers = await asyncio.gather(*(self.client.get(path, headers=headers) for _ in range(times)))
        assert {answer.status_code for answer in answers} == {200}
        return self.relay.requests - before

    @asynccontextmanager
    async def traffic(self, *paths: str) -> AsyncIterator[None]:
        """Have readers read these pages all the time until the block ends."""

        async def read(path: str) -> None:
            while True:
                await self.client.get(path)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(path)) for path in paths for _ in range(4)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def until_stored(self, path: str) -> None:
        """Wait until nothing is on its way any more that would have a page asked for again."""
        async with asyncio.timeout(60):
            while await self.reaching(path, READS):
                await asyncio.sleep(0.05)

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
    more = {"BASE_URL": base, "TRUSTED_PROXIES": "127.0.0.1", "METRICS_TOKEN": "t"}
    if is_stubborn:
        more |= {"CACHE_PURGE_URLS": f"http://127.0.0.1:{port}?changes=1", "CACHE_PURGE_TOKEN": TOKEN}
    site = await stack.enter_async_context(installation(database_url, folder, **more))
    relay = await stack.enter_async_context(relaying(site.settings.port))
    server = None
    if cache == "varnish":
        server = Varnish(folder, relay.port, port, is_stubborn=is_stubborn)
        await server.start()
        stack.push_async_callback(server.stop)
    else:
        await stack.enter_async_context(running("nginx with its cache", folder, relay.port, port, free_port()))
    transport = httpx2.AsyncHTTPTransport(
        verify=trusting(), local_address="127.0.0.2", limits=httpx2.Limits(max_connections=20)
    )
    client = httpx2.AsyncClient(base_url=base, transport=transport, timeout=60)
    site.client = await stack.enter_async_context(client)  # through the cache, as all visitors
    return Front(site, relay, client, server)


async def signed(front: Front) -> str:
    """Have a person sign with a public name; return the path of their own page."""
    async with working(front.site.environ, front.site.inbox):
        assert (await front.site.sign(email="vera@letters.example")).status_code == 303
        link = link_in(await front.site.mail_to("vera@letters.example"))
        assert (await front.client.post(link)).status_code == 303
    return link.replace("/confirm/", "/signature/")


async def hide(front: Front, own: str) -> None:
    """Have a person take their name off the list, past the cache."""
    fields = {"action": "visibility", "visibility": "organizers"}
    async with past_the_cache(front) as client:
        answer = await client.post(own, data=fields)
    assert answer.status_code == 303, answer.text


def past_the_cache(front: Front) -> httpx2.AsyncClient:
    """Return a client of the web itself."""
    host = {"host": front.client.base_url.netloc.decode(), "authorization": "Bearer t"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{front.site.settings.port}", headers=host, timeout=60)


async def figure(front: Front, series: str) -> float:
    """Return what ``/metrics`` says."""
    async with past_the_cache(front) as client:
        text = (await client.get("/metrics")).text
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{series} "))


async def findings(settings: Settings) -> list[str]:
    return [finding async for finding in check_caches.findings(settings)]


async def test_one_in_twenty_reads_of_a_hot_page_reaches_us_at_most(front: Front) -> None:
    for path in (LETTER, LIST, COUNT, f"/badge/{SLUG}.svg"):
        assert await front.reaching(path, READS) <= READS * 0.05, path
    assert await front.reaching(LETTER, READS, cookie="desk=1") <= READS * 0.05
    await codings_and_conditions_are_kept_apart(front)


async def codings_and_conditions_are_kept_apart(front: Front) -> None:
    for _ in range(2):
        for coding in ("br", "gzip", "identity"):
            answer = await front.client.get(LETTER, headers={"accept-encoding": coding})
            assert answer.headers.get("content-encoding", "identity") == coding
            assert "Accept-Encoding" in answer.headers["vary"]
            assert "</html>" in answer.text
        again = await front.client.get(LETTER, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert not {"surrogate-key", "cache-tag", "xkey"} & answer.headers.keys()
    for lang, other in (("ru", "en"), ("en", "ru")):
        first = await front.client.get("/", headers={"accept-language": lang})
        assert first.headers["location"] == f"/{lang}/", other
    badges = [await front.client.get(f"/badge/{SLUG}.svg?lang={lang}") for lang in ("ru", "en")]
    assert badges[0].text != badges[1].text


async def test_what_belongs_to_one_person_is_not_stored(front: Front) -> None:
    own = await signed(front)
    for path in (own, "/organizer/", f"/captcha/challenge?letter={SLUG}", f"{LETTER}/check-your-inbox"):
        before = front.relay.requests
        answers = [await front.client.get(path) for _ in range(3)]
        assert front.relay.requests - before == 3, path
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}, path


async def test_a_hidden_name_expires_where_nothing_is_purged(front: Front) -> None:
    own = await signed(front)
    await front.until(LIST, lambda text: NAME in text)
    async with front.traffic(LIST):
        await hide(front, own)
        await front.until(LIST, lambda text: NAME not in text)
        answers = [(await front.client.get(LIST)).text for _ in range(50)]
    assert not any(NAME in text for text in answers)


@pytest.mark.parametrize("front", ["varnish"], indirect=True)
async def test_without_the_web_counts_are_shown_and_names_are_not(front: Front) -> None:
    assert (await front.client.get(COUNT)).status_code == 200
    assert (await front.client.get(LIST)).status_code == 200
    await front.relay.cut()
    async with asyncio.timeout(60):
        while (answer := await front.client.get(LIST)).status_code == 200:
            await asyncio.sleep(0.05)
    assert answer.status_code == 503
    for _ in range(3):
        assert (await front.client.get(COUNT)).json()["total"] == 0


async def test_a_hidden_name_is_purged_while_many_read(stubborn: Front) -> None:
    await stubborn.until(COUNT, lambda text: '"total":0' in text.replace(" ", ""))
    own = await signed(stubborn)
    await stubborn.until(COUNT, lambda text: '"total":1' in text.replace(" ", ""))  # asked for again, at each change
    await stubborn.until(LIST, lambda text: NAME in text)
    await stubborn.until_stored(LIST)
    async with stubborn.traffic(LIST, LETTER):
        await hide(stubborn, own)
        await stubborn.until(LIST, lambda text: NAME not in text)
        await stubborn.until(LETTER, lambda text: NAME not in text)
    assert (await stubborn.client.get(COUNT)).json()["total"] == 1


async def test_a_letter_that_is_taken_down_is_purged_with_its_pictures(stubborn: Front) -> None:
    pages = (LETTER, f"{LETTER}/versions", f"{LETTER}/card.png", "/en/", "/sitemap.xml", f"{LETTER}/feed.atom")
    for path in pages:
        assert (await stubborn.client.get(path)).status_code == 200
    async with stubborn.site.database.transaction() as conn:
        (letter,) = await conn.fetch("SELECT id FROM letter")
        await taking_down.take_down(conn, None, letter["id"], SLUG)
    for path in pages[:3]:
        async with asyncio.timeout(60):
            while (answer := await stubborn.client.get(path)).status_code == 200:
                await asyncio.sleep(0.05)
        assert answer.status_code == 410
    await stubborn.until("/en/", lambda text: SLUG not in text)
    await stubborn.until("/sitemap.xml", lambda text: SLUG not in text)


async def test_a_purge_that_fails_is_sent_again(stubborn: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    own = await signed(stubborn)
    await stubborn.until(LIST, lambda text: NAME in text)
    assert stubborn.cache is not None
    await stubborn.cache.stop()
    await hide(stubborn, own)
    async with asyncio.timeout(60):
        while "a cache was not purged" not in caplog.text or await figure(stubborn, "petition_caches_failing") != 1:
            await asyncio.sleep(0.05)
    assert await figure(stubborn, 'petition_cache_purges_total{result="failed"}') >= 1
    await stubborn.cache.start()
    async with asyncio.timeout(60):
        while "the cache is purged again" not in caplog.text or await figure(stubborn, "petition_caches_failing"):
            await asyncio.sleep(0.05)
    await stubborn.until(LIST, lambda text: NAME not in text)


async def test_strangers_cannot_purge_and_check_says_if_they_can(
    stubborn: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_caches, "TOO_OLD", 1)
    await stubborn.until_stored(LETTER)
    keys = {"surrogate-key": f"petition letter-{SLUG}"}
    token = {"authorization": f"Bearer {TOKEN}"}
    for headers in (keys, keys | {"authorization": "Bearer guessed"}, keys | token | {"x-forwarded-for": "198.18.0.1"}):
        assert (await stubborn.client.request("PURGE", LETTER, headers=headers)).status_code == 405
    assert await stubborn.reaching(LETTER, 2) == 0
    assert (await stubborn.client.request("PURGE", "/", headers=keys | token)).status_code == 200
    assert await stubborn.reaching(LETTER, 2) >= 1
    settings = stubborn.site.settings
    assert stubborn.cache is not None
    assert await findings(settings) == []
    other = replace(settings.shared_caches, token="another")
    (refused,) = await findings(replace(settings, shared_caches=other))
    assert "it does not purge (status 405)" in refused
    await stubborn.cache.stop()
    await stubborn.cache.start("set beresp.http.xkey = beresp.http.Surrogate-Key;", "unset beresp.http.xkey;")
    (ignored,) = await findings(settings)
    assert "purges do not end that" in ignored
    await stubborn.cache.stop()
    await stubborn.cache.start(f'req.http.Authorization != "Bearer {TOKEN}" || ', "")
    (open_to_all,) = await findings(settings)
    assert "it purges with a wrong token too" in open_to_all
