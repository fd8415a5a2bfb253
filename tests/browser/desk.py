"""At the desk in a real browser: coming in, a passkey without a device, and a look for what shuts people out."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from petition.core.ids import OrganizerId
from petition.organizers import sign_in_links
from tests.browser.visitor import DESK, HEIGHT, PATIENCE, Look, Town
from tests.organizers import people

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# Everything that WCAG 2.2 AA asks for and axe can see, and its own good habits.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = f"async () => (await axe.run({{preload: false, resultTypes: ['violations'], runOnly: {TAGS}}})).violations"


@dataclass
class Seat:
    """One organizer's browser."""

    town: Town
    context: BrowserContext = field(repr=False)
    page: Page = field(repr=False)
    looks: Sequence[Look] = ()  # in which ``barriers`` are looked for; none: as the window is
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "") -> None:
        """Open a page of the desk."""
        await self.page.goto(f"{self.town.base}/organizer/{path}")

    async def sit(self, email: str, role: str | None = None, **more: Any) -> OrganizerId:
        """Come as an organizer whose second factor has been shown; return the organizer's id."""
        who = await people.add(self.town.site, email, **more)
        await people.give_totp(self.town.site, who.id)
        if role is not None:
            await people.give_role(self.town.site, who.id, role)
        cookie = await people.cookie(self.town.site, who.id)
        await self.context.add_cookies([{"name": "desk", "value": cookie, "url": f"{self.town.base}/organizer/"}])
        return who.id

    async def come_by_link(self, organizer_id: OrganizerId) -> None:
        """Open a fresh one-time link and press its button."""
        async with self.town.site.database.connection() as conn:
            token = await sign_in_links.link(conn, organizer_id)
        await self.open(f"enter/{token}")
        await self.page.click("main button")
        await self.page.wait_for_url("**/organizer/second")

    async def come_by_mail(self, email: str, number: int = 1) -> None:
        """Ask for a link, and open and press the one in mail ``number``."""
        await self.open("enter")
        await self.page.fill("[name=email]", email)
        await self.page.click("main button")
        await self.page.wait_for_url("**/enter?sent=1**")
        mail = await self.town.mail_to(email, number)
        found = re.search(r"/organizer/enter/[\w-]+", mail.body("plain") or "")
        assert found
        await self.page.goto(self.town.base + found[0])
        await self.page.click("main button")
        await self.page.wait_for_url("**/organizer/second")

    async def sign_out(self) -> None:
        """Sign out by the menu under the organizer's name."""
        await self.page.click(".me > summary")
        await self.page.click(".me form[action$=leave] button")

    async def text(self, selector: str = "main") -> str:
        """Return the visible text there, its white space made single spaces."""
        return " ".join((await self.page.locator(selector).first.inner_text()).split())

    async def authenticator(self) -> None:
        """Give the browser a security key that needs no finger."""
        cdp = await self.context.new_cdp_session(self.page)
        await cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    async def barriers(self) -> list[str]:
        """Return what axe finds wrong with the page, and whether it has to be moved sideways to be read."""
        await self.page.evaluate(AXE)
        if not self.looks:
            return await self._barriers()
        found = []
        for look in self.looks:
            await self.wear(look)
            found += [f"{look}: {each}" for each in await self._barriers()]
        await self.wear(self.looks[0])
        return found

    async def wear(self, look: Look) -> None:
        """Give the window a width and a colour scheme."""
        width, scheme = look
        await self.page.set_viewport_size({"width": width, "height": HEIGHT})
        await self.page.emulate_media(color_scheme=scheme)

    async def _barriers(self) -> list[str]:
        violations = await self.page.evaluate(RUN_AXE)
        if (
            violations
        ):  # what lies under the bar at the window's edge can be scrolled: look again at the page as a whole
            violations = await self._in_a_tall_window(RUN_AXE)
        found = [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in violations]
        width = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return [*found, f"{width} px too wide"] if width > 0 else found

    async def _in_a_tall_window(self, script: str) -> Any:
        size = self.page.viewport_size
        assert size is not None
        tall = await self.page.evaluate("document.documentElement.scrollHeight")
        await self.page.set_viewport_size({"width": size["width"], "height": max(tall, size["height"])})
        result = await self.page.evaluate(script)
        await self.page.set_viewport_size(size)
        return result


@asynccontextmanager
async def seat(
    browser: Browser, town: Town, *, width: int = DESK, looks: Sequence[Look] = (), **more: Any
) -> AsyncIterator[Seat]:
    """Give a browser of one's own; in the end it had nothing to complain of."""
    if looks:
        width, more["color_scheme"] = looks[0]
    context = await browser.new_context(
        viewport={"width": width, "height": HEIGHT}, extra_http_headers=town.site.new_network(), **more
    )
    context.set_default_timeout(PATIENCE)
    one = Seat(town, context, await context.new_page(), looks)

    def hear(message: ConsoleMessage) -> None:
        refusal = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        # axe asks each frame to answer; one in a sandbox has no origin to send that to.
        sandboxed = message.text.startswith("Failed to execute 'postMessage'") and "origin ('null')" in message.text
        if message.type in {"error", "warning"} and not refusal and not sandboxed:
            one.complaints.append(f"{message.type}: {message.text} ({message.location})")

    context.on("console", hear)
    context.on("weberror", lambda error: one.complaints.append(f"script error: {error.error}"))
    try:
        yield one
        assert one.complaints == []
    finally:
        await context.close()
