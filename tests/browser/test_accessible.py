"""axe-core and the Nu HTML checker find nothing on any page, in both languages, widths and colour schemes.

Nor is anything lost with large letters, at a zoom of 400 %, in the system's colours, or on paper (``hardships``).

Each language is looked at in two of the four looks (``visitor.LOOKS``); with ``PETITION_TEST_LOOKS=all`` in all four.
Both languages are looked at at the same time, so that the browser waits for no page.
"""

import asyncio
from itertools import chain

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page

from tests.browser import album
from tests.browser.album import Gallery
from tests.browser.hardships import hardships
from tests.browser.html_checker import Documents
from tests.browser.visitor import HEIGHT, LOOKS, PHONE, Meet, Town, Visitor

pytestmark = pytest.mark.browser

# "target-size" is WCAG 2.2 AA, and off unless asked for.
RUN = """
async () => (
  await axe.run({preload: false, resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
).violations.map(
  found => found.id + ": " + found.nodes.map(node => node.target + " " + node.failureSummary).join(" | "))
"""


DOUBLES = """
[...document.querySelectorAll("[id]")].map(each => each.id).filter((id, place, all) => all.indexOf(id) < place)
"""


async def findings(page: Page, lang: str) -> list[str]:
    """Return what axe has against the page, which names stand on it twice, and whether it is wider than the window."""
    await page.evaluate(AXE_SCRIPT)
    found = [f"twice: {name}" for name in await page.evaluate(DOUBLES)]
    for width, scheme in LOOKS[lang]:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        await page.emulate_media(color_scheme=scheme)
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{width} px: wider than the window")
        found += [f"{width} px, {scheme}: {each}" for each in await page.evaluate(RUN)]
    return found + await hardships(page)


async def look_at_all(visitor: Visitor, gallery: Gallery) -> list[str]:
    """Go through the album; return what is found, by the HTML checker too."""
    found = []
    documents = Documents()
    documents.watch(visitor.context)
    for name, go in album.ways(gallery).items():
        await visitor.page.set_viewport_size({"width": PHONE, "height": HEIGHT})
        await go(visitor)
        assert await visitor.page.get_attribute("html", "lang") == visitor.lang
        found += [f"{visitor.lang} {name}: {each}" for each in await findings(visitor.page, visitor.lang)]
    return found + await documents.problems()


async def test_axe_finds_nothing(gallery: Gallery, meet: Meet) -> None:
    visitors = [await meet(gallery.town, lang) for lang in LOOKS]
    found = await asyncio.gather(*(look_at_all(visitor, gallery) for visitor in visitors))
    everything = [*chain.from_iterable(found)]
    assert not everything, "\n".join(everything)


@pytest.mark.parametrize("lang", LOOKS)
async def test_axe_finds_nothing_on_the_page_of_the_api(town: Town, meet: Meet, lang: str) -> None:
    visitor = await meet(town, lang)
    documents = Documents()
    documents.watch(visitor.context)
    await visitor.page.goto(f"{town.base}/{lang}/api")
    assert await findings(visitor.page, lang) == []
    assert await documents.problems() == []
