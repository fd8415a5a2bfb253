"""The story of the desk: from the one link that an operator printed to everything taken out, by the words on the pages.

A new organizer writes a letter, a colleague moderates it, people sign it; nobody types an address or a command after
the first link. With a passkey in English, with codes from an app in Russian; the colleague has the other one.
"""

import csv
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from petition.core.database import Database
from tests.browser.desk import seat
from tests.browser.story import LONG, PEOPLE, Person, command, counts_become, desk_link, older_form
from tests.browser.visitor import PHONE, Town
from tests.running import link_in

pytestmark = pytest.mark.browser

SLUG = "answer-those-who-write"
TITLES = {"en": "Answer those who write", "ru": "Отвечайте тем, кто пишет"}
VERA, TIMUR, ADA, PIER = (f"{name}@northpier.example" for name in ("vera", "timur", "ada", "anna"))
LOCALES = {"en": "en-US", "ru": "ru-RU"}


@dataclass
class Cast:
    """Who takes part, each in a browser of their own."""

    town: Town
    lang: str
    owner: Person
    colleague: Person
    reader: Person


@pytest.fixture
async def cast(chromium: Browser, hamlet: Town, lang: str) -> AsyncIterator[Cast]:
    async with AsyncExitStack() as stack:

        async def come(width: int) -> Person:
            one = await stack.enter_async_context(seat(chromium, hamlet, width=width, locale=LOCALES[lang]))
            one.context.set_default_timeout(LONG)
            return Person(one, lang)

        yield Cast(hamlet, lang, await come(1280), await come(1280), await come(PHONE))


@pytest.mark.parametrize("lang", ["en", "ru"], ids=["passkey-en", "codes-ru"])
async def test_the_story(cast: Cast, lang: str, tmp_path: Path) -> None:
    codes = await enters(cast.owner, await command(cast.town, "organizer", "add", VERA), passkey=lang == "en")
    assert len(set(codes)) == 10
    await says_who_she_is(cast.owner)
    await writes(cast.owner)
    await invites(cast.owner)
    await comes_by_mail(cast)
    await publishes(cast.owner)
    await counts_become(cast.town, SLUG, 0)
    await sign(cast)
    await counts_become(cast.town, SLUG, 1)
    await sign_for_an_organization(cast)
    await counts_become(cast.town, SLUG, 1)
    await approves(cast.colleague)
    await counts_become(cast.town, SLUG, 1, 1)
    await cast.town.signed("fake@letters.example", lang, slug=SLUG, name="Mickey Mouse")
    await counts_become(cast.town, SLUG, 2, 1)
    await removes_a_fake(cast.colleague)
    await counts_become(cast.town, SLUG, 1, 1)
    await brings_it_back(cast.colleague)
    await counts_become(cast.town, SLUG, 2, 1)
    await imports(cast.owner, older_form(tmp_path / "older.csv", ADA, russian=lang == "ru"))
    await counts_become(cast.town, SLUG, 2 + PEOPLE, 1)
    await reads_statistics(cast.owner)
    await takes_everything_out(cast.owner, cast.town.site.database)
    await counts_become(cast.town, SLUG, 2 + PEOPLE, 1)


async def enters(one: Person, link: str, *, passkey: bool) -> list[str]:
    """Open a printed or mailed link, and set a second factor up; return the recovery codes."""
    await one.page.goto(link)
    if await one.page.get_attribute("html", "lang") != one.lang:
        await one.page.locator(".top").get_by_role("link", name="Русский").click()
    await one.page.locator("main").get_by_role("button").click()
    await expect(one.page.locator("h1")).to_have_text(one.say("Set up a second factor"))
    return await (one.set_up_a_passkey() if passkey else one.set_up_codes())


async def says_who_she_is(vera: Person) -> None:
    await vera.sees("You have no letters yet. How to start:")
    assert await vera.seat.barriers() == []
    await vera.follow("Tell your colleagues your name")
    await vera.type("Your name, as your colleagues see it", "Vera Novak")
    await vera.press("Save", vera.page.locator("form.beside"))
    await vera.sees("Your name has been changed.")
    await vera.page.locator(".top").get_by_role("link", name=vera.say("Organizers’ desk")).click()


async def writes(vera: Person) -> None:
    """Write a letter in both languages; it is saved while it is typed, and shown as readers will see it."""
    names = {"en": "English", "ru": "Русский"}
    await vera.follow("Start a letter.")
    for code, title in TITLES.items():
        await vera.type("Title", title, more=f" ({names[code]})")
    await expect(vera.page.get_by_role("textbox", name=vera.say("Address"))).to_have_value(SLUG)
    await vera.press("Create the letter")
    await vera.page.wait_for_url(f"**/{SLUG}/text")
    texts = {"en": "People write to you.\n\nPlease **answer** them.", "ru": "Вам пишут.\n\nПожалуйста, **ответьте**."}
    for code, text in texts.items():
        await vera.type("Text", text, vera.part(names[code]))
    await vera.type("Name or title", "Halden Cloud", vera.part("Addressees"), more=" (English)")
    await vera.type("Name or title", "Open Channels Society", vera.part("Initiators"), more=" (English)")
    await vera.type("Name or title", "Общество открытых каналов", vera.part("Initiators"), more=" (Русский)")
    await vera.type("Goal", "5000", vera.part("Goal and closing date"))
    await expect(vera.page.locator("[data-status]")).to_contain_text("Vera Novak", timeout=LONG)
    frame = vera.page.frame_locator("iframe")
    for code, word in (("ru", "ответьте"), ("en", "answer")):
        await vera.follow(names[code], vera.part("Preview"))
        await expect(frame.locator("h1")).to_have_text(TITLES[code], timeout=LONG)
        await expect(frame.locator(".text strong")).to_have_text(word)
    await vera.turn_to("Today")
    await vera.sees("Publish the letter: so far no one can read or sign it")


async def invites(vera: Person) -> None:
    await vera.follow("Invite a colleague: you are working on this letter alone")
    await vera.type("Name, as colleagues will see it", "Тимур")
    await vera.type("E-mail", TIMUR)
    await vera.page.get_by_role("radio", name=vera.say("moderator")).check()
    await vera.page.get_by_label(vera.say("Language of the invitation")).select_option(vera.lang)
    await vera.press("Send the invitation")
    await vera.sees("The invitation has been sent. The link works for 7 days.")


async def comes_by_mail(cast: Cast) -> None:
    timur = cast.colleague
    await enters(timur, desk_link(await cast.town.mail_to(TIMUR)), passkey=cast.lang == "ru")
    await timur.page.locator("main").get_by_role("link", name=TITLES[cast.lang]).click()
    await timur.sees("Nothing waits.")


async def publishes(vera: Person) -> None:
    await vera.turn_to("Today")
    await vera.follow("Publish…")
    await vera.press("Publish and open for signing")
    await vera.sees("Published. Readers will see it within a second.")
    await vera.turn_to("Today")
    await vera.sees("Nothing waits.")


def beginning(words: str) -> re.Pattern[str]:
    """Match a choice by its first words; what it means for whom follows in its name."""
    return re.compile(f"^{re.escape(words)}")


async def sign(cast: Cast) -> None:
    """Sign on the public page, on a phone, and confirm by the mailed link."""
    ada = cast.reader
    await ada.page.goto(f"{cast.town.base}/{cast.lang}/{SLUG}")
    await expect(ada.page.locator("h1")).to_have_text(TITLES[cast.lang])
    await ada.type("Your name", "Ada Orlova")
    await ada.type("Your e-mail", ADA)
    await ada.page.get_by_role("radio", name=beginning(ada.say("Everyone"))).check()
    await ada.choose("I agree to this use of my data")
    await ada.press("Sign")
    await confirm(cast, ADA)


async def sign_for_an_organization(cast: Cast) -> None:
    anna = cast.reader
    await anna.page.goto(f"{cast.town.base}/{cast.lang}/{SLUG}")
    await anna.page.get_by_role("radio", name=anna.say("For an organization")).check()
    await anna.type("Name in English", "North Pier Network")
    await anna.type("Name in Russian", "Сеть «Северный причал»")
    await anna.type("Website", "https://northpier.example")
    await anna.type("Your name", "Anna Chiara")
    await anna.type("Your position", "Director")
    await anna.type("Your e-mail", PIER)
    await anna.page.get_by_role("radio", name=beginning(anna.say("Only the organizers"))).check()
    await anna.choose("I agree to this use of my data")
    await anna.press("Sign for the organization")
    await confirm(cast, PIER)


async def confirm(cast: Cast, mailbox: str) -> None:
    reader = cast.reader
    await expect(reader.page.locator("h1")).to_have_text(reader.say("Check your inbox"), timeout=LONG)
    await reader.page.goto(cast.town.base + link_in(await cast.town.mail_to(mailbox)))
    await reader.press("Confirm")
    await reader.page.wait_for_url("**/signed*")


async def approves(timur: Person) -> None:
    """Find in the queue what waits, see who it is, and let it in."""
    await timur.turn_to("Signatures")
    row = timur.page.get_by_role("row", name="North Pier Network")
    await expect(row).to_contain_text("North Pier Network")
    await timur.press("Approve", row)
    await timur.sees("Approved")
    await timur.turn_to("Today")
    await timur.sees("Nothing waits.")


async def removes_a_fake(timur: Person) -> None:
    await timur.turn_to("Signatures")
    await timur.page.locator("nav.waits-for").first.locator("a").last.click()  # all of them
    row = timur.page.get_by_role("row", name="Mickey Mouse")
    await timur.press("Remove…", row)
    await timur.press("made up", timur.page.locator("tr.asking"))
    await expect(row).to_contain_text(timur.say("made up"))
    await expect(timur.page.locator(".did")).to_be_visible()


async def brings_it_back(timur: Person) -> None:
    await timur.press("Undo", timur.page.locator(".did"))
    await expect(timur.page.get_by_role("row", name="Mickey Mouse")).not_to_contain_text(timur.say("made up"))


async def imports(vera: Person, file: Path) -> None:
    """Say which column is what, see what would happen, and have it happen."""
    await vera.turn_to("Import")
    await vera.page.get_by_label(vera.say("A list of signatories")).set_input_files(file)
    await vera.press("Upload")
    await vera.sees("Which row is the header, and what is in each column?")
    await vera.page.get_by_label(vera.say("Who sees the names of people")).select_option(label=vera.say("everyone"))
    await vera.press("Check without changing anything")
    await vera.sees("What the import would do")
    outcome = vera.page.locator("table.outcome")
    # With the one who has signed here: a trial does not show who that is.
    assert str(PEOPLE + 1) in digits(await outcome.get_by_role("row", name=vera.say("New in this list")).inner_text())
    assert digits(await outcome.get_by_role("row", name=vera.say("Imported before")).inner_text()) == "0"
    assert digits(await outcome.get_by_role("row", name=vera.say("Cannot be imported")).inner_text()) == "1"
    await vera.page.check("form.trial [name=skip]")
    await vera.page.click("form.trial button[value=start]")
    await vera.sees("Result")
    assert str(PEOPLE + 1) in digits(await vera.fact("From the list"))


async def reads_statistics(vera: Person) -> None:
    await vera.turn_to("Numbers")
    assert digits(await vera.fact("Signatures")) == str(PEOPLE + 3)
    assert digits(await vera.fact("Organizations")) == "1"
    await expect(vera.page.locator("svg.chart").first).to_be_visible()


async def takes_everything_out(vera: Person, database: Database) -> None:
    """Take the signatories along as a table, and count its rows."""
    await vera.turn_to("Export")
    await vera.page.check("[name=form][value=csv]")
    async with vera.page.expect_download(timeout=LONG) as downloading:
        await vera.press("Download")
    path = await (await downloading.value).path()
    with path.open(encoding="utf-8-sig", newline="") as file:
        taken = list(csv.DictReader(file))
    assert len(taken) == PEOPLE + 3
    async with database.connection() as conn:
        assert len(taken) == await conn.fetchval("SELECT count(*) FROM signature")
    names = {name for row in taken for name in row.values()}
    assert {"Ada Orlova", "Mickey Mouse", "North Pier Network", "Сеть «Северный причал»"} <= names


def digits(text: str) -> str:
    """Return the digits of a number, or of several, however their thousands are parted."""
    return "".join(filter(str.isdigit, text))
