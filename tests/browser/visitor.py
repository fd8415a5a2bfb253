"""A visitor: a browser context of one's own, and a note of whatever the browser complained of."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from petition.demo.inbox import Mail
from tests.running import SLUG, Installation, link_in

PHONE, DESK = 360, 1280
HEIGHT = 800
Look = tuple[int, Literal["light", "dark"]]
# Colours do not depend on the language, so each language is looked at in two of the four looks: in both widths, and in
# both schemes.
LOOKS: dict[str, tuple[Look, ...]] = {
    "en": ((PHONE, "light"), (DESK, "dark")),
    "ru": ((DESK, "light"), (PHONE, "dark")),
}
if os.environ.get("PETITION_TEST_LOOKS") == "all":
    LOOKS = {"en": LOOKS["en"] + LOOKS["ru"], "ru": LOOKS["ru"] + LOOKS["en"]}
PATIENCE = 120_000  # ms; only a hanging page takes that long
STEP = "form:has([name=drawn])"  # the form with the drawn code
FOLDED = {"city", "country", "affiliation"}
CHOSEN = {"visibility", "consent", "updates"}  # fields that are ticked


@dataclass
class Town:
    """A running installation, and the answers to the codes it has drawn."""

    site: Installation
    answers: dict[str, str] = field(repr=False)

    @property
    def base(self) -> str:
        """Return the public address."""
        return self.site.base

    async def total(self) -> int:
        """Return the count in the database; the pages follow within a second."""
        count = await self.site.count()
        return count["people"] + count["organizations"]

    async def mails_to(self, address: str, number: int) -> list[Mail]:
        """Wait until ``number`` mails have come to ``address``; return all there are, the oldest first."""
        async with asyncio.timeout(PATIENCE / 1000):
            while len(mails := [mail for mail in self.site.inbox if address in mail.to]) < number:
                await asyncio.sleep(0.02)
        return mails[::-1]

    async def mail_to(self, address: str, number: int = 1) -> Mail:
        """Wait for mail ``number`` to ``address``, counted from 1."""
        return (await self.mails_to(address, number))[number - 1]

    async def signed(self, address: str, lang: str = "en", **changes: str) -> str:
        """Sign and confirm without a browser; return the path of the signatory's own page."""
        answer = await self.site.sign(lang, email=address, **changes)
        assert answer.status_code == 303, answer.text
        link = link_in(await self.mail_to(address))
        assert (await self.site.client.post(link)).status_code == 303
        return link.replace("/confirm/", "/signature/")


@dataclass
class Visitor:
    """Somebody who reads in one language, with scripts or without."""

    context: BrowserContext = field(repr=False)
    page: Page = field(repr=False)
    scripts: bool
    town: Town = field(init=False)
    lang: str = field(init=False)
    complaints: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list, repr=False)  # (what kind of thing, address)

    async def come(self, town: Town, lang: str) -> None:
        """Come to ``town`` as a stranger, from a network of one's own."""
        self.town, self.lang = town, lang
        await self.context.set_extra_http_headers(town.site.new_network())
        await self.page.unroute_all(behavior="ignoreErrors")
        await self.page.goto("about:blank")
        await self.page.set_viewport_size({"width": PHONE, "height": HEIGHT})
        await self.page.emulate_media(color_scheme="light")
        self.complaints.clear()
        self.requests.clear()

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
        """Fill in the form as a person; ``fields`` say otherwise, "" leaves a field alone."""
        everything = {"name": "Vera Novak", "visibility": "public", "consent": "yes"} | fields
        for name, value in everything.items():
            if value and name in CHOSEN:
                await self.page.check(f"#sign-form [name={name}][value={value}]")
            elif value:
                if name in FOLDED and not await self.page.locator(f"#sign-form [name={name}]").is_visible():
                    await self.page.click("#sign-form details.own > summary")
                await self.page.fill(f"#sign-form [name={name}]", value)

    async def send(self, form: str = "#sign-form", then: str = "**/check-your-inbox") -> None:
        """Send the form; without scripts also read the drawn code."""
        await self.page.click(f"{form} button")
        if not self.scripts:
            await self.page.wait_for_selector(STEP)
            await self.type_code()
            await self.page.click(f"{STEP} button")
        await self.page.wait_for_url(then)

    async def picture(self) -> str:
        """Return what the picture says; the tests know it from the drawer."""
        return self.town.answers[await self.page.input_value(f"{STEP} [name=drawn]")]

    async def type_code(self) -> None:
        """Type what the picture says."""
        await self.page.fill(f"{STEP} [name=code]", await self.picture())

    async def sign(self, **fields: str) -> None:
        """Open the letter, sign it, and come to the page that says to check the inbox."""
        await self.open("?as=organization" if "position" in fields else "")
        await self.fill(**fields)
        await self.send()

    async def text(self, selector: str = "main") -> str:
        """Return the visible text there, its white space made single spaces."""
        return " ".join((await self.page.locator(selector).first.inner_text()).split())

    async def count_becomes(self, number: int) -> None:
        """Wait until the letter's page shows ``number``: it is remade twice a second."""
        shown = f'<p class="n" data-count="total">{number}</p>'
        async with asyncio.timeout(PATIENCE / 1000):
            while shown not in (await self.town.site.client.get(self.address())).text:
                await asyncio.sleep(0.1)

    async def left_behind(self) -> list[Any]:
        """Return the cookies and whatever else the site has stored with this visitor."""
        state = await self.context.storage_state()
        return [*state["cookies"], *state["origins"]]

    def hear(self, message: ConsoleMessage) -> None:
        """Note a complaint; the status of a refused form is none, the tests look at that themselves."""
        refusal = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        page = message.location["url"].startswith((f"{self.town.base}/en/", f"{self.town.base}/ru/"))
        if message.type in {"error", "warning"} and not (refusal and page):
            self.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def watch(self, request: Request) -> None:
        """Note whom the browser asks; nobody but us."""
        if not request.url.startswith("data:"):
            self.requests.append((request.resource_type, request.url))
        if not request.url.startswith((self.town.base + "/", "data:image/", "about:blank")):
            self.complaints.append(f"asked a stranger: {request.url}")


Meet = Callable[..., Awaitable[Visitor]]


@asynccontextmanager
async def greet(browser: Browser, *, scripts: bool) -> AsyncIterator[Visitor]:
    """Open a context on a phone."""
    context = await browser.new_context(viewport={"width": PHONE, "height": HEIGHT}, java_script_enabled=scripts)
    context.set_default_timeout(PATIENCE)
    visitor = Visitor(context, await context.new_page(), scripts)
    context.on("console", visitor.hear)
    context.on("weberror", lambda error: visitor.complaints.append(f"script error: {error.error}"))
    context.on("request", visitor.watch)
    yield visitor
    await context.close()
