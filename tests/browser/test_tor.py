"""The whole road at Tor Browser's safest level: over the Onion listener, no scripts, no SVG, no fonts, no media.

The browser reaches the world through a SOCKS proxy of ours, as Tor Browser does: it knows one Onion address, and
refuses every other name.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, Playwright, Route

from tests.browser.conftest import running
from tests.browser.visitor import Town, Visitor, greet
from tests.conftest import fresh_database
from tests.fixtures import FLAGS, HEADLESS_SHELL
from tests.running import SLUG, free_port, link_in

if TYPE_CHECKING:
    import asyncpg

pytestmark = pytest.mark.browser

ONION = f"{'a2' * 28}.onion"
NAME = {"en": "Zora Quill", "ru": "Зора Перова"}
REFUSED = {"script", "font", "media", "websocket", "eventsource"}
SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)


class OnionTown(Town):
    """The installation as those see it who come over Tor."""

    @property
    def base(self) -> str:
        return f"http://{ONION}"


@dataclass
class Tor:
    """A SOCKS5 proxy that leads one name to a port of this machine; ``refused`` are the other names asked for."""

    onion_port: int
    port: int = 0
    asked: int = 0
    refused: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            methods = (await reader.readexactly(2))[1]
            await reader.readexactly(methods)
            writer.write(b"\5\0")
            head = await reader.readexactly(5)  # version, command, 0, type of address (3: a name), its length
            name = (await reader.readexactly(head[4] + 2))[:-2].decode() if head[3] == 3 else "an address"
            if name != ONION:
                self.refused.append(name)
                writer.write(b"\5\4\0\1\0\0\0\0\0\0")
            else:
                self.asked += 1
                writer.write(b"\5\0\0\1\0\0\0\0\0\0")
                there = await asyncio.open_connection("127.0.0.1", self.onion_port)
                await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
async def onion_town(
    cluster: str,
    admin: "asyncpg.Connection[asyncpg.Record]",
    published: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[OnionTown]:
    more = {"ONION_URL": f"http://{ONION}", "ONION_PORT": str(free_port())}
    async with (
        fresh_database(cluster, admin, published) as url,
        running(url, tmp_path_factory.mktemp("onion"), **more) as town,
    ):
        yield OnionTown(town.site, town.answers)


@pytest.fixture(scope="module")
async def tor(onion_town: OnionTown) -> AsyncIterator[Tor]:
    assert onion_town.site.settings.onion_port is not None
    proxy = Tor(onion_town.site.settings.onion_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()


@pytest.fixture(scope="module")
async def tor_browser(playwright: Playwright, tor: Tor) -> AsyncIterator[Browser]:
    """Give a browser that knows no way out but the proxy."""
    browser = await playwright.chromium.launch(
        executable_path=HEADLESS_SHELL,
        args=[*FLAGS, "--disable-3d-apis", "--disable-remote-fonts", "--disable-webgl"],
        proxy={"server": f"socks5://127.0.0.1:{tor.port}"},
    )
    yield browser
    await browser.close()


async def _safest(route: Route) -> None:
    """Let through what the safest level does: pages without SVG, styles, and pictures that are none."""
    request = route.request
    is_picture = request.resource_type == "image" and not request.url.partition("?")[0].endswith(".svg")
    if request.resource_type in {"document", "stylesheet"}:
        if request.method == "GET" and request.resource_type == "document":
            await _without_svg(route)
        else:
            await route.continue_()
    elif is_picture:
        await route.continue_()
    else:
        await route.abort()


async def _without_svg(route: Route) -> None:
    answer = await route.fetch(max_redirects=0)
    await route.fulfill(response=answer, body=SVG.sub("", await answer.text()))


@asynccontextmanager
async def visiting(browser: Browser, town: OnionTown, lang: str) -> AsyncIterator[Visitor]:
    async with greet(browser, scripts=False) as visitor:
        visitor.town, visitor.lang = town, lang
        await visitor.context.route("**/*", _safest)
        yield visitor


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_whole_road_at_the_safest_level(
    onion_town: OnionTown, tor: Tor, tor_browser: Browser, lang: str
) -> None:
    mailbox = f"tor-{lang}@letters.example"
    async with visiting(tor_browser, onion_town, lang) as visitor:
        page = visitor.page
        await page.goto(f"http://{ONION}/{lang}/")
        assert SLUG in await page.content()
        await visitor.sign(email=mailbox, name=NAME[lang], visibility="public")
        link = link_in(await onion_town.mail_to(mailbox))
        await visitor.follow(link)
        assert NAME[lang] in await visitor.text(".stored")
        await page.click("main form button")
        await page.wait_for_url("**/signed*")
        await visitor.open("/signatories?kind=person")
        assert NAME[lang] in await visitor.text("ol.names")
        await visitor.follow(link)
        await page.check("[value=organizers]")
        await page.click("form:has([value=visibility]) button")
        await page.wait_for_url("**done=visibility")
        await visitor.open("/signatories?kind=person")
        assert NAME[lang] not in await visitor.text()
        for path in ("/versions", "/updates", "/answers", "/find", "/verify", "/text"):
            answer = await page.goto(visitor.address(path))
            assert answer is not None
            assert answer.status == 200, path
        await visitor.follow(link)
        await page.click("details:has([value=delete]) summary")
        await page.click("form:has([value=delete]) button")
        await page.wait_for_url("**/deleted")
        # Chromium does not trust an Onion origin, as Tor Browser does, and says so; it also says what is blocked.
        grave = [text for text in visitor.complaints if text.startswith(("asked", "script")) or "Refused" in text]
        assert grave == []
        assert await visitor.left_behind() == []
        assert {kind for kind, _ in visitor.requests} <= {"document", "stylesheet", "image"} | REFUSED | {"other"}
        assert all(url.startswith(f"http://{ONION}/") for _, url in visitor.requests)
    assert tor.asked > 0
    assert [name for name in tor.refused if name.endswith(".onion") or "letters" in name] == []


@pytest.mark.parametrize("path", ["/en/", f"/en/{SLUG}", f"/ru/{SLUG}/signatories", f"/en/{SLUG}/find"])
async def test_pages_name_their_onion_address(onion_town: OnionTown, path: str) -> None:
    answer = await onion_town.site.client.get(path)
    assert answer.headers["onion-location"] == f"http://{ONION}{path}"
