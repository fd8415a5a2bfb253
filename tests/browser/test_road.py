"""The whole road in a real browser: on a phone, in both languages, with scripts and without."""

import re

import pytest
from playwright.async_api import expect

from petition.cli.approve import approve
from petition.core.encryption import Wrapper
from tests.browser.visitor import Meet, Town, Visitor
from tests.running import KEY, SLUG, code_in, link_in

pytestmark = pytest.mark.browser

EACH = [("en", True), ("en", False), ("ru", True), ("ru", False)]
NAMES = ["en-scripts", "en-no-scripts", "ru-scripts", "ru-no-scripts"]
MODES = pytest.mark.parametrize(("lang", "scripts"), EACH, ids=NAMES)
SOME = pytest.mark.parametrize(("lang", "scripts"), EACH[1:3], ids=NAMES[1:3])


@pytest.fixture
async def visitor(town: Town, meet: Meet, lang: str, scripts: bool) -> Visitor:
    return await meet(town, lang, scripts=scripts)


@pytest.fixture
def mailbox(request: pytest.FixtureRequest) -> str:
    """Give an address that no other test uses."""
    return f"{request.node.name.translate(str.maketrans('[]_', '---'))}@letters.example"


async def confirm(visitor: Visitor, mailbox: str, number: int = 1) -> str:
    """Open the mailed link and press its button; return the link's path."""
    link = link_in(await visitor.town.mail_to(mailbox, number))
    assert link.startswith(f"/{visitor.lang}/")
    await visitor.follow(link)
    await visitor.page.click("main form button")
    await visitor.page.wait_for_url("**/signed*")
    return link


async def inbox_text(visitor: Visitor, mailbox: str) -> str:
    """Return the text of "check your inbox", without its countdown; with scripts, once the address stands there."""
    if visitor.scripts:
        await expect(visitor.page.locator("[data-address]")).to_have_text(mailbox)
    return re.sub(r"(in|через) \d+ [sс]", "", await visitor.text())


async def act(visitor: Visitor, action: str) -> None:
    """Press the button of one act on one's own page."""
    await visitor.page.click(f"form:has([value={action}]) button")
    await visitor.page.wait_for_url(f"**done={action}")
    await expect(visitor.page.locator("main [role=status]")).to_be_visible()


@MODES
async def test_a_public_name_and_what_its_owner_may_do(visitor: Visitor, mailbox: str) -> None:
    page, before = visitor.page, await visitor.town.total()
    await visitor.sign(email=mailbox, name="Анна Ivanova-Ö", city="Tallinn", country="Estonia", affiliation="Физик")
    await visitor.follow(link_in(await visitor.town.mail_to(mailbox)))
    told = await visitor.text(".stored")
    assert all(word in told for word in ("Анна Ivanova-Ö", "Tallinn", "Физик")), told
    assert await visitor.town.total() == before  # looking is not confirming
    link = await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)
    await visitor.open("/signatories?kind=person")
    assert "Анна Ivanova-Ö" in await visitor.text("ol.names")
    await visitor.follow(link)
    assert "/signature/" in page.url
    await page.check("[value=organizers]")
    await act(visitor, "visibility")
    await expect(page.locator("[value=organizers]")).to_be_checked()
    await page.fill("[name=name]", "Anna Orlova")
    await act(visitor, "correct")
    assert "Anna Orlova" in await visitor.text(".stored")
    await visitor.open("/signatories?kind=person")
    assert "Orlova" not in await visitor.text()
    await visitor.follow(link)
    await page.click("details:has([value=withdraw]) summary")
    await act(visitor, "withdraw")
    assert "Orlova" not in await visitor.text()
    await visitor.count_becomes(before)


@MODES
async def test_a_name_for_organizers_by_code_and_a_second_time(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.town.total()
    await visitor.sign(email=mailbox, name="Only Forus", visibility="organizers")
    first = await inbox_text(visitor, mailbox)
    mail = await visitor.town.mail_to(mailbox)
    await visitor.page.fill("[name=email]", mailbox)
    await visitor.page.fill("[name=code]", code_in(mail))
    await visitor.page.click("main form button")
    await visitor.page.wait_for_url("**/signed*")
    await visitor.count_becomes(before + 1)
    await visitor.open("/signatories?kind=person")
    assert "Only Forus" not in await visitor.text()
    await visitor.sign(email=mailbox, name="Another Name")
    assert await inbox_text(visitor, mailbox) == first
    again = link_in(await visitor.town.mail_to(mailbox, 2))
    assert again == link_in(mail).replace("/confirm/", "/signature/")
    await visitor.follow(again)
    assert "Only Forus" in await visitor.text()
    assert await visitor.town.total() == before + 1


@MODES
async def test_counted_without_a_name(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.town.total()
    await visitor.sign(email=mailbox, name="", visibility="counted")
    await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)


@MODES
async def test_an_organization_waits_until_it_is_approved(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.town.total()
    names = {
        "organization_en": f"«IT.Partners» LLP ({mailbox[-30:-16]}",
        "organization_ru": f"ООО «Связь {mailbox[-30:-16]}",
    }
    person = {"name": "Anna Chiara", "position": "Director", "visibility": "organizers"}
    await visitor.sign(**names, **person, email=mailbox, website="https://partners.example")
    await confirm(visitor, mailbox)
    assert "?as=organization" in visitor.page.url
    await visitor.open("/signatories?kind=organization")
    assert names["organization_en"] not in await visitor.text()
    assert await visitor.town.total() == before
    await approve_all(visitor.town)
    await visitor.count_becomes(before + 1)
    await visitor.open("/signatories?kind=organization")
    entry = await visitor.text("ol.names > li")
    assert all(name in entry for name in names.values())
    assert person["name"] not in entry


async def approve_all(town: Town) -> None:
    """Let in whoever waits, as ``petition signatures approve`` does."""
    async with town.site.database.transaction() as conn:
        ids = [row["id"] for row in await conn.fetch("SELECT id FROM signature WHERE state = 'held'")]
        assert await approve(conn, Wrapper([KEY]), ids)


@SOME
async def test_data_out_and_delete(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.town.total()
    await visitor.sign(email=mailbox)
    link = await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)
    await visitor.follow(link)
    async with visitor.page.expect_download() as download:
        await visitor.page.click("a[href$='data.json']")
    data = (await (await download.value).path()).read_text()
    assert SLUG in data
    assert "Vera Novak" in data
    await visitor.page.click("details:has([value=delete]) summary")
    await visitor.page.click("form:has([value=delete]) button")
    await expect(visitor.page.locator("main form")).to_have_count(0)
    await visitor.count_becomes(before)
    assert (await visitor.town.site.client.get(link, follow_redirects=True)).status_code in {404, 410}


@SOME
async def test_a_lost_link_comes_again(visitor: Visitor, mailbox: str) -> None:
    await visitor.town.site.sign(visitor.lang, email=mailbox)
    link = await confirm(visitor, mailbox)
    answers = []
    for address in (mailbox, f"nobody-{mailbox}"):
        await visitor.open("/find")
        await visitor.page.fill("[name=email]", address)
        await visitor.send("#find-form", "**/find?sent=1")
        answers.append(await visitor.text())
    assert answers[0] == answers[1]
    assert link_in(await visitor.town.mail_to(mailbox, 2)) == link.replace("/confirm/", "/signature/")


@SOME
async def test_never_mail_me_again(visitor: Visitor, mailbox: str) -> None:
    await visitor.town.site.sign(visitor.lang, email=mailbox)
    mail = await visitor.town.mail_to(mailbox)
    await visitor.page.goto(next(word for word in (mail.body("plain") or "").split() if "/never/" in word))
    never = visitor.page.url
    await visitor.page.click("main form button")
    await expect(visitor.page.locator("main form [value=allow]")).to_have_count(1)
    await visitor.sign(email=mailbox)
    await visitor.town.site.sign(email=f"after-{mailbox}")
    await visitor.town.mail_to(f"after-{mailbox}")  # the mail that would have come before this one did not
    assert len(await visitor.town.mails_to(mailbox, 1)) == 1
    await visitor.page.goto(never)  # the same link takes it back
    await visitor.page.click("main form button")
    await expect(visitor.page.locator("main form [value=never]")).to_have_count(1)
    await visitor.town.site.sign(email=mailbox)
    assert len(await visitor.town.mails_to(mailbox, 2)) == 2
