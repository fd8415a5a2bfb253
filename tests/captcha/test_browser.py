"""The scripts in a real Chromium, under the site's own content security policy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from petition.captcha import Passed
from petition.captcha.pow import Price, ProofOfWork
from petition.core import resources
from tests.captcha.installation import KEY, LETTER

pytestmark = pytest.mark.browser

POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; form-action 'self'"
PAGE = """<!doctype html><html lang=en><title>Sign</title>
<script type=module src=/static/js/sign.js></script>
<form method=post action=/sign data-letter=open-channels data-wait="One moment, please">
<label>Name <input name=name required></label> <label>E-mail <input name=email type=email></label>
<p><button name=how value=button>Sign</button></p></form>"""

# Real derivations, few of them.
WORK = ProofOfWork([KEY], price=Price(iterations=5000, numbers=range(20, 40)))


@dataclass
class Site:
    """A page with the form, the challenge and the scripts; remembers what was asked and what was sent."""

    address: str = ""
    policy: str = POLICY
    page: str = PAGE
    broken: bool = False
    hcaptcha: bool = False
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)

    async def show(self, _request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": self.policy}
        return web.Response(text=self.page, content_type="text/html", headers=headers)

    async def challenge(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["letter"])
        await self.go_on.wait()
        if self.broken:
            return web.Response(status=503, text="away")
        if self.hcaptcha:
            return web.json_response({"kind": "hcaptcha", "site_key": "site-key"})
        return web.json_response(WORK.challenge(LETTER))

    async def sign(self, request: web.Request) -> web.Response:
        self.sent.append({name: str(value) for name, value in (await request.post()).items()})
        return web.Response(text="<title>Sent</title>", content_type="text/html")

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.show),
                web.get("/captcha/challenge", self.challenge),
                web.post("/sign", self.sign),
                web.static("/static", Path(resources.PACKAGE / "static")),
            ]
        )
        return app


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.go_on.set()
    runner = web.AppRunner(site.app())
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.address = f"http://localhost:{runner.addresses[0][1]}/"
    yield site
    await runner.cleanup()


@pytest.fixture
async def page(whole_chromium: Browser, site: Site) -> AsyncIterator[Page]:
    context = await whole_chromium.new_context()
    opened = await context.new_page()
    opened.set_default_timeout(120_000)
    await opened.goto(site.address)
    yield opened
    await context.close()


async def submit(page: Page) -> None:
    await page.click("button")
    await page.wait_for_url("**/sign")


def passes(form: dict[str, str]) -> bool:
    return isinstance(WORK.check(form["altcha"], LETTER), Passed)


async def solved(page: Page) -> None:
    await expect(page.locator("[name=altcha]")).not_to_have_value("", timeout=120_000)


async def test_it_solves_while_the_visitor_types(page: Page, site: Site) -> None:
    assert site.asked == []  # whoever only reads is not asked to work
    workers: list[str] = []
    page.on("worker", lambda worker: workers.append(worker.url))
    await page.fill("[name=name]", "Anna")
    await page.fill("[name=email]", "anna@example.org")
    await solved(page)
    await submit(page)
    assert site.asked == ["open-channels"]
    assert workers == [site.address + "static/js/pow.js"]
    assert passes(site.sent[0])
    assert site.sent[0] == site.sent[0] | {"name": "Anna", "email": "anna@example.org", "how": "button"}


async def test_who_is_faster_waits_is_told_so_and_sends_once(page: Page, site: Site) -> None:
    site.go_on.clear()
    await page.fill("[name=name]", "Anna")
    assert await page.text_content("[role=status]") == ""
    await page.click("button")
    await page.click("button")
    assert await page.text_content("[role=status]") == "One moment, please"
    assert site.sent == []
    site.go_on.set()
    await page.wait_for_url("**/sign")
    assert len(site.sent) == 1
    assert passes(site.sent[0])
    assert site.sent[0]["how"] == "button"


async def test_the_browser_checks_the_fields_before_anything_is_sent(page: Page, site: Site) -> None:
    await page.click("button")
    assert await page.evaluate("document.activeElement.name") == "name"
    await page.fill("[name=email]", "nonsense")
    await page.press("[name=email]", "Tab")
    assert await page.get_attribute("[name=email]", "aria-invalid") == "true"
    await page.fill("[name=email]", "anna@example.org")
    await page.press("[name=email]", "Tab")
    assert await page.get_attribute("[name=email]", "aria-invalid") is None
    assert site.sent == []


@pytest.mark.parametrize("what", ["broken", "hcaptcha"])
async def test_without_a_challenge_the_form_just_goes(page: Page, site: Site, what: str) -> None:
    setattr(site, what, True)
    await page.fill("[name=name]", "Anna")
    await submit(page)
    assert site.sent == [{"name": "Anna", "email": "", "how": "button", "altcha": ""}]


async def test_without_workers_it_solves_in_the_page(page: Page, site: Site) -> None:
    site.policy = POLICY.replace("worker-src 'self'", "worker-src 'none'")
    await page.goto(site.address)
    await page.fill("[name=name]", "Anna")
    await submit(page)
    assert passes(site.sent[0])


async def test_where_the_browser_has_no_cryptography_the_form_just_goes(page: Page, site: Site) -> None:
    # As on http: in a page and in a worker; here the worker is not allowed and the page has it taken away.
    site.policy = POLICY.replace("worker-src 'self'", "worker-src 'none'")
    await page.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined})")
    await page.goto(site.address)
    await page.fill("[name=name]", "Anna")
    await submit(page)
    assert site.sent[0]["altcha"] == ""


async def test_an_answer_grown_old_is_replaced(page: Page, site: Site) -> None:
    await page.clock.install()
    await page.goto(site.address)
    await page.fill("[name=name]", "Anna")
    await solved(page)
    first = await page.input_value("[name=altcha]")
    await page.clock.fast_forward(19 * 60_000)
    await submit(page)
    assert len(site.asked) == 2
    assert passes(site.sent[0])
    assert site.sent[0]["altcha"] != first


async def test_after_going_back_another_challenge_is_solved(page: Page, site: Site) -> None:
    await page.evaluate("globalThis.kept = 'yes'")
    await page.fill("[name=name]", "Anna")
    await submit(page)
    await page.go_back(wait_until="commit")  # a kept page is not loaded again
    await expect(page.locator("[name=altcha]")).to_have_value("")
    assert await page.evaluate("kept") == "yes"
    await page.fill("[name=name]", "Anna again")
    await submit(page)
    assert len(site.asked) == 2
    assert len({form["altcha"] for form in site.sent}) == 2
    assert all(passes(form) for form in site.sent)


async def test_the_step_with_a_code_begins_at_once_and_needs_no_code_then(page: Page, site: Site) -> None:
    site.page = PAGE.replace("data-letter", "data-eager data-letter").replace("<p>", "<input name=code required><p>")
    await page.goto(site.address)
    await page.fill("[name=name]", "Anna")
    await solved(page)
    await submit(page)
    assert passes(site.sent[0])


async def test_a_typed_code_is_not_made_to_wait(page: Page, site: Site) -> None:
    site.page = PAGE.replace("<p>", "<input name=code required><p>")
    site.go_on.clear()
    await page.goto(site.address)
    await page.fill("[name=name]", "Anna")
    await page.fill("[name=code]", "HEXAM")
    await submit(page)
    assert site.sent[0]["code"] == "HEXAM"
    assert site.sent[0]["altcha"] == ""
    site.go_on.set()
