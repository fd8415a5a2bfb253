"""The public pages around the letter in a real browser: large letters, zoom, forced colours, paper, passing on."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.running import SLUG, Installation
from tests.signatures.people import organization, sign
from tests.web.public.test_signatories import letter_of

PATHS = [
    "/{lang}/",
    f"/{{lang}}/{SLUG}/signatories",
    f"/{{lang}}/{SLUG}/signatories?kind=organization",
    f"/{{lang}}/{SLUG}/signatories?q=Вера",
    f"/{{lang}}/{SLUG}/signatories/print",
    f"/{{lang}}/{SLUG}/report?q=Вера",
    f"/{{lang}}/{SLUG}/signed",
    f"/{{lang}}/{SLUG}/deleted",
    f"/{{lang}}/{SLUG}/how-we-count",
    f"/{{lang}}/{SLUG}/verify",
    f"/{{lang}}/{SLUG}/versions",
    f"/{{lang}}/{SLUG}/updates",
    f"/{{lang}}/privacy?letter={SLUG}",
    "/{lang}/security",
]
LONG_NAME = "Анна-Мария Константинопольская-Заболотная фон Штайнхагенберг"


@pytest.fixture(scope="module")
async def full_site(shared_site: Installation) -> Installation:
    """Give an installation whose letter has names of every length."""
    letter = await letter_of(shared_site)
    async with shared_site.database.transaction() as conn:
        await sign(conn, letter, "Вера Новак", LONG_NAME, "Li", *[f"Person {i}" for i in range(90)])
        await organization(conn, letter, "North Pier Network", "Сеть «Северный причал»")
        await organization(conn, letter, None, "Ассоциация независимых телекоммуникационных операторов")
        await conn.execute("UPDATE count SET people = 93, organizations = 2")
        await conn.execute("UPDATE letter SET revision = revision + 1")
    await shared_site.page_when(f"/ru/{SLUG}/signatories", lambda text: "93" in text and LONG_NAME in text)
    return shared_site


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    context = await chromium.new_context(viewport={"width": 360, "height": 740})
    yield await context.new_page()
    await context.close()


async def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("path", PATHS)
async def test_nothing_scrolls_sideways(full_site: Installation, page: Page, path: str, lang: str) -> None:
    await page.goto(full_site.base + path.format(lang=lang))
    assert await overflow(page) <= 0
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert await overflow(page) <= 0
    await page.evaluate("document.documentElement.style.fontSize = ''")
    await page.set_viewport_size({"width": 320, "height": 256})  # 1280 px at 400 %
    assert await overflow(page) <= 0


async def test_rows_are_dense_and_use_the_width(full_site: Installation, page: Page) -> None:
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(f"{full_site.base}/en/{SLUG}/signatories")
    boxes = await page.eval_on_selector_all(
        ".names li", "rows => rows.map(row => { const box = row.getBoundingClientRect(); return [box.x, box.height] })"
    )
    assert len({round(x) for x, _ in boxes}) == 2
    assert min(height for _, height in boxes) <= 33


async def test_the_list_prints_from_the_first_page_on(full_site: Installation, page: Page) -> None:
    await page.goto(f"{full_site.base}/ru/{SLUG}/signatories")
    await page.emulate_media(media="print")
    for selector in (".as", ".report", ".search", ".more", ".site"):
        await expect(page.locator(selector).first).to_be_hidden()
    first = await page.locator(".names li").first.bounding_box()
    assert first is not None
    assert first["y"] < 500
    assert await page.eval_on_selector("h1", "title => getComputedStyle(title).breakAfter") == "avoid"


async def test_paper_has_the_address_and_its_code(full_site: Installation, page: Page) -> None:
    await page.goto(f"{full_site.base}/en/{SLUG}")
    code = page.locator(".onpaper svg")
    await expect(code).to_be_hidden()
    await page.emulate_media(media="print")
    await expect(code).to_be_visible()
    await expect(page.locator(".onpaper")).to_contain_text(f"/en/{SLUG}")
    pdf = await page.pdf(format="A4")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 6


async def test_the_progress_is_seen_in_forced_colours(full_site: Installation, page: Page) -> None:
    await page.emulate_media(forced_colors="active")
    await page.goto(f"{full_site.base}/en/{SLUG}")
    width = await page.eval_on_selector("progress", "bar => getComputedStyle(bar).borderTopWidth")
    assert width != "0px"


async def test_the_link_is_copied_with_a_tick(full_site: Installation, chromium: Browser) -> None:
    context = await chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(f"{full_site.base}/ru/{SLUG}/signed")
    await page.locator("[data-copy]").click()
    await expect(page.locator("[data-copy]")).to_have_text("✓ Скопировано")
    assert await page.evaluate("navigator.clipboard.readText()") == f"{full_site.base}/ru/{SLUG}"
    await context.close()


async def test_without_scripts_the_link_is_there_and_no_dead_button(full_site: Installation, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{full_site.base}/en/{SLUG}/signed")
    await expect(page.locator("#share-link")).to_have_value(f"{full_site.base}/en/{SLUG}")
    assert SLUG in await page.locator("#share-text").input_value()
    await expect(page.locator("[data-copy]")).to_be_hidden()
    await expect(page.locator("[data-share]")).to_be_hidden()
    await context.close()


async def test_an_entry_is_reported_without_scripts(full_site: Installation, chromium: Browser) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{full_site.base}/en/{SLUG}/signatories")
    await page.get_by_role("link", name="Tell the organizers").click()
    await page.get_by_label("Name in the list").fill("вера новак")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="Вера Новак").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Report an entry")
    await expect(page.locator("main")).to_contain_text("Вера Новак")
    await context.close()
