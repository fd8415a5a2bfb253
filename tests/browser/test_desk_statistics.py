"""The charts in a real browser: one of each pair is seen, and nobody is shut out."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser

from tests import rows
from tests.browser.desk import seat
from tests.browser.visitor import LOOKS, PHONE, Town
from tests.running import SLUG

pytestmark = pytest.mark.browser

HOURS = """
WITH counted AS (INSERT INTO count_hour (letter, hour, people) SELECT $1, hour, n % 9 FROM unnest($2::timestamptz[])
                 WITH ORDINALITY AS h (hour, n))
INSERT INTO statistics_hour (letter, hour, signed_up, confirmed, came)
SELECT $1, hour, n % 9 + 1, n % 9, n % 9 FROM unnest($2::timestamptz[]) WITH ORDINALITY AS h (hour, n)
"""
PEOPLE = """
INSERT INTO statistics_total (letter, what, value, number) VALUES
  ($1, 'lang', 'en', 900), ($1, 'lang', 'ru', 53), ($1, 'country', 'BA', 600), ($1, 'country', 'FJ', 1),
  ($1, 'country', '', 352), ($1, 'source', 'web', 953), ($1, 'confirmed_in', '72', 953)
"""


@pytest.fixture(scope="module")
async def busy(town: Town) -> Town:
    """Give a letter that somebody has signed in every hour of ten days."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    async with town.site.database.transaction() as conn:
        letter = (await rows.letter(conn)).id
        await conn.execute(HOURS, letter, [now - timedelta(hours=n) for n in range(240)])
        await conn.execute(PEOPLE, letter)
        await conn.execute("UPDATE count SET people = 953 WHERE letter = $1", letter)
    return town


@pytest.mark.parametrize("lang", LOOKS)
async def test_charts(chromium: Browser, busy: Town, lang: str) -> None:
    async with seat(chromium, busy, looks=LOOKS[lang]) as vera:
        await vera.sit(f"{lang}@letters.example", "viewer", lang=lang)
        await vera.open(f"{SLUG}/statistics")
        for look in LOOKS[lang]:
            await vera.wear(look)
            seen, unseen = ("slim", "wide") if look[0] == PHONE else ("wide", "slim")
            for n in range(3):
                assert await vera.page.locator(f"svg.chart.{seen}").nth(n).is_visible()
                assert not await vera.page.locator(f"svg.chart.{unseen}").nth(n).is_visible()
        assert await vera.barriers() == []
        for summary in await vera.page.locator("main details:not(.menu, .fold) > summary").all():
            await summary.click()
        assert await vera.page.locator("table.figures tbody tr").last.is_visible()
        assert await vera.barriers() == []
