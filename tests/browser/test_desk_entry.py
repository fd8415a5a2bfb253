"""Into the desk, with a passkey and with codes; and nobody is shut out of its pages."""

import re
from typing import Any

import pyotp
import pytest
from playwright.async_api import Browser

from petition.core.ids import OrganizerId
from tests.browser.desk import Seat, seat
from tests.browser.visitor import LOOKS, Town
from tests.html_checker import Documents
from tests.organizers import people
from tests.running import SLUG

pytestmark = pytest.mark.browser

PAGES = ("", "security", "second?again=1", "installation", f"{SLUG}/", f"{SLUG}/members", f"{SLUG}/nothing")
WITHOUT_SECOND = ("second",)
OPEN = ("enter", "enter?sent=1", "enter/used")


async def test_with_a_passkey(chromium: Browser, town: Town) -> None:
    email = "passkey@letters.example"
    who = await people.add(town.site, email)
    async with seat(chromium, town) as vera:
        await vera.authenticator()
        await vera.come_by_link(who.id)
        await vera.page.click("text=Set up a passkey")
        await vera.page.wait_for_selector("ol.codes")
        assert await vera.page.locator("ol.codes li").count() == 10
        await vera.page.click("text=I have saved the codes")
        assert "Your letters" in await vera.text()
        await vera.sign_out()
        await vera.page.wait_for_url("**/organizer/enter?lang=en")
        await vera.open()
        assert vera.page.url.endswith("/organizer/enter")
        await vera.come_by_mail(email)
        await vera.open(f"{SLUG}/")
        assert vera.page.url.endswith("/organizer/second")
        await vera.page.click("text=Use your passkey")
        await vera.page.wait_for_url("**/organizer/")
        assert "Your letters" in await vera.text()
        await vera.open("security")
        assert "Chromium, Linux" in await vera.text()


async def test_with_codes_from_an_app(chromium: Browser, town: Town) -> None:
    email = "codes@letters.example"
    who = await people.add(town.site, email)
    async with seat(chromium, town) as vera:
        await vera.come_by_link(who.id)
        await vera.page.click("text=Set up codes")
        assert await vera.page.locator("svg.qr").is_visible()
        app = pyotp.TOTP((await vera.text("p.mono")).replace(" ", ""))
        used = app.now()
        await vera.page.fill("[name=code]", used)
        await vera.page.click("main button")
        codes = re.findall(r"\b[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}\b", await vera.text("ol.codes"))
        assert len(set(codes)) == 10
        await vera.sign_out()
        await vera.come_by_mail(email)
        await type_code(vera, used)
        assert "has been used" in await vera.text(".problem")
        await forget_codes_used(town, who.id)  # as half a minute does
        await type_code(vera, app.now())
        await vera.page.wait_for_url("**/organizer/")
        await vera.sign_out()
        await vera.come_by_mail(email, 2)
        await type_code(vera, codes[3].upper().replace("-", " "))
        await vera.page.wait_for_url("**/organizer/")
        await vera.sign_out()
        await vera.come_by_mail(email, 3)
        await type_code(vera, codes[3])
        assert "has been used" in await vera.text(".problem")


async def forget_codes_used(town: Town, organizer_id: OrganizerId) -> None:
    async with town.site.database.connection() as conn:
        await conn.execute("UPDATE totp SET last_step = 0 WHERE organizer = $1", organizer_id)


async def type_code(vera: Seat, code: str) -> None:
    await vera.page.fill("[name=code]", code)
    await vera.page.click("text=Continue")


async def test_an_invited_colleague_comes_by_mail_without_scripts(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town, java_script_enabled=False) as vera:
        await vera.sit("inviting@letters.example", "owner", name="Vera Novak")
        await vera.open(f"{SLUG}/members")
        await vera.page.fill("#f-name", "Тимур")
        await vera.page.fill("#f-email", "timur@letters.example")
        await vera.page.check("[value=moderator][type=radio]")
        await vera.page.select_option("#f-lang", "ru")
        await vera.page.click("text=Send the invitation")
        assert "Тимур" in await vera.text("table[aria-labelledby=invited]")
        mail = await town.mail_to("timur@letters.example")
        assert "Ваша роль: модератор" in (mail.body("plain") or "")
        found = re.search(r"/organizer/enter/[\w-]+", mail.body("html") or "")
        assert found
    async with seat(chromium, town, java_script_enabled=False, locale="ru-RU") as timur:
        await timur.page.goto(town.base + found[0])
        await timur.page.click("text=Принять и войти")
        await timur.page.wait_for_url("**/organizer/second")
        await timur.page.click("text=Настроить коды")
        app = pyotp.TOTP((await timur.text("p.mono")).replace(" ", ""))
        await timur.page.fill("[name=code]", app.now())
        await timur.page.click("main button")
        await timur.page.click("text=Коды сохранены")
        assert "модератор" in await timur.text()
        await timur.open(f"{SLUG}/members")
        assert "Ваша роль этого не позволяет" in await timur.text()


@pytest.mark.parametrize("lang", LOOKS)
async def test_in_another_browser_the_link_asks_for_the_code(chromium: Browser, town: Town, lang: str) -> None:
    """Asked for at the desk, opened on a telephone; and not opened by a code that was made up."""
    email = f"elsewhere-{lang}@letters.example"
    await people.add(town.site, email, lang=lang)
    async with (
        seat(chromium, town, looks=LOOKS[lang], locale=lang) as vera,
        seat(chromium, town, looks=LOOKS[lang], locale=lang, java_script_enabled=False) as phone,
    ):
        await vera.open("enter")
        await vera.page.fill("[name=email]", email)
        await vera.page.click("main button")
        await vera.page.wait_for_url("**/enter?sent=1**")
        assert await vera.barriers() == []
        code = await vera.text(".short-code")
        match = re.search(r"/organizer/enter/[\w-]+", (await town.mail_to(email)).body("plain") or "")
        assert match
        await phone.page.goto(town.base + match[0])
        for typed in ("AAAAAA", code.lower()):
            await phone.page.fill("[name=code]", typed)
            await phone.page.click("main button")
        await phone.page.wait_for_url("**/organizer/second")
        await vera.page.goto(town.base + match[0])
        assert await vera.page.locator("[name=code]").count() == 0


@pytest.mark.parametrize("lang", LOOKS)
async def test_over_a_limit_the_browser_works_and_goes_on(chromium: Browser, town: Town, lang: str) -> None:
    statuses: list[int] = []
    async with seat(chromium, town, looks=LOOKS[lang], locale=lang) as vera:
        vera.page.on("response", lambda response: statuses.append(response.status))
        for _ in range(9):  # the limit drawn is 8 at most
            await vera.open("enter")
            await vera.page.fill("[name=email]", f"often-{lang}@letters.example")
            await vera.page.click("main button")
            await vera.page.wait_for_url("**/enter?sent=1**")
        assert 422 in statuses  # the page that asks for the work, which then sent itself
        assert await vera.page.locator(".short-code").is_visible()


@pytest.mark.parametrize("lang", LOOKS)
async def test_nobody_is_shut_out(chromium: Browser, town: Town, lang: str) -> None:
    found: dict[str, Any] = {}
    documents = Documents()
    async with seat(chromium, town, looks=LOOKS[lang], locale=lang) as one:
        documents.watch(one.context)
        for path in OPEN:
            await one.open(path)
            found[path] = await one.barriers()
        newcomer = await people.add(town.site, f"new-{lang}@letters.example", lang=lang)
        await one.come_by_link(newcomer.id)
        found["second"] = await one.barriers()
        await one.page.click("form[action$=begin] button")
        found["totp"] = await one.barriers()
        await one.page.fill("[name=code]", "000000")
        await one.page.click("main button")
        found["totp wrong"] = await one.barriers()
        name = "Анна-Мария Константинопольская-" + "длинная" * 6
        await one.sit(f"{lang}@letters.example", "owner", name=name, lang=lang, admin=True)
        for path in PAGES:
            await one.open(path)
            assert await one.page.get_attribute("html", "lang") == lang
            found[path] = await one.barriers()
        await one.open(f"{SLUG}/members")
        await one.page.fill("#f-email", "nobody")
        await one.page.evaluate("document.querySelector('form.form').noValidate = true")
        await one.page.click("form.form button")
        found["invite wrong"] = await one.barriers()
        found["documents"] = await documents.problems()
    assert {page: barriers for page, barriers in found.items() if barriers} == {}
