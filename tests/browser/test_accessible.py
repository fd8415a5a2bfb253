"""axe-core and the Nu HTML checker find nothing on any page, in both languages, widths and colour schemes.

Nor is anything lost with large letters, at a zoom of 400 %, in the system's colours, or on paper (``hardships``).

Each language is looked at in two of the four looks (``visitor.LOOKS``); with ``PETITION_TEST_LOOKS=all`` in all four.
Both languages are looked at at the same time, so that the browser waits for no page.
"""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page
from starlette.routing import Route

from petition.web.embeds import builder, frame
from petition.web.public import routes
from tests.browser import album, appendix
from tests.browser.album import Gallery, Way
from tests.browser.hardships import hardships
from tests.browser.visitor import HEIGHT, LOOKS, PHONE, Meet, Town, Visitor
from tests.html_checker import Documents

pytestmark = pytest.mark.browser

# "target-size" is WCAG 2.2 AA, and off unless asked for. Frames are pages that are looked at for themselves.
RUN = """
async () => (
  await axe.run({preload: false, iframes: false, resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
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


ROUTES = [one for one in (*frame.ROUTES, *builder.ROUTES, *routes.ROUTES) if isinstance(one, Route)]
NO_PAGE = {
    "/{lang}",  # leads on, as the next three
    "/{lang}/{slug}/sign",
    "/{lang}/{slug}/form",
    "/{lang}/{slug}/confirm",
    "/{lang}/{slug}/picture/{picture}",
    "/{lang}/{slug}/documents/{response}",
    "/{lang}/{slug}/copy.html",  # to be saved: tests/browser/test_mirror.py opens it
    "/{lang}/{slug}/package/{token}",
    "/{lang}/signature/{token}/data.json",
    "/petition-witness.py",
    "/log/{slug}/key",
    "/log/{slug}/count",
    "/log/{slug}/cosigned",
    "/log/{slug}/audits",
    "/log/{slug}/audits/{audit}",
    "/log/{slug}/checkpoint",
    "/log/{slug}/stamped",
    "/log/{slug}/stamped.tsr",
    "/log/{slug}/tile/{path:path}",
}


def unseen(paths: Iterable[str]) -> set[str]:
    """Return the routes of pages at which no path of these leads."""
    seen = {next((route.path for route in ROUTES if route.path_regex.match(path)), "") for path in paths}
    return {route.path for route in ROUTES if "GET" in (route.methods or ())} - seen - NO_PAGE


async def look_at_all(visitor: Visitor, ways: Mapping[str, Way]) -> list[str]:
    """Go these ways; return what is found, by the HTML checker too, and which pages none of them leads to."""
    found = []
    documents = Documents()
    documents.watch(visitor.context)
    for name, go in ways.items():
        await visitor.page.set_viewport_size({"width": PHONE, "height": HEIGHT})
        await go(visitor)
        assert await visitor.page.get_attribute("html", "lang") == visitor.lang
        found += [f"{visitor.lang} {name}: {each}" for each in await findings(visitor.page, visitor.lang)]
    found += await documents.problems()
    return found + [f"a page that no way leads to: {path}" for path in sorted(unseen(documents.paths))]


async def test_axe_finds_nothing(gallery: Gallery, meet: Meet, tmp_path: Path) -> None:
    visitors = [await meet(gallery.town, lang) for lang in LOOKS]
    ways = album.ways(gallery) | await appendix.furnish(gallery.town, tmp_path)
    found = await asyncio.gather(*(look_at_all(visitor, ways) for visitor in visitors))
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
