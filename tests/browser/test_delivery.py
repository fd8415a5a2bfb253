"""A letter is delivered, one addressee answers by its link, the other is silent: the whole story, in both languages."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, expect

from tests.browser.desk import seat
from tests.browser.visitor import DESK, PHONE, Town
from tests.running import SLUG

pytestmark = pytest.mark.browser

PDF = b"%PDF-1.7\n%%EOF\n"


@dataclass(frozen=True)
class Words:
    """What the pages say in one language."""

    lang: str
    width: int
    silent: str
    changed: str
    subject: str
    waits: str
    objected: str


STORIES = [
    Words(
        "en",
        DESK,
        "silent for 61 days",
        "changed course",
        "An open letter is addressed to you",
        "An answer waits for you",
        "You get no more mail from us",
    ),
    Words(
        "ru",
        PHONE,
        "молчит 61 день",
        "решение изменено",
        "К вам обращено открытое письмо",
        "Вас ждёт ответ",
        "Больше мы вам не\u00a0пишем",
    ),
]


@pytest.mark.parametrize("words", STORIES, ids=lambda words: words.lang)
async def test_from_delivery_to_what_readers_see(hamlet: Town, chromium: Browser, words: Words) -> None:
    lang, site = words.lang, hamlet.site
    press = f"press-{lang}@halden.example"
    async with seat(chromium, hamlet, width=words.width, locale=lang) as vera:
        await vera.sit(f"vera-{lang}@desk.example", "editor", name="Vera", lang=lang)
        page = vera.page
        # By hand, two months ago, with a receipt.
        await vera.open(f"{SLUG}/delivery")
        await page.click("table.addressees th a >> nth=0")
        day = datetime.now(UTC) - timedelta(days=61)
        await page.fill("#f-deliver-on", f"{day:%Y-%m-%d}")
        await page.set_input_files("#f-deliver-file", {"name": "r.pdf", "mimeType": "application/pdf", "buffer": PDF})
        await page.fill("#f-deliver-note", "Taken by the secretary")
        await page.click("form:has(#f-deliver-on) .acts button")
        await expect(page.locator(".notice.good")).to_be_visible()
        assert words.silent in await vera.text()
        assert await vera.barriers() == []
        # By mail, with an address that no one sees again.
        await vera.open(f"{SLUG}/delivery")
        await page.click("table.addressees th a >> nth=1")
        await page.select_option("#f-contact-way", "mail")
        await page.select_option("#f-contact-lang", lang)
        await page.fill("#f-contact-email", press)
        await page.click("button[value=contact]")
        await page.click("button[value=mail]")
        mail = await hamlet.mail_to(press)
        assert mail.subject == words.subject
        link = re.search(rf"http://\S+/{lang}/{SLUG}/answer/[\w.~-]+", mail.body("plain") or "")
        assert link is not None

        # The addressee answers without an account, and asks for no more mail.
        visitor = await chromium.new_context(
            viewport={"width": PHONE, "height": 700}, java_script_enabled=False, extra_http_headers=site.new_network()
        )
        other = await visitor.new_page()
        await other.goto(link[0])
        await other.fill("#f-name", "Nora Lind")
        await other.fill("#f-text", "We will renew the certificates.")
        await other.set_input_files("#f-file", {"name": "a.pdf", "mimeType": "application/pdf", "buffer": PDF})
        await other.click("form[enctype] button")
        await other.click("section:has(#object) form button")
        assert words.objected in await other.inner_text("main")

        # The organizer looks at it, and publishes it in both languages; by the keyboard.
        await vera.open(f"{SLUG}/")
        await page.click("a[href$='#answers'] >> nth=0")
        assert words.waits in await vera.text()
        assert "Nora Lind" in await vera.text()
        assert await vera.barriers() == []
        await page.select_option("#f-publish-state", "changed_course")
        await page.fill("#f-publish-summary_en", "They renew the certificates.")
        await page.fill("#f-publish-summary_ru", "Они продлевают сертификаты.")
        await page.focus("button[value=publish]")
        await page.keyboard.press("Enter")
        await expect(page.locator(".notice.good")).to_be_visible()
        assert words.waits not in await vera.text()

        # Readers see both, without scripts, and can save the document.
        summary = {"en": "They renew the certificates.", "ru": "Они продлевают сертификаты."}[lang]
        await site.page_when(f"/{lang}/{SLUG}", lambda text: words.changed in text and words.silent in text)
        await other.goto(f"{hamlet.base}/{lang}/{SLUG}")
        ledger = await other.inner_text(".say")
        for text in (words.silent, words.changed, summary, "○", "●"):
            assert text in ledger
        await other.goto(f"{hamlet.base}/{lang}/{SLUG}/answers")
        assert summary in await other.inner_text("ol.when")
        async with other.expect_download() as download:
            await other.click("dl.say a")
        assert (await download.value).suggested_filename.endswith(".pdf")
        await visitor.close()

        # Every act can be taken back.
        await vera.open(f"{SLUG}/delivery")
        await page.click("table.addressees th a >> nth=1")
        while await page.locator("table.events tr:not(.undone) button[value=undo]").count():
            await page.locator("table.events tr:not(.undone) button[value=undo]").first.click()
            await expect(page.locator(".notice.good")).to_be_visible()
        await vera.open(f"{SLUG}/delivery")
        await page.click("table.addressees th a >> nth=0")
        await page.locator("table.events tr:not(.undone) button[value=undo]").first.click()
        await site.page_when(f"/{lang}/{SLUG}", lambda text: words.silent not in text and words.changed not in text)
