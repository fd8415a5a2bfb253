"""axe-core finds nothing on any page of the desk, in either language: the table of routes says which pages there are.

A new page needs a line in ``RECIPES``: how to come to it, as it looks when there is something on it. What is no page (a
file to take along, an answer to a script) stands in ``NO_PAGE``.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from playwright.async_api import Browser

from petition.addressees import answers
from petition.addressees.answers import AnswerLink, TypedAnswer
from petition.core.audit_log import Actor
from petition.core.ids import AddresseeId, AnswerId, BulkActId
from petition.moderation import bulk_acts
from petition.moderation.model import Action, Filter
from petition.organizers import sign_in_links
from petition.signatures.model import Reason
from petition.web.desk.routes import DESK as TABLE
from tests import rows
from tests.addressees.records import addressee_ids, record
from tests.addresses import add_audit
from tests.browser.desk import Seat, seat
from tests.browser.hardships import hardships
from tests.browser.visitor import DESK, HEIGHT, PHONE, Town
from tests.html_checker import Documents
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG

pytestmark = pytest.mark.browser

LONG = "Анна-Мария Константинопольская-" + "длинная" * 6


@dataclass(frozen=True)
class Furnished:
    """A letter with something on it, and the ids of what pages are about."""

    town: Town
    signatures: tuple[int, ...]
    campaigns: tuple[int, ...]
    addressees: tuple[int, ...] = ()


Recipe = Callable[[Seat, Furnished], Awaitable[list[str]]]  # paths below /organizer/, each a page to look at


def at(*paths: str) -> Recipe:
    """Return the recipe of pages that are there under fixed addresses; ``{slug}`` is the sample letter's."""

    async def find(_one: Seat, _where: Furnished) -> list[str]:
        return [path.replace("{slug}", SLUG) for path in paths]

    return find


async def a_link(one: Seat, where: Furnished) -> list[str]:
    who = await people.add(where.town.site, "by-link@letters.example")
    async with where.town.site.database.connection() as conn:
        return [f"enter/{await sign_in_links.link(conn, who.id)}", "enter/used"]


async def begun(one: Seat, _where: Furnished) -> list[str]:
    await one.open("security")
    await one.page.click("form[action$=begin] button")
    await one.page.wait_for_url("**/second/totp")
    return ["second/totp"]


async def waits(one: Seat, _where: Furnished) -> list[str]:
    """A letter on which something waits, and one that has only just been begun."""
    await one.open("letters/new")
    slug = f"another-{await one.page.get_attribute('html', 'lang')}"
    await one.page.fill("[name='title.en']", "Another letter")
    await one.page.fill("[name=slug]", slug)
    await one.page.click("main form button")
    await one.page.wait_for_url(f"**/{slug}/text")
    return [f"{SLUG}/", f"{slug}/", f"{slug}/publish", f"{slug}/text"]


async def an_update(one: Seat, _where: Furnished) -> list[str]:
    await one.open(f"{SLUG}/updates")
    await one.page.fill("#f-title_en", "They have answered")
    await one.page.fill("#f-text_en", "With a **yes**.")
    async with one.page.expect_navigation():
        await one.page.click("main button[value=publish]")
    return [one.page.url.partition("/organizer/")[2].partition("?")[0], f"{SLUG}/updates"]


async def addressees(_one: Seat, where: Furnished) -> list[str]:
    return [f"{SLUG}/delivery", *(f"{SLUG}/delivery/{number}" for number in where.addressees)]


async def an_update_as_mail(one: Seat, where: Furnished) -> list[str]:
    (page, _) = await an_update(one, where)
    return [f"{page}/mail"]


async def an_import(one: Seat, _where: Furnished) -> list[str]:
    """One whose columns are to be chosen; the states after that are looked at in ``test_in_and_out``."""
    await one.open(f"{SLUG}/import")
    content = "Имя;Город;Дата\nВера Новак;Уфа;05.03.2022\n".encode("cp1251")
    await one.page.set_input_files("#file", {"name": "Ответы.csv", "mimeType": "text/csv", "buffer": content})
    await one.page.click("form[enctype] button")
    await one.page.wait_for_selector("form.map", timeout=120_000)
    return [one.page.url.partition("/organizer/")[2].partition("?")[0], f"{SLUG}/import", f"{SLUG}/"]


async def audits(_one: Seat, where: Furnished) -> list[str]:
    await add_audit(where.town.site)
    return [f"{SLUG}/audits", f"{SLUG}/audits?done=announce"]


async def signatures(_one: Seat, where: Furnished) -> list[str]:
    return [f"{SLUG}/signatures/{each}" for each in where.signatures]


async def each_campaign(_one: Seat, where: Furnished) -> list[str]:
    return [f"{SLUG}/campaigns/{each}" for each in where.campaigns]


RECIPES: Mapping[str, Recipe] = {
    "/organizer/": at(""),
    "/organizer/enter": at("enter", "enter?sent=1"),
    "/organizer/enter/{token}": a_link,
    "/organizer/second": at("second?again=1"),
    "/organizer/second/totp": begun,
    "/organizer/security": at("security", "security?done=removed"),
    "/organizer/installation": at("installation", "installation?done=admin"),
    "/organizer/installation/switches": at("installation/switches"),
    "/organizer/letters/new": at("letters/new"),
    "/organizer/{slug}/": waits,
    "/organizer/{slug}/text": at("{slug}/text"),
    "/organizer/{slug}/preview": at("{slug}/preview"),
    "/organizer/{slug}/publish": at("{slug}/publish"),
    "/organizer/{slug}/state": at("{slug}/state"),
    "/organizer/{slug}/switches": at("{slug}/switches"),
    "/organizer/{slug}/updates": at("{slug}/updates"),
    "/organizer/{slug}/updates/{update}": an_update,
    "/organizer/{slug}/delivery": at("{slug}/delivery"),
    "/organizer/{slug}/delivery/{addressee}": addressees,
    "/organizer/{slug}/updates/{update}/mail": an_update_as_mail,
    "/organizer/{slug}/statistics": at("{slug}/statistics"),
    "/organizer/{slug}/partners": at("{slug}/partners"),
    "/organizer/{slug}/witnesses": at("{slug}/witnesses"),
    "/organizer/{slug}/employers": at("{slug}/employers"),
    "/organizer/{slug}/import": at("{slug}/import"),
    "/organizer/{slug}/import/{number}": an_import,
    "/organizer/{slug}/export": at("{slug}/export", "{slug}/export?state=held&country=FJ"),
    "/organizer/{slug}/addresses": at("{slug}/addresses"),
    "/organizer/{slug}/audits": audits,
    "/organizer/{slug}/members": at("{slug}/members"),
    "/organizer/{slug}/queue": at("{slug}/queue", "{slug}/queue?state=held&flag=any&country=FJ&q=nobody"),
    "/organizer/{slug}/signatures/{signature}": signatures,
    "/organizer/{slug}/campaigns": at("{slug}/campaigns"),
    "/organizer/{slug}/campaigns/{campaign}": each_campaign,
    "/organizer/{slug}/domains": at("{slug}/domains", "{slug}/domains?done=trust"),
    "/organizer/{slug}/access": at("{slug}/access"),
    "/organizer/installation/access": at("installation/access"),
    "/organizer/installation/relays": at("installation/relays"),
    "/organizer/installation/mails": at("mails"),
    "/organizer/installation/mails/{mail}": at("mails/confirm", "mails/find_signed"),
    "/organizer/{slug}/log": at("{slug}/log"),
}
NO_PAGE = {
    "/organizer/letters/slug",  # a suggestion for a script
    "/organizer/{slug}/picture/{picture}",
    "/organizer/{slug}/log.csv",
    "/organizer/{slug}/delivery/file/{file}",
    "/organizer/{slug}/delivery/names.csv",
    "/organizer/{slug}/delivery/package.pdf",
    "/organizer/{slug}/delivery/sheet.pdf",
    "/organizer/{slug}/statistics/{what}.csv",
    "/organizer/{slug}/import/{number}/problems.csv",
}
NOT_ENTERED = {"/organizer/enter", "/organizer/enter/{token}"}  # whoever has entered is led on

PAGES = [each.path for each in TABLE if each.method == "GET" and each.path not in NO_PAGE]


def test_every_page_has_a_recipe() -> None:
    missing = sorted(set(PAGES) - RECIPES.keys())
    assert not missing, (
        f"nobody has looked at {', '.join(missing)} with axe: add a line to RECIPES in {__name__}, like "
        f'"/organizer/{{slug}}/queue": at("{{slug}}/queue"), or the path to NO_PAGE if it is no page'
    )
    assert RECIPES.keys() <= set(PAGES), "a recipe for a page that is not there any more"


@pytest.fixture(scope="module")
async def furnished(town: Town) -> Furnished:
    """Give a letter with people, organizations that wait, reports, acts and campaigns in several states."""
    async with town.site.database.connection() as conn:
        bench = Bench(town.site.database, await rows.letter(conn))
    await bench.crowd(60, country="FJ")
    (hidden,) = await bench.sign("Fuck You", visibility="organizers")
    (shown,) = await bench.sign(LONG, city="Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", country="GB")
    held = await bench.sign_for("North Pier", "Anna Berg", website="https://northpier.example")
    approved = await bench.sign_for(
        "Third Line", organization_ru="Третья линия", website="https://third.example", visibility="public"
    )
    await bench.decide(Action.APPROVE, approved)
    await bench.remove(shown, reason=Reason.DUPLICATE)
    campaigns = tuple([await campaign(bench, each) for each in STEPS])
    return Furnished(town, (hidden, shown, held, approved), campaigns, await hear(town, bench))


async def hear(town: Town, bench: Bench) -> tuple[int, ...]:
    """Have one addressee silent, another with an answer that waits and one that is out; return the ids of all."""
    database, now = town.site.database, datetime.now(UTC)
    await record(database, "Meridian Networks", "delivered", now - timedelta(days=9))
    await record(
        database, "Halden Cloud", "answered", now, summary={"en": "Soon.", "ru": "Скоро."}, url="https://a.example"
    )
    ids = await addressee_ids(database)
    number = AddresseeId(ids["Halden Cloud"])
    link = AnswerLink(bench.letter.id, number, {}, has_objected=False, mailed=False)
    for text in ("We will renew them.\n\nAll of them.", "Never mind."):
        async with database.transaction() as conn:
            answer = TypedAnswer("Nora Lind", "Spokeswoman", text, "https://halden.example/statement")
            await answers.receive(conn, bench.letter.keys, link, answer, None, "en")
    async with database.transaction() as conn:
        await answers.decline(conn, Actor(None, bench.letter.id), number, AnswerId(2))
        await conn.execute("UPDATE addressee SET link_until = now() + interval '1 day' WHERE id = $1", number)
        await conn.execute("UPDATE addressee SET objected_at = now() WHERE id = $1", ids["Orsa Telecom"])
    return tuple(ids.values())


STEPS: tuple[tuple[str, ...], ...] = ((), ("start", "pause"), ("start", "cancel"), ("start",))


async def campaign(bench: Bench, steps: tuple[str, ...]) -> BulkActId:
    """Make a campaign about nobody, and take it through these steps."""
    by = Actor(None, bench.letter.id)
    async with bench.database.transaction() as conn:
        made = await bulk_acts.create(conn, by, Action.REMOVE, Filter(country="FJ" if not steps else "TO"))
    for step in steps:
        async with bench.database.transaction() as conn:
            await bulk_acts.advance(conn, by, made, step, Reason.FAKE)
    return made


Scheme = Literal["light", "dark"]
# Both languages, both widths, both schemes, each once: colours do not depend on the language. The pages where one comes
# in are looked at in all combinations in ``test_desk_entry``.
LOOKS: list[tuple[str, int, Scheme]] = [("ru", PHONE, "light"), ("en", DESK, "dark")]


@pytest.mark.parametrize(("lang", "width", "scheme"), LOOKS)
async def test_axe_finds_nothing(
    chromium: Browser, furnished: Furnished, lang: str, width: int, scheme: Scheme
) -> None:
    found: dict[str, list[str]] = {}
    look = {"width": width, "color_scheme": scheme, "locale": lang}
    async with (
        seat(chromium, furnished.town, **look) as stranger,  # type: ignore[arg-type]
        seat(chromium, furnished.town, **look) as owner,  # type: ignore[arg-type]
    ):
        who = f"{lang}-{width}@desk.example"
        await owner.sit(who, "owner", name=LONG, lang=lang, admin=True)
        documents = Documents()
        documents.watch(owner.context)
        documents.watch(stranger.context)
        for path in PAGES:
            one = stranger if path in NOT_ENTERED else owner
            for place in await RECIPES[path](one, furnished):
                await one.open(place)
                assert await one.page.get_attribute("html", "lang") == lang, place
                assert place.partition("?")[0] in one.page.url, f"{place} led to {one.page.url}"
                name = place.split("/")[-1] if path in NOT_ENTERED else place
                found[name] = [*await one.barriers(), *await hardships(one.page)]
                await one.page.set_viewport_size({"width": width, "height": HEIGHT})
                await one.page.emulate_media(color_scheme=scheme)
        found["documents"] = await documents.problems()
    barriers = [f"{place}: {barrier}" for place, barriers in found.items() for barrier in barriers]
    assert not barriers, "\n".join(barriers)


async def test_the_current_page_is_named_on_a_phone(chromium: Browser, furnished: Furnished) -> None:
    async with seat(chromium, furnished.town, width=PHONE) as one:
        await one.sit("tabs@desk.example", "owner", name="Vera")
        for path, name in (("", "Today"), ("text", "Text"), ("import", "Import"), ("log", "Log")):
            await one.open(f"{SLUG}/{path}")
            current = one.page.locator("nav [aria-current=page], nav.fold summary").locator("visible=true").last
            assert (await current.inner_text()).startswith(name)
            box = await current.bounding_box()
            assert box is not None
            assert 0 < box["x"] < PHONE - box["width"], path


async def test_nor_on_pages_that_say_what_is_wrong(chromium: Browser, furnished: Furnished) -> None:
    async with seat(chromium, furnished.town, width=PHONE, java_script_enabled=True) as one:
        await one.sit("wrong@desk.example", "owner", name="Vera")
        await one.open(f"{SLUG}/queue")
        await one.page.keyboard.press("j")
        await one.page.keyboard.press("r")
        assert "Remove, because:" in await one.text()
        assert await one.barriers() == []
        await one.page.keyboard.press("?")
        assert await one.barriers() == []
        await one.open(f"{SLUG}/signatures/{furnished.signatures[2]}")
        await one.page.evaluate("document.querySelector('[name=message]').form.noValidate = true")
        await one.page.click("form:has([name=message]) button:not([type=button])")
        assert "Write something." in await one.text()
        assert await one.barriers() == []
