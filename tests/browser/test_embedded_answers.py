"""``<petition-counter show="addressees">`` on another site: what became of the letter, as the API says it."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, expect

from tests.addressees.records import record
from tests.browser.test_embeds import Scene, reading, scene
from tests.running import SLUG

__all__ = ["scene"]
pytestmark = pytest.mark.browser

LINES = {
    "en": ["Meridian Networks: silent for 61 days", "Halden Cloud: changed course", "Orsa Telecom: delivered today"],
    "ru": ["Meridian Networks: молчит 61 день", "Halden Cloud: решение изменено", "«Орса Телеком»: вручено сегодня"],
}


async def tell(scene: Scene) -> None:
    """Deliver the letter to three; one is silent, one has changed course, one got it today."""
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=61)
    await record(scene.site.database, "Meridian Networks", "delivered", long_ago)
    await record(scene.site.database, "Halden Cloud", "delivered", long_ago)
    await record(scene.site.database, "Halden Cloud", "changed_course", now - timedelta(days=3))
    await record(scene.site.database, "Orsa Telecom", "delivered", now)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_element_says_what_became_of_the_letter(chromium: Browser, scene: Scene, lang: str) -> None:
    scene.host.show((await scene.snippets(lang, show="addressees")).component())
    async with reading(chromium, scene) as reader:
        await reader.open()
        await expect(reader.page.locator("petition-counter b")).to_have_count(1)
        await expect(reader.page.locator("petition-counter p", has_text="Halden")).to_have_count(0)  # not sent yet
        await tell(scene)
        lines = reader.page.locator("petition-counter p", has_text=": ")
        await reader.becomes(lines, *LINES[lang])
        assert [url for url in reader.asked if url.endswith(f"/api/v1/letters/{SLUG}")]
        assert reader.complaints == []


async def test_names_of_addressees_are_text(chromium: Browser, scene: Scene) -> None:
    await tell(scene)
    wild = "<img src=x onerror=alert(1)>"
    async with scene.site.database.connection() as conn:
        await conn.execute("UPDATE addressee SET names = jsonb_build_object('en', $1::text)", wild)
        await conn.execute("UPDATE letter SET revision = revision + 1")
    scene.host.show((await scene.snippets(show="addressees")).component())
    async with reading(chromium, scene) as reader:
        await reader.open()
        lines = reader.page.locator("petition-counter p", has_text=": ")
        await reader.becomes(lines, *[f"{wild}: {line.partition(': ')[2]}" for line in LINES["en"]])
        assert await reader.page.locator("petition-counter img").count() == 0
        assert reader.complaints == []
