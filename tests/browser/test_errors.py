"""Errors in the form: said in words, by the field and on top, in both languages, and nothing typed is lost."""

import asyncio
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.visitor import Meet, Town, Visitor
from tests.running import SAMPLE, SLUG, publish

pytestmark = pytest.mark.browser

NO_NAME = "12345"
PERSON = {
    "name": "https://spam.example",
    "email": "vera@localhost",
}
ORGANIZATION = {
    "organization_en": "See www.spam.example",
    "organization_ru": "пишите на info@spam.example",
    "name": "12345",
    "email": "vera@@letters.example",
}
FORMS = pytest.mark.parametrize(
    ("query", "typed", "scripts"),
    [("", PERSON, False), ("?as=organization", ORGANIZATION, True)],
    ids=["person-no-scripts", "organization-scripts"],
)


async def type_all(page: Page, typed: dict[str, str]) -> None:
    """Fill fields in, and have the browser not look at them first: the server's word is what is tested."""
    for name, value in typed.items():
        await page.fill(f"#sign-form [name={name}]", value)
    await page.evaluate("document.getElementById('sign-form').noValidate = true")


async def send(visitor: Visitor) -> None:
    """Send the form and wait for the page that answers."""
    async with visitor.page.expect_navigation():
        await visitor.page.click("#sign-form button")


async def problems(page: Page) -> dict[str, str]:
    """Return what the summary says of which field."""
    links = await page.locator(".problems a").all()
    return {(await link.get_attribute("href") or "").removeprefix("#f-"): await link.inner_text() for link in links}


async def focused(page: Page) -> str:
    """Return the id or class of what has focus."""
    return str(await page.evaluate("document.activeElement.id || document.activeElement.className"))


async def check_said(page: Page, typed: dict[str, str]) -> dict[str, str]:
    """Fail unless each field says what is wrong with it, tied to it, and keeps what was typed; return all that."""
    said = await problems(page)
    stand = "[...document.querySelectorAll('#sign-form [id^=f-]')].map(field => field.id.slice(2))"
    order = await page.evaluate(stand)
    assert list(said) == sorted({*typed, "visibility", "consent"}, key=order.index)
    for name, sentence in said.items():
        group = page.locator(f"fieldset:has(> label > [name={name}])" if name == "visibility" else f"#f-{name}")
        assert await group.get_attribute("aria-invalid") == "true", name
        assert f"e-{name}" in (await group.get_attribute("aria-describedby") or "").split(), name
        named = ""
        if name in typed:  # what is said of a choice or a box says which it is
            named = await page.eval_on_selector(f"label[for=f-{name}]", "label => label.firstChild.data.trim() + ': '")
        assert sentence == named + await page.inner_text(f"#e-{name}")
    for name, value in typed.items():
        assert await page.input_value(f"#f-{name}") == value, name
    return said


@FORMS
async def test_an_error_in_every_field(
    town: Town, meet: Meet, query: str, typed: dict[str, str], scripts: bool
) -> None:
    visitor = await meet(town, "en", scripts=scripts)
    page = visitor.page
    await visitor.open(query)
    await type_all(page, typed)
    await page.check("#f-updates")
    await send(visitor)
    assert await focused(page) == "problems"
    assert (await page.title()).startswith("Please correct: ")
    said = await check_said(page, typed)
    for name in said:
        await page.click(f".problems a[href='#f-{name}']")
        assert await focused(page) == f"f-{name}"
        await expect(page.locator(f"#f-{name}")).to_be_in_viewport()
    await page.click(".langs button[lang=ru]")
    await page.wait_for_url(f"**/ru/{SLUG}/form")
    in_russian = await check_said(page, typed)
    assert all(any("а" <= letter.lower() <= "я" for letter in text) for text in in_russian.values()), in_russian
    assert await focused(page) == "problems"
    await expect(page.locator("#f-updates")).to_be_checked()
    assert await page.input_value("#sign-form [name=kind]:checked") == ("organization" if query else "person")


async def test_after_correcting_it_is_sent(town: Town, meet: Meet) -> None:
    visitor = await meet(town, "ru")
    page = visitor.page
    await visitor.open()
    await visitor.fill(name="Вера", email="vera@corrected", visibility="organizers")
    await send(visitor)
    assert list(await problems(page)) == ["email"]
    await expect(page.locator("#sign-form [value=organizers]")).to_be_checked()
    await expect(page.locator("#f-consent")).to_be_checked()
    await page.fill("#f-email", "vera@corrected.example")
    await visitor.send()
    await town.mail_to("vera@corrected.example")


async def test_the_browser_itself_asks_for_what_is_missing(town: Town, meet: Meet) -> None:
    visitor = await meet(town, scripts=False)
    await visitor.open()
    await visitor.page.click("#sign-form button")
    assert await focused(visitor.page) == "f-visibility"
    assert visitor.page.url == visitor.address()


@pytest.mark.parametrize("what", ["email", "code"])
async def test_what_was_typed_by_the_inbox_survives_the_other_language(town: Town, meet: Meet, what: str) -> None:
    visitor = await meet(town, scripts=False)
    page = visitor.page
    typed = {"email": "vera@nowhere" if what == "email" else "vera@inbox.example", "code": "123456"}
    await visitor.open("/check-your-inbox")
    for name, value in typed.items():
        await page.fill(f"#f-{name}", value)
    await page.click("#code button")
    await page.wait_for_url("**/en/**/confirm")
    async with asyncio.timeout(60):
        while await focused(page) != "problems":  # once the page is drawn
            await asyncio.sleep(0.05)
    assert what in await problems(page)
    await page.click(".langs [lang=ru]")
    await page.wait_for_url(f"**/ru/{SLUG}/confirm")
    assert await page.input_value("#f-email") == typed["email"]
    assert what in await problems(page)


async def test_find_says_what_is_wrong(town: Town, meet: Meet) -> None:
    visitor = await meet(town, scripts=False)
    await visitor.open("/find")
    await visitor.page.fill("[name=email]", "vera@nowhere")
    await visitor.page.click("#find-form button")
    await visitor.page.wait_for_selector(".problems")
    assert await focused(visitor.page) == "problems"
    await visitor.page.click(".langs [lang=ru]")
    await visitor.page.wait_for_url("**/ru/**")
    assert await visitor.page.input_value("#f-email") == "vera@nowhere"


async def test_ones_own_page_says_what_is_wrong(town: Town, meet: Meet) -> None:
    visitor = await meet(town, scripts=False)
    page = visitor.page
    await visitor.follow(await town.signed("vera@own.example"))
    await page.fill("#f-name", NO_NAME)
    await page.click("form:has([value=correct]) button")
    await page.wait_for_selector(".problems")
    assert await focused(page) == "problems"
    await page.click(".langs [lang=ru]")
    await page.wait_for_url("**/ru/**")
    assert set(await problems(page)) == {"name"}
    assert await page.input_value("#f-name") == NO_NAME


async def republish(town: Town, folder: Path, words: str) -> None:
    """Publish another text of the letter."""
    shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
    with (folder / "en.md").open("a") as text:
        text.write(f"\n{words}\n")
    await publish(town.site.settings, town.site.database, folder)


@pytest.mark.parametrize("slip", ["", NO_NAME], ids=["no-error", "and-an-error"])
async def test_a_text_that_changed_meanwhile_is_shown_and_agreed_to_anew(
    hamlet: Town, meet: Meet, tmp_path: Path, slip: str
) -> None:
    visitor = await meet(hamlet)
    page = visitor.page
    await visitor.open()
    await visitor.fill(email="vera@letters.example", name=slip or "Vera Novak")
    await republish(hamlet, tmp_path / "new", "And a sentence that nobody had read.")
    while slip and "nobody had read" not in (await hamlet.site.client.get(f"/en/{SLUG}")).text:
        await asyncio.sleep(0.05)  # before it knows the new text the web says what else is wrong; the rest comes later
    await send(visitor)
    assert await focused(page) == "problems"
    assert "has changed" in await visitor.text(".problems")
    assert "nobody had read" in await visitor.text(".letter")
    assert await page.input_value("#f-email") == "vera@letters.example"
    await expect(page.locator("#f-consent")).not_to_be_checked()
    await page.click(".keep [lang=ru]")
    await page.wait_for_url("**/ru/**")
    if slip:
        assert list(await problems(page)) == ["name", "consent"]
    await page.fill("#f-name", "Vera Novak")
    await page.check("#f-consent")
    await visitor.send()


async def test_a_letter_closed_meanwhile(hamlet: Town, meet: Meet) -> None:
    visitor = await meet(hamlet)
    await visitor.open()
    await visitor.fill(email="vera@letters.example")
    async with hamlet.site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    await send(visitor)
    await expect(visitor.page.locator("#sign-form")).to_have_count(0)
    assert await focused(visitor.page) == "problems"
    assert "was closed" in await visitor.text(".problems")
    await visitor.open()
    await expect(visitor.page.locator("#sign-form")).to_have_count(0)
    await visitor.open("/find")
    await expect(visitor.page.locator("#find-form")).to_be_visible()
