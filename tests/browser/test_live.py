"""The count moves while somebody looks, and is told to those who cannot see it; scripts only ever add to the page."""

import asyncio
from typing import Literal

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
    for each in await shown.all():
        if await each.evaluate("each => each.tagName") == "PROGRESS":
            await expect(each).to_have_js_property("value", before + 1)
        else:
            await expect(each).to_have_text(str(before + 1))


async def test_a_goal_that_is_reached_makes_room_for_the_next(hamlet: Town, meet: Meet) -> None:
    async with hamlet.site.database.connection() as conn:
        await conn.execute("UPDATE letter SET goal = 10, next_goals = '{200,300}', revision = revision + 1")
    visitor = await meet(hamlet)
    await visitor.page.clock.install()
    goal = visitor.page.locator("[data-goal]")
    async with asyncio.timeout(120):
        while await goal.count() == 0 or await goal.inner_text() != "10":  # until the web has looked
            await visitor.open()
    for total, shown in ((10, "200"), (199, "200"), (250, "300"), (400, "300")):
        async with hamlet.site.database.connection() as conn:
            await conn.execute("UPDATE count SET people = $1", total)
        await visitor.count_becomes(total)
        await expect(visitor.page.locator("p.n")).to_have_text(str(total))
        await expect(goal).to_have_text(shown)
        await expect(visitor.page.locator("progress")).to_have_js_property("max", int(shown))


COUNT_MOVES = "window.moves = 0; Element.prototype.animate = () => { window.moves++; };"


async def test_organizations_move_even_where_the_total_does_not(hamlet: Town, meet: Meet) -> None:
    visitor = await meet(hamlet)
    await visitor.page.clock.install()
    async with hamlet.site.database.connection() as conn:
        await conn.execute("UPDATE count SET people = 50, organizations = 5")
    await visitor.count_becomes(55)
    await visitor.open()
    organizations = visitor.page.locator("[data-count=organizations]").first
    await expect(organizations).to_have_text("5")
    async with hamlet.site.database.connection() as conn:
        await conn.execute("UPDATE count SET people = 49, organizations = 6")
    await expect(organizations).to_have_text("6")
    await expect(visitor.page.locator("p.n")).to_have_text("55")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_it_is_said_once_a_minute_and_nothing_moves_for_who_asked_for_stillness(
    hamlet: Town, meet: Meet, motion: Literal["reduce", "no-preference"]
) -> None:
    visitor = await meet(hamlet)
    page = visitor.page
    await page.emulate_media(reduced_motion=motion)
    await page.add_init_script(COUNT_MOVES)
    await page.clock.install()
    await visitor.open()
    said, number = page.locator("[data-say]"), page.locator("p.n")

    async def becomes(total: int) -> None:
        async with hamlet.site.database.connection() as conn:
            await conn.execute("UPDATE count SET people = $1", total)
        await expect(number).to_have_text(str(total))

    await becomes(101)
    await becomes(102)
    await expect(said).to_have_text("")  # nobody is interrupted in the first minute
    await page.clock.run_for(61_000)
    await expect(said).to_have_text("Signatures: 102")  # said when the minute is over, not when it moves again
    await becomes(103)
    await becomes(104)
    await expect(said).to_have_text("Signatures: 102")
    await page.clock.run_for(61_000)
    await expect(said).to_have_text("Signatures: 104")
    await page.clock.run_for(61_000)
    await becomes(105)
    await expect(said).to_have_text("Signatures: 105")  # at once, after a quiet minute
    assert bool(await page.evaluate("moves")) == (motion == "no-preference")


async def test_where_no_events_come_through_the_page_asks_now_and_then(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    await visitor.page.clock.install()
    await visitor.page.route("**/events", lambda route: route.fulfill(status=503))
    before = await town.total()
    await visitor.open()
    await town.site.sign(email="asked@letters.example")
    await town.site.client.post(link_in(await town.mail_to("asked@letters.example")))
    await visitor.count_becomes(before + 1)
    async with visitor.page.expect_response("**/count"):
        await visitor.page.clock.run_for(20_000)
    await expect(visitor.page.locator(".n")).to_have_text(str(before + 1))
    async with visitor.page.expect_response("**/count"):
        await visitor.page.clock.run_for(20_000)
    visitor.complaints.clear()  # the browser itself says that the events were refused


async def test_nonsense_instead_of_an_answer_changes_nothing(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    await visitor.page.clock.install()
    await visitor.page.route("**/api/**", lambda route: route.fulfill(status=200, body="nonsense"))
    await visitor.open()
    before = await visitor.text(".n")
    async with visitor.page.expect_response("**/count"):
        await visitor.page.clock.run_for(20_000)
    assert await visitor.text(".n") == before
    visitor.complaints.clear()  # the browser itself says that these are no events


HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_nobody_listens_behind_a_hidden_page(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    async with visitor.page.expect_request("**/events"):
        await visitor.open()
    async with visitor.page.expect_event("requestfailed", lambda request: request.url.endswith("/events")):
        await visitor.page.evaluate(HIDE, True)
    async with visitor.page.expect_request("**/events"):
        await visitor.page.evaluate(HIDE, False)


async def test_the_full_price_is_paid_while_one_types(
    hamlet: Town, meet: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = await meet(hamlet)
    real = ProofOfWork(hamlet.site.settings.secret_keys)
    monkeypatch.setattr(Captchas, "challenge", lambda _self, letter, *, price, **_: real.challenge(letter, price=price))
    await visitor.sign(email="price@letters.example")
    await hamlet.mail_to("price@letters.example")
