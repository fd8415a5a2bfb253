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
  .filter((each) => each.getBoundingClientRect().right > innerWidth).map((each) => each.innerText)"""
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


async def test_every_tab_is_in_sight_where_there_is_room(phone: Seat) -> None:
    await phone.page.set_viewport_size({"width": DESK, "height": 800})
    await phone.open(f"{SLUG}/log")
    boxes = [await each.bounding_box() for each in await phone.page.locator(".tabs a").all()]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= DESK for box in boxes)


async def test_countries_are_written_with_their_letters(phone: Seat) -> None:
    await phone.open(f"{SLUG}/queue")
    assert "Соединённые Штаты" in await phone.text("#queue")
