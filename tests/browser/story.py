"""Somebody at the desk who has only the words on the page: fields, links and buttons are found by their names."""

import asyncio
import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
from playwright.async_api import Locator, Page, expect

from petition.core import i18n, resources
from petition.demo.inbox import Mail
from petition.web.desk.navigation import JOBS
from tests import rows
from tests.browser.desk import Seat
from tests.browser.visitor import Town
from tests.commands import called
from tests.crowd import Crowd

LONG = 120_000  # ms: what the worker does on a busy machine
PEOPLE = 3_400


@dataclass
class Person:
    """One person's browser, and the language they read the site in."""

    seat: Seat
    lang: str
    _translated: Callable[[str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._translated = i18n.load(resources.folder("locales"))[self.lang].gettext

    def say(self, words: str) -> str:
        """Return the words on the page for those in the sources, as names are told: with plain spaces."""
        return " ".join(self._translated(words).split())

    @property
    def page(self) -> Page:
        """Return the tab of the browser that is open."""
        return self.seat.page

    def button(self, words: str, within: Locator | None = None) -> Locator:
        """Return a button by what is written on it; keys may be shown behind that."""
        return (within or self.page.locator("main")).get_by_role(
            "button", name=re.compile(rf"^{re.escape(self.say(words))}( \w)?$")
        )

    async def press(self, words: str, within: Locator | None = None) -> None:
        """Press a button."""
        await self.button(words, within).click()

    async def follow(self, words: str, within: Locator | None = None) -> None:
        """Follow a link."""
        link = (within or self.page.locator("main")).get_by_role("link", name=self.say(words), exact=True)
        await link.first.click()

    async def turn_to(self, words: str) -> None:
        """Go to another page of the letter: first to its job, then to the page."""
        job = next(job for job in JOBS if words in {tab.label for tab in job.tabs})
        nav = self.page.locator("nav.jobs")
        await nav.get_by_role("link", name=re.compile(rf"^{re.escape(self.say(job.label))}(?:\s|$)")).click()
        if len(job.tabs) > 1:
            nav = self.page.locator("nav.sub")
            await nav.get_by_role("link", name=self.say(words), exact=True).click()
        await expect(nav.locator("[aria-current=page]")).to_contain_text(self.say(words))

    async def type(self, label: str, text: str, within: Locator | None = None, *, more: str = "") -> None:
        """Type into the first field of that name."""
        fields = (within or self.page.locator("main")).get_by_role("textbox", name=self.say(label) + more)
        await fields.first.fill(text)

    async def choose(self, label: str, within: Locator | None = None) -> None:
        """Choose one of several, or tick a box."""
        await (within or self.page.locator("main")).get_by_label(self.say(label)).first.check()

    def part(self, heading: str) -> Locator:
        """Return the part of the page under a heading."""
        return self.page.get_by_role("region", name=self.say(heading), exact=True)

    async def sees(self, words: str) -> None:
        """Wait until the page says so."""
        await expect(self.page.locator("main")).to_contain_text(self.say(words), timeout=LONG)

    async def fact(self, name: str) -> str:
        """Return what stands beside a name in a list of facts."""
        return await self.seat.text(f'dt:text-is("{self.say(name)}") + dd')

    async def set_up_a_passkey(self) -> list[str]:
        """Make a passkey, see the recovery codes, and return them."""
        await self.seat.authenticator()
        await self.press("Set up a passkey")
        return await self._codes()

    async def set_up_codes(self) -> list[str]:
        """Type the key into an app, and what the app shows into the page; return the recovery codes."""
        await self.press("Set up codes")
        app = pyotp.TOTP((await self.seat.text("p.mono")).replace(" ", ""))
        await self.type("Code", app.now())
        await self.press("Done")
        return await self._codes()

    async def _codes(self) -> list[str]:
        await expect(self.page.locator("h1")).to_have_text(self.say("Recovery codes"))
        codes = (await self.seat.text("ol.codes")).split()
        await self.follow("I have saved the codes")
        return codes


async def command(town: Town, *arguments: str) -> str:
    """Call ``petition`` as on the operator's command line; return what it printed."""
    done = await asyncio.to_thread(called, *arguments, **town.site.environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def desk_link(mail: Mail) -> str:
    """Return the one-time link in a mail."""
    found = re.search(r"https?://\S+/organizer/enter/[\w-]+", mail.body("plain") or "")
    assert found
    return found[0]


async def counts_become(town: Town, slug: str, people: int, organizations: int = 0) -> None:
    """Wait until readers and programs are told these counts; they are those of the rows."""
    wanted = {"people": people, "organizations": organizations, "total": people + organizations}
    client = town.site.client
    async with asyncio.timeout(LONG / 1000):
        while not wanted.items() <= (await client.get(f"/api/v1/letters/{slug}/count")).json().items():
            await asyncio.sleep(0.2)
        while shown(await _page_of(town, slug)) != wanted:
            await asyncio.sleep(0.2)
    async with town.site.database.connection() as conn:
        counted = await rows.check_count(conn, await rows.letter(conn, slug))
    assert (counted["people"], counted["organizations"]) == (people, organizations)


async def _page_of(town: Town, slug: str) -> str:
    return (await town.site.client.get(f"/en/{slug}")).text


def shown(page: str) -> dict[str, int]:
    """Return the counts on a letter's public page."""
    found = re.findall(r'<(?:p|dd)[^>]* data-count="(total|people|organizations)">([\d,]+)<', page)
    return {name: int(number.replace(",", "")) for name, number in found}


def older_form(path: Path, known: str, *, russian: bool) -> Path:
    """Write what an older form has gathered: people, one who has signed here too, and a row without a name.

    In English as a Google Form exports it; in Russian as a spreadsheet program saves it, in Windows-1251.
    """
    first, names = datetime(2022, 3, 5, 9, tzinfo=UTC), Crowd(seed=22).names()
    form = "%d.%m.%Y %H:%M:%S" if russian else "%m/%d/%Y %H:%M:%S"
    header = (
        ["Отметка времени", "Адрес электронной почты", "Имя и фамилия", "Город", "Страна"]
        if russian
        else ["Timestamp", "Email Address", "Full name", "City", "Country"]
    )
    city, country = ("Уфа", "Россия") if russian else ("Tallinn", "Estonia")
    out = io.StringIO(newline="")
    write = csv.writer(out, delimiter=";" if russian else ",")
    write.writerow(header)
    for number in range(PEOPLE):
        at = (first + timedelta(minutes=17 * number)).strftime(form)
        write.writerow([at, f"older{number}@letters.example", next(names), city, country])
    write.writerow([first.strftime(form), known, "Vera Novak", city, country])
    write.writerow([first.strftime(form), "nobody@letters.example", "", city, country])
    path.write_bytes(out.getvalue().encode("cp1251" if russian else "utf-8", "replace"))
    return path
