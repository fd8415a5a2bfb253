"""Where hCaptcha is offered, its maker learns of those who choose it, and of no other."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Route

from tests.running import SLUG, installation

pytestmark = pytest.mark.browser

KEYS = {"CAPTCHA": "hcaptcha", "HCAPTCHA_SITE_KEY": "site-key", "HCAPTCHA_SECRET_KEY": "0x5ecre7"}
SUBMIT = "form => { form.noValidate = true; HTMLFormElement.prototype.submit.call(form); }"


async def test_nothing_is_loaded_from_elsewhere_before_it_is_chosen(
    chromium: Browser, database_url: str, tmp_path: Path, with_letter: None
) -> None:
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(body="document.documentElement.dataset.loaded = 'yes'", content_type="text/javascript")

    async with installation(database_url, tmp_path, **KEYS) as site:
        base = site.base
        context = await chromium.new_context()
        await context.route(lambda url: not url.startswith(base), answer)
        page = await context.new_page()
        await page.goto(f"{base}/en/{SLUG}")
        await page.fill("[name=name]", "Vera Novak")
        await page.fill("[name=email]", "vera@letters.example")
        await page.check("[name=visibility][value=public]")
        await page.check("[name=consent]")
        async with page.expect_navigation():
            await page.eval_on_selector("#sign-form", SUBMIT)
        await page.wait_for_selector("details[data-script]")
        await page.wait_for_load_state("networkidle")
        assert asked == []
        await page.click("details[data-script] summary")
        await page.wait_for_selector("html[data-loaded=yes]")
        assert asked == ["https://js.hcaptcha.com/1/api.js?hl=en"]
        await context.close()
