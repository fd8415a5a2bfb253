"""The count on a page of another origin, whose own policy is strict: each step of the ladder, with scripts and without,
while we are there and when we are gone. Nobody is given a cookie or anything to store, and nobody else is asked."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat
from playwright.async_api import Browser, Locator, Page, expect

from petition.core import i18n, resources
from petition.core.encryption import Wrapper
from petition.letters import published
from petition.letters.model import Counts
from petition.letters.published import PublishedLetter
from petition.pictures.badge import Badge, svg
from petition.web.embeds.options import STYLES, FrameOptions
from petition.web.embeds.snippets import Snippets
from tests.running import KEY, SLUG, Installation, free_port, installation
from tests.web.embeds.titles import TITLES, entitled

pytestmark = pytest.mark.browser

LANGUAGES = i18n.load(resources.folder("locales"))
PICTURES = Path(__file__).parent / "badges"
HOST_SCRIPT = "window.heard = []; addEventListener('message', event => heard.push([event.origin, event.data]));"
POLLED = 40_000  # ms after which everything that asks again has asked again
NUMBER = "petition-counter b"


@dataclass
class Host:
    """A partner's site: its own origin, its own policy, its own copies."""

    port: int
    ours: str
    files: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def show(self, body: str) -> None:
        page = f'<!doctype html><html lang="en"><title>Host</title><script src="/host.js"></script><body>{body}'
        self.files["/"] = "text/html; charset=utf-8", page

    def policy(self) -> str:
        ours = self.ours
        return (
            f"default-src 'none'; script-src 'self' {ours}; connect-src 'self' {ours}; img-src {ours};"
            f" frame-src {ours}; base-uri 'none'; form-action 'none';"
            " require-trusted-types-for 'script'; trusted-types 'none'"
        )

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        kind, text = self.files.get(path, ("", ""))
        body = text.encode()
        head = f"HTTP/1.1 {200 if kind else 404} x\r\ncontent-type: {kind or 'text/plain'}\r\nconnection: close\r\n"
        head += f"content-security-policy: {self.policy()}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@dataclass
class Reader:
    """Somebody who reads the host's page."""

    page: Page
    host: Host
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def open(self) -> None:
        await self.page.goto(self.host.base + "/")

    async def becomes(self, where: Locator, *texts: str) -> None:
        """Let time pass until that stands there: faster than outside, but not so fast that no answer comes in time."""
        for _ in range(300):
            await self.page.clock.run_for(1000)
            await asyncio.sleep(0.2)
            if await where.all_text_contents() == list(texts):
                return
        raise AssertionError(f"{texts} did not come")

    async def left_behind(self) -> list[Any]:
        state = await self.page.context.storage_state()
        return [*state["cookies"], *state["origins"]]

    def strangers(self) -> list[str]:
        return [url for url in self.asked if not url.startswith((self.host.ours + "/", self.host.base + "/"))]


@dataclass
class Scene:
    """An installation that can be stopped, and a partner's site."""

    site: Installation
    host: Host
    stop: AsyncExitStack

    async def snippets(self, lang: str = "en", **look: str) -> Snippets:
        """Return what the builder hands out for the letter as it is now."""
        async with self.site.database.connection() as conn:
            letter = await published.read(conn, Wrapper([KEY]), await conn.fetchval("SELECT id FROM letter"))
            row = await conn.fetchrow("SELECT people, organizations, now() AS now FROM count")
        assert row is not None
        live = PublishedLetter(letter, Counts(row["people"], row["organizations"]), row["now"])
        return Snippets(self.site.base, "en", live, FrameOptions(lang, **look), LANGUAGES[lang])

    async def count(self, people: int) -> None:
        """Set the count, and wait until it is told."""
        async with self.site.database.connection() as conn:
            await conn.execute("UPDATE count SET people = $1, organizations = 2", people)
        for _ in range(200):
            if (await self.site.client.get(f"/api/v1/letters/{SLUG}/count")).json()["people"] == people:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the web did not take up the count")


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(AsyncExitStack())
        site = await stop.enter_async_context(installation(database_url, tmp_path))
        host = Host(free_port(), site.base)
        host.files["/host.js"] = "text/javascript", HOST_SCRIPT
        server = await asyncio.start_server(host.answer, "127.0.0.1", host.port)
        made = Scene(site, host, stop)
        await made.count(3000)
        yield made
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def reading(chromium: Browser, scene: Scene, *, scripts: bool = True) -> AsyncIterator[Reader]:
    """Have somebody come; in the end nothing was left with them, and nobody else was asked."""
    context = await chromium.new_context(java_script_enabled=scripts, viewport={"width": 800, "height": 900})
    try:
        if scripts:
            await context.clock.install()
        reader = Reader(await context.new_page(), scene.host)
        context.on("console", lambda message: reader.complaints.append(message.text))
        context.on("weberror", lambda error: reader.complaints.append(f"script error: {error.error}"))
        context.on("request", lambda request: reader.asked.append(request.url))
        yield reader
        assert await reader.left_behind() == []
        assert reader.strangers() == []
    finally:
        await context.close()


async def whole_ladder(scene: Scene, lang: str = "en") -> str:
    """Return every step as the builder hands it out; the element twice, each with the script."""
    plain, button = await scene.snippets(lang), await scene.snippets(lang, show="button")
    steps = (plain.link(), plain.badge(), button.iframe(), plain.component(), button.component())
    return "".join(f"<div>{step}</div>" for step in steps)


def in_frame(page: Page) -> Locator:
    return page.frame_locator("iframe").locator("[data-count=total]")


@pytest.mark.parametrize(("lang", "before", "after"), [("en", "3,002", "3,012"), ("ru", "3\xa0002", "3\xa0012")])
async def test_each_step_shows_the_count_and_follows_it(
    chromium: Browser, scene: Scene, lang: str, before: str, after: str
) -> None:
    scene.host.show(await whole_ladder(scene, lang))
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator(NUMBER)).to_have_text([before, before])
        await expect(in_frame(reader.page)).to_have_text(before)
        assert await reader.page.evaluate("document.querySelector('img').naturalWidth") > 80
        buttons = reader.page.locator("petition-counter .button")
        assert await buttons.get_attribute("href") == f"{scene.site.base}/{lang}/{SLUG}#sign"
        await scene.count(3010)
        await reader.becomes(reader.page.locator(NUMBER), after, after)
        await reader.becomes(in_frame(reader.page), after)
        assert reader.complaints == []


async def test_without_scripts_each_step_says_the_same(chromium: Browser, scene: Scene) -> None:
    scene.host.show(await whole_ladder(scene))
    async with reading(chromium, scene, scripts=False) as reader:
        await reader.open()
        for element in await reader.page.locator("petition-counter").all():
            assert (await element.inner_text()).startswith("3,002 signatures: ")
            assert await element.locator("a").get_attribute("href") == f"{scene.site.base}/en/{SLUG}"
        await expect(in_frame(reader.page)).to_have_text("3,002")
        assert not [url for url in reader.asked if url.endswith((".js", "/count"))]
        assert reader.complaints == []


async def test_when_we_are_gone_the_numbers_stay(chromium: Browser, scene: Scene) -> None:
    scene.host.show(await whole_ladder(scene))
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator(NUMBER)).to_have_text(["3,002", "3,002"])
        await expect(in_frame(reader.page)).to_have_text("3,002")
        await scene.stop.aclose()
        for _ in range(3):
            await reader.page.clock.run_for(POLLED)
        await expect(reader.page.locator(NUMBER)).to_have_text(["3,002", "3,002"])
        await expect(in_frame(reader.page)).to_have_text("3,002")
        assert all("ERR_CONNECTION" in each for each in reader.complaints)  # the browser says so, no script does
        # Whoever comes again may still have the script, whoever comes only now has not.
        await reader.open()
        await expect(reader.page.locator("petition-counter").first).to_contain_text("3,002 signatures")
        assert not [each for each in reader.complaints if each.startswith("script error")]
    async with reading(chromium, scene) as reader:
        await reader.open()
        for element in await reader.page.locator("petition-counter").all():
            assert (await element.inner_text()).startswith("3,002 signatures: ")
        assert all("ERR_CONNECTION" in each for each in reader.complaints)


async def test_what_an_older_browser_cannot_do_leaves_the_number_in_sight(chromium: Browser, scene: Scene) -> None:
    snippets = await scene.snippets()
    scene.host.show(snippets.component())
    async with reading(chromium, scene) as reader:
        await reader.page.add_init_script("CSSStyleSheet.prototype.replaceSync = undefined;")
        await reader.open()
        await expect(reader.page.locator("petition-counter data")).to_be_visible()
        await reader.page.clock.run_for(POLLED)
        await expect(reader.page.locator("petition-counter data")).to_be_visible()
        assert not [each for each in reader.complaints if each.startswith("script error")]


async def test_no_attribute_makes_it_throw_or_show_another_letters_number(chromium: Browser, scene: Scene) -> None:
    snippets = await scene.snippets()
    scene.host.show(snippets.component().replace('value="3002"', 'value="2999"'))
    async with reading(chromium, scene) as reader:
        await reader.open()
        number = reader.page.locator(NUMBER)
        await expect(number).to_have_text("3,002")
        change = "([name, value]) => document.querySelector('petition-counter').setAttribute(name, value)"
        await reader.page.evaluate(change, ["letter", "another-letter"])
        await expect(number).to_have_text("2,999")  # what the page itself says, not what was fetched for another letter
        for bad in ("http://[", "//:x", "http://a b/"):
            await reader.page.evaluate(change, ["src", bad])
            await expect(number).to_have_text("2,999")
        await reader.page.clock.run_for(POLLED)
        await reader.page.evaluate("document.querySelector('petition-counter').removeAttribute('src')")
        await reader.page.evaluate(change, ["letter", SLUG])
        await expect(number).to_have_text("3,002")
        assert not [each for each in reader.complaints if each.startswith("script error")]


async def test_on_their_own_server_visitors_never_touch_us(chromium: Browser, scene: Scene) -> None:
    snippets = await scene.snippets(show="organizations", theme="dark", accent="#c0392b")
    scene.host.files["/embed.js"] = "text/javascript", (await scene.site.client.get("/embed.js")).text
    scene.host.files["/count.json"] = (
        "application/json",
        (await scene.site.client.get(f"/api/v1/letters/{SLUG}/count")).text,
    )
    scene.host.show(snippets.component(hosted=True))
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator(NUMBER)).to_have_text("3,002")
        await expect(reader.page.locator("petition-counter")).to_contain_text("2 organizations")
        told = {"total": 4000, "people": 3999, "organizations": 1}
        scene.host.files["/count.json"] = "application/json", json.dumps(told)
        await reader.becomes(reader.page.locator(NUMBER), "4,000")
        for nonsense in ("nonsense", "null", "[]", '{"total": -1}', '{"total": "<b>"}', '{"total": 1e99}'):
            scene.host.files["/count.json"] = "application/json", nonsense
            await reader.page.clock.run_for(POLLED * 8)
            await expect(reader.page.locator(NUMBER)).to_have_text("4,000")
        assert not [url for url in reader.asked if url.startswith(scene.site.base)]
        assert reader.complaints == []


@pytest.mark.parametrize("way", ["merged", "imported"])
async def test_a_script_that_came_in_another_way_asks_the_letter_s_site(
    chromium: Browser, scene: Scene, way: str
) -> None:
    script = (await scene.site.client.get("/embed.js")).text
    tag = '<script async src="/all.js"></script>'
    scene.host.files["/all.js"] = "text/javascript", f"window.theirs = 1;\n{script}"
    if way == "imported":
        tag = '<script type="module" src="/all.js"></script>'
        scene.host.files["/all.js"] = "text/javascript", 'import "/copy.js";'
        scene.host.files["/copy.js"] = "text/javascript", script
    scene.host.show(f'<petition-counter letter="{SLUG}"><data value="1">1</data></petition-counter>{tag}')
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator(NUMBER)).to_have_text("3,002")
        assert f"{scene.site.base}/api/v1/letters/{SLUG}/count" in reader.asked
        assert not [url for url in reader.asked if url.startswith(f"{scene.host.base}/api")]
        assert reader.complaints == []


async def test_what_is_taken_away_or_hidden_asks_no_more(chromium: Browser, scene: Scene) -> None:
    snippets = await scene.snippets()
    scene.host.show(snippets.component())
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator(NUMBER)).to_have_text("3,002")
        hide = """hidden => {
          Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
        await reader.page.evaluate(hide, True)
        before = len(reader.asked)
        await reader.page.clock.run_for(POLLED * 3)
        assert len(reader.asked) == before
        async with reader.page.expect_request("**/count"):
            await reader.page.evaluate(hide, False)
        await reader.page.evaluate("window.taken = document.querySelector('petition-counter'); taken.remove()")
        before = len(reader.asked)
        await reader.page.clock.run_for(POLLED * 3)
        assert len(reader.asked) == before
        async with reader.page.expect_request("**/count"):
            await reader.page.evaluate("document.body.append(taken)")
        await expect(reader.page.locator(NUMBER)).to_have_text("3,002")
        assert reader.complaints == []


async def test_a_frame_tells_its_height_to_whom_it_is_asked_to_and_to_nobody_else(
    chromium: Browser, scene: Scene
) -> None:
    def frame(origin: str) -> str:
        return f'<iframe src="{scene.site.base}/embed/{SLUG}?origin={origin}" sandbox="allow-scripts"></iframe>'

    async with reading(chromium, scene) as reader:
        scene.host.show(frame(scene.host.base))
        await reader.open()
        await reader.page.wait_for_function("heard.length")
        (origin, told) = (await reader.page.evaluate("heard"))[0]
        assert origin == "null"  # a sandbox: it has no origin of its own, and so nowhere to store anything
        assert told["petition"] == SLUG
        assert 60 < told["height"] < 200
        for other in ("*", "", "null", "http://elsewhere.example", f"{scene.host.base}/", "javascript:alert(1)"):
            scene.host.show(frame(other))
            await reader.open()
            await expect(in_frame(reader.page)).to_have_text("3,002")
            await reader.page.clock.run_for(1000)
            assert await reader.page.evaluate("heard") == [], other
        assert reader.complaints == []


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
async def test_any_title_is_shown_and_breaks_nothing(chromium: Browser, scene: Scene, title: str) -> None:
    await entitled(scene.site, title)
    scene.host.show(await whole_ladder(scene))
    async with reading(chromium, scene) as reader:
        await reader.open()
        shown = " ".join(title.split())
        await expect(reader.page.locator("petition-counter a:not(.button)").first).to_have_text(shown)
        await expect(reader.page.frame_locator("iframe").locator(".t")).to_have_text(shown)
        assert title.strip() in str(await reader.page.get_attribute("img", "alt"))
        assert await reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert reader.complaints == []


async def test_the_builder_copies_and_follows_the_choices(chromium: Browser, scene: Scene) -> None:
    context = await chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{scene.site.base}/en/{SLUG}/embed")
    await page.locator("[data-copy]").first.click()
    assert await page.evaluate("navigator.clipboard.readText()") == (await scene.snippets()).link()
    await page.select_option("[name=show]", "button")
    await expect(page.locator("iframe")).to_have_attribute("src", f"/embed/{SLUG}?show=button")
    assert "show=button" in page.url
    await expect(page.frame_locator("iframe").locator(".button")).to_have_text("Sign this letter")
    await page.locator("#s-frame ~ .copied [data-copy]").click()
    assert await page.evaluate("navigator.clipboard.readText()") == (await scene.snippets(show="button")).iframe()
    assert complaints == []
    await context.close()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("lang", "label", "message"), [("en", "signatures", "3,471"), ("ru", "подписей", "3\xa0475")])
async def test_a_badge_looks_as_it_did(chromium: Browser, lang: str, label: str, message: str, style: str) -> None:
    page = await chromium.new_page(viewport={"width": 300, "height": 60})
    await page.set_content("<!doctype html><body>" + svg(Badge(label, message, "", style, "light", lang)).decode())
    drawn = Image.open(io.BytesIO(await page.locator("svg").screenshot())).convert("RGB")
    await page.close()
    kept = Image.open(PICTURES / f"{lang}-{style}.png").convert("RGB")
    assert drawn.size == kept.size
    # Faces differ from machine to machine, places and colours do not.
    blurred = [each.filter(ImageFilter.GaussianBlur(3)) for each in (drawn, kept)]
    assert max(ImageStat.Stat(ImageChops.difference(*blurred)).mean) < 6
