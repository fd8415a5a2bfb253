"""The count moves while somebody looks, and is told to those who cannot see it; scripts only ever add to the page."""

import pytest
from playwright.async_api import expect

from petition.captcha import Captchas
from petition.captcha.pow import ProofOfWork
from tests.browser.visitor import Meet, Town
from tests.running import link_in

pytestmark = pytest.mark.browser


async def test_the_count_moves_when_another_confirms(town: Town, meet: Meet) -> None:
    visitor = await meet(town, "ru")
    await visitor.page.clock.install()
    before = await town.total()
    await town.site.sign(email="live@letters.example")
    await visitor.open()
    shown = visitor.page.locator("[data-count=total]")
    await expect(shown.first).to_have_text(str(before))
    await town.site.client.post(link_in(await town.mail_to("live@letters.example")))
    await visitor.count_becomes(before + 1)
    await visitor.page.clock.run_for(20_000)
    for each in await shown.all():
        if await each.evaluate("each => each.tagName") == "PROGRESS":
            await expect(each).to_have_js_property("value", before + 1)
        else:
            await expect(each).to_have_text(str(before + 1))


async def test_without_an_answer_the_count_stays_and_nobody_complains(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    await visitor.page.clock.install()
    await visitor.page.route("**/api/**", lambda route: route.fulfill(status=200, body="nonsense"))
    await visitor.open()
    before = await visitor.text(".n")
    async with visitor.page.expect_response("**/api/**"):
        await visitor.page.clock.run_for(20_000)
    assert await visitor.text(".n") == before


async def test_the_full_price_is_paid_while_one_types(
    hamlet: Town, meet: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = await meet(hamlet)
    real = ProofOfWork(hamlet.site.settings.secret_keys)
    monkeypatch.setattr(Captchas, "challenge", lambda _self, letter, *, dear: real.challenge(letter, dear=dear))
    await visitor.sign(email="price@letters.example")
    await hamlet.mail_to("price@letters.example")
