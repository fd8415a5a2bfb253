"""Bringing a list and taking one out in a real browser, with scripts and without; nobody is shut out of the pages."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests import rows
from tests.browser.desk import Seat, seat
from tests.browser.visitor import LOOKS, Town
from tests.formats.books import book
from tests.running import SLUG

pytestmark = pytest.mark.browser

TABLE = [
    ["Отметка времени", "Имя и фамилия", "Адрес электронной почты", "Город", "Страна"],
    *(["05.03.2022 10:00:00", f"Вера Новак {n}", f"v{n}@letters.example", "Уфа", "Россия"] for n in range(60)),
    ["05.03.2022", "Анна Константинопольская-" + "длинная" * 12, "", "Нижний Новгород", "Германия"],
]


async def upload(one: Seat, content: bytes, name: str) -> None:
    await one.open(f"{SLUG}/import")
    await one.page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": content})
    await one.page.click("form[enctype] button")
    await one.page.wait_for_selector("form.map, .notice.bad", timeout=120_000)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_the_whole_way(chromium: Browser, hamlet: Town, scripts: bool) -> None:
    async with seat(chromium, hamlet, java_script_enabled=scripts) as one:
        await one.sit("carrier@letters.example", "owner", name="Vera Novak")
        await upload(one, book(TABLE), "Ответы.xlsx")
        assert await one.page.input_value("#c1") == "name"
        assert await one.page.input_value("#c0") == "signed_at"
        await one.page.click("text=Check without changing anything")
        await one.page.wait_for_selector("text=What the import would do", timeout=120_000)
        assert "61 people" in await one.text()
        await one.page.click("button[value=start]")
        await one.page.wait_for_selector("text=Result", timeout=120_000)
        await one.page.click("text=See the imported signatures")
        assert "Вера Новак 7" in await one.text("table")
        async with hamlet.site.database.connection() as conn:
            assert (await rows.check_count(conn, await rows.letter(conn)))["people"] == 61
        await one.open(f"{SLUG}/import/1")
        await one.page.click("text=Undo the whole import")
        await one.page.wait_for_selector("text=Restore", timeout=120_000)
        async with hamlet.site.database.connection() as conn:
            assert (await rows.check_count(conn, await rows.letter(conn)))["people"] == 0
        await one.page.click("button[value=redo]")
        await one.page.wait_for_selector("text=Undo the whole import", timeout=120_000)
        async with hamlet.site.database.connection() as conn:
            assert (await rows.check_count(conn, await rows.letter(conn)))["people"] == 61
        await one.open(f"{SLUG}/export")
        await one.page.check("[name=form][value=csv]")
        async with one.page.expect_download() as downloading:
            await one.page.click("text=Download")
        file = await (await downloading.value).path()
        assert "Вера Новак 7" in Path(file).read_text(encoding="utf-8-sig")
        assert (await downloading.value).suggested_filename.endswith(".csv")


async def test_a_tally_reaches_readers(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet, java_script_enabled=False) as one:
        await one.sit("carrier@letters.example", "editor")
        await one.open(f"{SLUG}/import")
        await one.page.fill("#people-add", "3400")
        await one.page.fill("#counted_on-add", "2022-03-05")
        await one.page.fill("#source_en-add", "signed on paper, counted by the city library")
        await one.page.click("text=Add the number")
        assert "3,400 people" in await one.text("section[aria-labelledby=tallies]")
        await hamlet.site.page_when(f"/en/{SLUG}", lambda page: "counted by the city library" in page)
        await one.page.goto(f"{hamlet.base}/en/{SLUG}")
        assert "signed on paper, counted by the city library" in await one.text(".ledger")


@pytest.mark.parametrize("lang", LOOKS)
async def test_nobody_is_shut_out(chromium: Browser, town: Town, lang: str) -> None:
    found: dict[str, list[str]] = {}
    async with seat(chromium, town, looks=LOOKS[lang], locale=lang) as one:
        await one.sit(f"{lang}@letters.example", "owner", name="Анна", lang=lang)
        for path in ("import", "export", "export?state=held&country=FJ", "addresses"):
            await one.open(f"{SLUG}/{path}")
            found[path] = await one.barriers()
        await upload(one, "Имя;Дата;Город\n;;\nВера;03/05/2022;Уфа\n;03/05/2022;Уфа\n".encode("cp1251"), "a.csv")
        found["mapping"] = await one.barriers()
        await one.page.click("button[value=check]")
        await one.page.wait_for_selector("#wrong")
        found["mapping wrong"] = await one.barriers()
        await one.page.select_option("#dates", "dmy")
        await one.page.click("button[value=check]")
        await one.page.wait_for_selector("form.trial button[value=back]", timeout=120_000)
        found["checked"] = await one.barriers()
        await one.page.click("form.trial button[value=cancel]")
        found["cancelled"] = await one.barriers()
        await upload(one, b"PK\x03\x04 nothing", "b.xlsx")
        found["failed"] = await one.barriers()
        await one.open(f"{SLUG}/import")
        await one.page.click("button[value=add]")
        found["import, wrong tally"] = await one.barriers()
        await one.open(f"{SLUG}/addresses")
        await one.page.fill("#recipient", "nothing")
        await one.page.click("button[value=register]")
        found["addresses wrong"] = await one.barriers()
    assert {page: barriers for page, barriers in found.items() if barriers} == {}
