"""A visitor: a browser context of one's own, and a note of whatever the browser complained of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from petition.demo.inbox import Mail
from tests.running import SLUG, Installation

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
PATIENCE = 20_000  # ms; only a hanging page takes that long


@dataclass
class Town:
    """A running installation, and the answers to the codes it has drawn."""

    site: Installation
    answers: dict[str, str]

    @property
    def base(self) -> str:
        """Return the public address."""
        return self.site.base

    async def mails_to(self, address: str, number: int) -> list[Mail]:
        """Wait until ``number`` mails have come to ``address``; return all there are, the oldest first."""
        async with asyncio.timeout(PATIENCE / 1000):
            while len(mails := [mail for mail in self.site.inbox if address in mail.to]) < number:
                await asyncio.sleep(0.02)
        return mails[::-1]

    async def mail_to(self, address: str, number: int = 1) -> Mail:
        """Wait for the mail that comes as the so-and-so-manieth to ``address``."""
        return (await self.mails_to(address, number))[number - 1]


@dataclass
class Visitor:
    """Somebody who reads in one language, with scripts or without."""

    town: Town
    context: BrowserContext
    page: Page
    lang: str
    scripts: bool
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def address(self, path: str = "") -> str:
        """Return the address of the letter, or of a page below it, in the visitor's language."""
        return f"{self.town.base}/{self.lang}/{SLUG}{path}"

    async def open(self, path: str = "") -> None:
        """Open the letter, or a page below it."""
        await self.page.goto(self.address(path))

    async def follow(self, path: str) -> None:
        """Open a link from a mail."""
        await self.page.goto(self.town.base + path)

    async def fill(self, **fields: str) -> None:
        """Fill in the form for a person; give ``visibility`` and so on to say otherwise, "" to leave a field alone."""
        everything = {"name": "Vera Novak", "visibility": "public", "consent": "yes"} | fields
        for name, value in everything.items():
            if not value:
                continue
            if name in {"visibility", "consent", "updates"}:
                await self.page.check(f"#sign-form [name={name}][value={value}]")
            else:
                await self.page.fill(f"#sign-form [name={name}]", value)

    async def send(self, form: str = "#sign-form", then: str = "**/check-your-inbox") -> None:
        """Send the form; without scripts also read the drawn code."""
        await self.page.click(f"{form} button")
        if not self.scripts:
            await self.page.wait_for_selector("#step")
            await self.type_code()
            await self.page.click("#step button")
        await self.page.wait_for_url(then)

    async def type_code(self) -> None:
        """Type what the picture says; the tests know it from the drawer."""
        token = await self.page.input_value("#step [name=drawn]")
        await self.page.fill("#step [name=code]", self.town.answers[token])

    async def sign(self, **fields: str) -> None:
        """Open the letter, sign it, and come to the page that says to check the inbox."""
        await self.open("?as=organization" if "position" in fields else "")
        await self.fill(**fields)
        await self.send()

    async def text(self, selector: str = "main") -> str:
        """Return the visible text there, its white space made single spaces."""
        return " ".join((await self.page.locator(selector).first.inner_text()).split())

    async def count(self) -> int:
        """Return the count that the letter's page shows now, in a look of its own."""
        answer = await self.context.request.get(self.address())
        page = await answer.text()
        shown = page.split('<p class="n" data-count="total">', 1)[1].split("<", 1)[0]
        return int("".join(filter(str.isdecimal, shown)))

    async def count_becomes(self, number: int) -> None:
        """Wait until the letter's page shows ``number``: it is remade twice a second."""
        async with asyncio.timeout(PATIENCE / 1000):
            while await self.count() != number:
                await asyncio.sleep(0.05)

    async def left_behind(self) -> list[Any]:
        """Return the cookies and whatever else the site has stored with this visitor."""
        state = await self.context.storage_state()
        return [*state["cookies"], *state["origins"]]


Meet = Callable[..., Awaitable[Visitor]]


@asynccontextmanager
async def greet(browser: Browser, town: Town, lang: str, *, scripts: bool, **more: Any) -> AsyncIterator[Visitor]:
    """Open a context on a phone, from a network of its own."""
    settings = {"viewport": PHONE, "java_script_enabled": scripts, "extra_http_headers": town.site.elsewhere()} | more
    context = await browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    visitor = Visitor(town, context, page, lang, scripts)

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _of_a_refusal(message, town.base):
            visitor.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def watch(request: Request) -> None:
        visitor.requests.append(request.url)
        if not request.url.startswith((town.base + "/", "data:image/", "blob:")):
            visitor.complaints.append(f"asked a stranger: {request.url}")

    context.on("console", hear)
    context.on("weberror", lambda error: visitor.complaints.append(f"script error: {error.error}"))
    context.on("request", watch)
    yield visitor
    await context.close()


def _of_a_refusal(message: ConsoleMessage, base: str) -> bool:
    """Tell whether the browser only notes that a page came with a status of 400 or more; the tests look at those."""
    return message.text.startswith("Failed to load resource: the server responded with a status of 4") and (
        message.location["url"].startswith((f"{base}/en/", f"{base}/ru/"))
    )
