"""The keyboard alone: everything can be reached, it shows where one is, and a signature goes through."""

import pytest
from playwright.async_api import Page

from tests.browser.visitor import Meet, Town, Visitor
from tests.running import link_in

pytestmark = pytest.mark.browser

WHERE = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const middle = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    name: at.id || at.name || at.textContent.trim(), value: at.value,
    outlined: style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.top >= 0 && box.bottom <= innerHeight && (at.contains(middle) || middle?.contains(at)),
  };
}"""


async def tab(page: Page) -> dict[str, str]:
    """Go on to what comes next; fail unless the focus is to be seen, and nothing covers it."""
    await page.keyboard.press("Tab")
    where: dict[str, str] = await page.evaluate(WHERE)
    assert where["outlined"], where
    assert where["seen"], where
    return where


async def tab_to(page: Page, name: str) -> None:
    """Go on until the thing of that id or text."""
    for _ in range(60):
        if (await tab(page))["name"] == name:
            return
    pytest.fail(f"Tab never came to {name}")


@pytest.mark.parametrize(("lang", "scripts"), [("en", True), ("ru", False)], ids=["en-scripts", "ru-no-scripts"])
async def test_signing_with_the_keyboard_alone(town: Town, meet: Meet, lang: str, scripts: bool) -> None:
    visitor = await meet(town, lang, scripts=scripts)
    keyboard, mailbox = visitor.page.keyboard, f"keys-{lang}@letters.example"
    await visitor.open()
    await tab(visitor.page)  # "skip to signing" is the first thing of all
    await keyboard.press("Enter")
    await tab_to(visitor.page, "f-visibility")
    await keyboard.press("Space")
    await keyboard.press("ArrowDown")
    await tab_to(visitor.page, "f-name")
    await keyboard.type("Vera Novak")
    await tab_to(visitor.page, "f-email")
    await keyboard.type(mailbox)
    await tab_to(visitor.page, "f-consent")
    await keyboard.press("Space")
    await tab(visitor.page)
    await keyboard.press("Enter")
    if not scripts:
        await visitor.page.wait_for_selector("[name=drawn]", state="attached")
        assert await visitor.page.evaluate("document.activeElement.id") == "f-code"
        await keyboard.type(await visitor.picture())
        await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/check-your-inbox")
    await confirm(visitor, mailbox)


async def confirm(visitor: Visitor, mailbox: str) -> None:
    """Confirm by keyboard; the name has gone to the organizers only, as the arrow key had said."""
    link = link_in(await visitor.town.mail_to(mailbox))
    await visitor.follow(link)
    button = await visitor.text("main form button")
    await tab_to(visitor.page, button)
    await visitor.page.keyboard.press("Space")
    await visitor.page.wait_for_url("**/signed*")
    await visitor.follow(link)
    assert await visitor.page.is_checked("[value=organizers]")


@pytest.mark.parametrize("path", ["", "?as=organization", "/find", "/signatories?kind=person"])
async def test_every_stop_is_seen(town: Town, meet: Meet, path: str) -> None:
    visitor = await meet(town, "ru")
    await visitor.open(path)
    stops = "a[href], button, input:not([type=hidden]), summary, [tabindex='0']"
    visible = f"[...document.querySelectorAll({stops!r})].filter(stop => stop.checkVisibility()).length"
    # A group of radio buttons is one stop.
    radios = "[...document.querySelectorAll('[type=radio]')].filter(radio => radio.checkVisibility())"
    groups = f"new Set({radios}.map(radio => radio.name)).size"
    number = await visitor.page.evaluate(f"{visible} - {radios}.length + {groups}")
    names = [(await tab(visitor.page))["name"] for _ in range(number)]
    assert len(names) > 5
    await visitor.page.keyboard.press("Tab")
    assert await visitor.page.evaluate("document.activeElement == document.body")  # that was all
