"""The moderators' queue in one hand: nothing to be moved sideways, nothing behind the acts; and the log in words."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from petition.moderation.model import Action
from tests import rows
from tests.browser.desk import Seat, seat
from tests.browser.visitor import DESK, PHONE, Town
from tests.moderation.desk import Bench
from tests.running import SLUG

pytestmark = pytest.mark.browser

# Whatever of the queue lies beyond the right edge, by its text.
BEYOND = """() => [...document.querySelectorAll("#queue tr *, #queue .bar *")]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth)
  .map((each) => each.outerHTML)"""
# Whether the middle of what has the focus is seen, or something lies above it.
SEEN = """() => {
  const it = document.activeElement, box = it.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return it === document.body || it.contains(top) || top?.contains(it) ? "" : it.innerText || it.name;
}"""


@pytest.fixture
async def phone(chromium: Browser, hamlet: Town) -> AsyncIterator[Seat]:
    """Give a Russian moderator's telephone, and a queue with people and organizations on it."""
    async with hamlet.site.database.connection() as conn:
        bench = Bench(hamlet.site.database, await rows.letter(conn))
    await bench.crowd(12, country="US")
    approved = await bench.sign_for("North Pier // Северный причал", website="https://northpier.example")
    await bench.decide(Action.APPROVE, approved)
    await bench.sign_for("A rather long name of an association of providers " * 3, website="https://third.example")
    async with seat(chromium, hamlet, width=PHONE) as one:
        await one.sit("hand@desk.example", "owner", name="Vera", lang="ru")
        yield one


async def test_all_of_a_row_is_in_sight_on_a_phone(phone: Seat) -> None:
    await phone.open(f"{SLUG}/queue")
    assert await phone.page.evaluate(BEYOND) == []
    assert await phone.page.locator("#queue tbody tr:first-child button").count() == 2


async def test_the_first_row_is_in_sight_and_its_targets_are_large(phone: Seat) -> None:
    await phone.page.set_viewport_size({"width": PHONE, "height": 740})
    await phone.open(f"{SLUG}/queue")
    top = await phone.page.evaluate(
        "document.querySelector('[data-row]').getBoundingClientRect().y - document.querySelector('main')"
        ".getBoundingClientRect().y"
    )
    assert top <= 110
    small = await phone.page.evaluate(
        "[...document.querySelectorAll('#queue :is(button, summary)')].filter((each) => each.checkVisibility())"
        ".map((each) => [each.innerText, each.getBoundingClientRect().height]).filter(([, height]) => height < 40)"
    )
    assert small == []


async def test_the_acts_never_hide_what_has_the_focus(phone: Seat) -> None:
    await phone.page.set_viewport_size({"width": PHONE, "height": 640})
    await phone.open(f"{SLUG}/queue")
    hidden = []
    for _ in range(50):
        await phone.page.keyboard.press("Tab")
        hidden.append(await phone.page.evaluate(SEEN))
    assert [each for each in hidden if each] == []


async def test_the_log_speaks_the_readers_language(phone: Seat) -> None:
    await phone.open(f"{SLUG}/log")
    words = await phone.text("table")
    assert "ждёт одобрения: другой домен → учтена" in words
    assert "confirmed" not in words


async def test_the_five_jobs_fit_in_one_row(phone: Seat) -> None:
    for width in (PHONE, DESK):
        await phone.page.set_viewport_size({"width": width, "height": 800})
        await phone.open(f"{SLUG}/log")
        boxes = [await link.bounding_box() for link in await phone.page.locator(".jobs a").all()]
        assert len(boxes) == 5
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        assert len({round(box["y"]) for box in boxes if box}) == 1


async def test_a_jobs_pages_fold_under_the_current_one(phone: Seat) -> None:
    await phone.open(f"{SLUG}/log")
    fold = phone.page.locator(".fold")
    assert await phone.text(".fold summary") == "Журнал"
    assert not await fold.get_by_role("link").first.is_visible()
    await fold.locator("summary").click()
    await fold.get_by_role("link", name="Состояние").click()
    await phone.page.wait_for_url(f"**/{SLUG}/state")


async def test_switches_that_are_on_add_one_line(phone: Seat) -> None:
    await phone.open(f"{SLUG}/state")
    before = await phone.page.locator("header").bounding_box()
    async with phone.town.site.database.connection() as conn:
        for name in ("stop", "hold", "hide_list", "banner", "read_only"):
            await conn.execute("INSERT INTO switch (name, value, texts) VALUES ($1, 'on', '{}')", name)
    await phone.open(f"{SLUG}/state")
    after = await phone.page.locator("header").bounding_box()
    assert before
    assert after
    assert after["height"] - before["height"] <= 40


async def test_countries_are_written_with_their_letters(phone: Seat) -> None:
    await phone.open(f"{SLUG}/queue?wait=all")
    assert "Соединённые Штаты" in await phone.text("#queue")
