"""Writing in the browser: saved while one types, two at the same letter, the preview, keys, and nobody shut out."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, FilePayload, expect

from tests.browser.desk import Seat, seat
from tests.browser.visitor import LOOKS, Town
from tests.drafts import desk
from tests.organizers import people
from tests.running import SLUG

pytestmark = pytest.mark.browser

TEXT = f"{SLUG}/text"
TITLE_EN, TITLE_RU = '[id="f-title.en"]', '[id="f-title.ru"]'
STATUS = "[data-status]"


async def come(one: Seat, email: str, name: str = "Vera Novak", lang: str = "en", path: str = TEXT) -> None:
    await one.sit(email, "editor", name=name, lang=lang)
    await one.open(path)


async def saved(one: Seat, by: str = "Vera Novak") -> None:
    """Wait until the page says that all is saved."""
    await expect(one.page.locator(STATUS)).to_contain_text(f"by {by}", timeout=120_000)


async def typed(one: Seat, selector: str, text: str) -> None:
    """Type as a hand would; return when it has been sent and answered."""
    async with one.page.expect_response(lambda answer: answer.request.method == "POST" and "/text" in answer.url):
        await one.page.fill(selector, text)


async def test_it_is_saved_while_one_types_and_shown_in_the_preview(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera:
        await come(vera, "vera@letters.example")
        frame = vera.page.frame_locator("iframe")
        await expect(frame.locator("h1")).to_have_text("Keep the channels open for people who have no other")
        await vera.page.fill(TITLE_EN, "Typed by hand")
        await expect(vera.page.locator(STATUS)).to_have_text("Not saved yet")
        await saved(vera)
        await expect(frame.locator("h1")).to_have_text("Typed by hand")
        await vera.page.click("[data-preview][lang=ru]")
        await expect(frame.locator("h1")).to_contain_text("Не отключайте")
        assert await frame.locator("#f-name").evaluate("field => field.closest('[inert]') !== null")
        await vera.open(TEXT)
        assert await vera.page.input_value(TITLE_EN) == "Typed by hand"


async def test_without_scripts_a_button_saves(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet, java_script_enabled=False) as vera:
        await come(vera, "vera@letters.example")
        await vera.page.fill(TITLE_EN, "By a button")
        await vera.page.fill("#f-addressees-3-en", "Fourth Network")
        await vera.page.press(TITLE_EN, "Enter")
        await vera.page.wait_for_url("**/text?saved=1")
        assert await vera.page.input_value(TITLE_EN) == "By a button"
        await vera.page.click("[aria-label='Move row 4 up']")
        await vera.page.wait_for_url("**/text?saved=1#addressees")
        assert await vera.page.input_value("#f-addressees-2-en") == "Fourth Network"
        await vera.page.click("[aria-label='Remove row 3']")
        await vera.page.wait_for_load_state()
        assert await vera.page.input_value("#f-addressees-2-en") == "Orsa Telecom"
        picture = FilePayload(name="a.png", mimeType="image/png", buffer=desk.picture())
        await vera.page.set_input_files('[id="f-file.en"]', picture)
        await vera.page.fill('[id="f-alt.en"]', "The sea")
        await vera.page.click(".bar button")
        await vera.page.wait_for_load_state()
        assert await vera.page.get_attribute("img.thumb", "alt") == "The sea"


async def test_two_browsers_in_different_fields(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera, seat(chromium, hamlet) as timur:
        await come(vera, "vera@letters.example")
        await come(timur, "timur@letters.example", "Тимур")
        await asyncio.gather(typed(vera, TITLE_EN, "Vera’s title"), typed(timur, TITLE_RU, "Название Тимура"))
        await typed(vera, "#f-goal", "6000")
        assert await vera.page.input_value(TITLE_RU) == "Название Тимура"
        await typed(timur, "#f-initiators-1-en", "Timur’s society")
        assert await timur.page.input_value(TITLE_EN) == "Vera’s title"
        await typed(vera, "#f-goal", "7000")
        await expect(vera.page.locator("#f-initiators-1-en")).to_have_value("Timur’s society")
        assert await vera.page.locator(".conflict").count() == 0
        await vera.open(TEXT)
        assert await vera.page.input_value("#f-goal") == "7000"


async def test_two_browsers_in_one_field_see_both(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera, seat(chromium, hamlet) as timur:
        await come(vera, "vera@letters.example")
        await come(timur, "timur@letters.example", "Тимур")
        await typed(timur, TITLE_EN, "Timur’s <title>")
        await typed(vera, TITLE_EN, "Vera’s title")
        box = vera.page.locator("[data-conflict='title.en']")
        await expect(box).to_contain_text("Тимур has changed this in the meantime")
        await expect(box).to_contain_text("Timur’s <title>")
        assert await vera.page.input_value(TITLE_EN) == "Vera’s title"
        await typed(vera, "#f-goal", "7000")  # everything else goes on being saved
        await expect(box).to_be_visible()
        await box.locator("[value=theirs]").click()
        await expect(box).to_have_count(0)
        await expect(vera.page.locator(TITLE_EN)).to_have_value("Timur’s <title>")
        await typed(timur, TITLE_EN, "Timur’s second")
        await typed(vera, TITLE_EN, "Vera’s second")
        await box.locator("[value=mine]").click()  # the choice takes the box away, which check() would look at
        await expect(box).to_have_count(0)
        await saved(vera)
        await timur.open(TEXT)
        assert await timur.page.input_value(TITLE_EN) == "Vera’s second"
        assert await timur.page.input_value("#f-goal") == "7000"


async def test_what_is_typed_while_it_is_being_saved_stays(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera, seat(chromium, hamlet) as timur:
        await come(vera, "vera@letters.example")
        await come(timur, "timur@letters.example", "Тимур")
        await typed(timur, TITLE_RU, "Название Тимура")
        gate = asyncio.Event()

        async def slowly(route: Any) -> None:
            await gate.wait()
            await route.continue_()

        await vera.page.route("**/text", slowly)
        await vera.page.fill("#f-goal", "6000")
        async with vera.page.expect_request(lambda request: request.method == "POST"):
            await vera.page.keyboard.press("Control+s")
        await vera.page.fill(TITLE_RU, "Название Веры")
        gate.set()
        box = vera.page.locator("[data-conflict='title.ru']")
        await expect(box).to_contain_text("Название Тимура", timeout=120_000)
        assert await vera.page.input_value(TITLE_RU) == "Название Веры"


async def test_a_line_that_breaks_loses_nothing(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera:
        await come(vera, "vera@letters.example")
        await vera.page.route("**/text", lambda route: route.abort())
        await vera.page.fill(TITLE_EN, "Typed on a train")
        await expect(vera.page.locator(STATUS)).to_contain_text("Could not save", timeout=120_000)
        await vera.page.unroute("**/text")
        await saved(vera)
        vera.complaints = [each for each in vera.complaints if "ERR_FAILED" not in each]
        await vera.open(TEXT)
        assert await vera.page.input_value(TITLE_EN) == "Typed on a train"


async def test_rows_by_keyboard(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera:
        await come(vera, "vera@letters.example")
        await vera.page.focus("button[value='add:addressees']")
        await vera.page.keyboard.press("Enter")
        assert await vera.page.evaluate("document.activeElement.id") == "f-addressees-3-en"
        await vera.page.keyboard.type("Fourth Network")
        await vera.page.focus("[value='up:addressees:3']")
        await vera.page.keyboard.press("Enter")
        assert await vera.page.evaluate("document.activeElement.value") == "up:addressees:2"
        await saved(vera)
        await vera.page.focus("[value='drop:addressees:0']")
        await vera.page.keyboard.press("Enter")
        await vera.page.keyboard.press("Control+s")
        await saved(vera)
        await expect(vera.page.locator("[data-rows=addressees] > li")).to_have_count(4)
        await vera.open(TEXT)
        names = [await vera.page.input_value(f"#f-addressees-{place}-en") for place in range(4)]
        assert names == ["Halden Cloud", "Fourth Network", "Orsa Telecom", ""]


async def test_an_address_is_suggested_and_refused_while_typing(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as vera:
        await vera.sit("new@letters.example")
        await vera.open()
        await vera.page.click("text=New letter")
        await vera.page.fill("[name='title.ru']", "Оставьте каналы открытыми")
        await expect(vera.page.locator("[name=slug]")).to_have_value("ostavte-kanaly-otkrytymi")
        await vera.page.fill("[name=slug]", SLUG)
        await expect(vera.page.locator("#e-slug")).to_have_text("This address is taken. Choose another one.")
        assert await vera.page.get_attribute("[name=slug]", "aria-invalid") == "true"
        await vera.page.fill("[name=slug]", "my-own-address")
        await expect(vera.page.locator("#e-slug")).to_have_text("")
        await vera.page.fill("[name='title.en']", "Another title")
        await vera.page.click("text=Create the letter")
        await vera.page.wait_for_url("**/organizer/my-own-address/text")


async def test_from_nothing_to_a_letter_that_can_be_signed(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera:
        await come(vera, "vera@letters.example", path="letters/new")
        await vera.page.fill("[name='title.en']", "A whole letter")
        await expect(vera.page.locator("[name=slug]")).to_have_value("a-whole-letter")
        await vera.page.click("text=Create the letter")
        await vera.page.wait_for_url("**/a-whole-letter/text")
        await vera.page.fill('[id="f-text.en"]', "Please **listen**.")
        await vera.page.fill("#f-addressees-0-en", "You")
        await vera.page.fill("#f-initiators-0-en", "We")
        await vera.page.keyboard.press("Control+s")
        await expect(vera.page.frame_locator("iframe").locator(".text strong")).to_have_text("listen")
        await vera.page.click("text=Create a link for 30 days")
        secret = await vera.page.get_attribute("a[rel=noreferrer]", "href")
        async with seat(chromium, hamlet) as outside:
            await outside.page.goto(secret or "")
            await expect(outside.page.locator("h1")).to_have_text("A whole letter")
            assert await outside.barriers() == []
        await vera.page.click("text=Publish…")
        await vera.page.click("text=Publish and open for signing")
        await expect(vera.page.locator(".notice.good")).to_contain_text("Published")
        await desk.public(hamlet.site, slug="a-whole-letter")
        await vera.page.click("main >> text=Open the public page")
        await expect(vera.page.locator("#sign-form")).to_be_visible()


@pytest.mark.parametrize("lang", LOOKS)
async def test_nobody_is_shut_out(chromium: Browser, hamlet: Town, lang: str) -> None:
    found: dict[str, Any] = {}
    async with (
        people.at_desk(hamlet.site, "editor", email="timur@letters.example", name="Тимур") as timur,
        seat(chromium, hamlet, looks=LOOKS[lang], locale=lang) as vera,
    ):
        await vera.sit("vera@letters.example", "editor", name="Vera", lang=lang)
        for path in ("letters/new", TEXT, f"{SLUG}/publish", f"{SLUG}/preview?lang={lang}"):
            await vera.open(path)
            assert await vera.page.get_attribute("html", "lang") == lang
            found[path] = await vera.barriers()
        await vera.open("letters/new")
        await vera.page.fill("[name=slug]", "ab")
        await vera.page.click("main form button")
        found["new wrong"] = await vera.barriers()
        await vera.open(TEXT)
        await desk.save(timur, await desk.opened(timur) | {"alt.en": "x"}, files={"file.en": ("a", desk.picture(), "")})
        await desk.change(timur, title_en="Theirs", text_ru="Другое\n\nсовсем", goal="6000", initiators_0_en="Theirs")
        await vera.page.fill(TITLE_EN, "Mine")
        await vera.page.fill('[id="f-text.ru"]', "Моё")
        await vera.page.fill("#f-initiators-0-en", "Mine")
        await typed(vera, "#f-next_goals", "x")
        await expect(vera.page.locator(".conflict").first).to_be_visible()
        found["conflicts"] = await vera.barriers()
        await vera.open(f"{SLUG}/publish")
        found["publish"] = await vera.barriers()
    assert {page: barriers for page, barriers in found.items() if barriers} == {}
