"""The whole road in a real browser: on a phone, in both languages, with scripts and without."""

import pytest
from playwright.async_api import expect

from tests.browser.visitor import Meet, Town, Visitor
from tests.running import SLUG, code_in, link_in

pytestmark = pytest.mark.browser

MODES = pytest.mark.parametrize(
    ("lang", "scripts"),
    [("en", True), ("en", False), ("ru", True), ("ru", False)],
    ids=["en-scripts", "en-no-scripts", "ru-scripts", "ru-no-scripts"],
)


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


@MODES
async def test_a_public_name(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.count()
    await visitor.sign(email=mailbox, name="Анна Ivanova-Ö", city="Tallinn", country="Estonia", affiliation="Физик")
    link = link_in(await visitor.town.mail_to(mailbox))
    await visitor.follow(link)
    told = await visitor.text(".stored")
    assert all(word in told for word in ("Анна Ivanova-Ö", "Tallinn", "Физик")), told
    assert await visitor.count() == before
    await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)
    await visitor.follow(link)
    assert "/signature/" in visitor.page.url
    assert "Анна Ivanova-Ö" in await visitor.text()
    await visitor.open("/signatories?kind=person")
    assert "Анна Ivanova-Ö" in await visitor.text("ol.names")


@MODES
async def test_a_name_for_organizers_by_code(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.count()
    await visitor.sign(email=mailbox, name="Only Forus", visibility="organizers")
    await visitor.page.fill("[name=email]", mailbox)
    await visitor.page.fill("[name=code]", code_in(await visitor.town.mail_to(mailbox)))
    await visitor.page.click("main form button")
    await visitor.page.wait_for_url("**/signed")
    await visitor.count_becomes(before + 1)
    await visitor.open("/signatories?kind=person")
    assert "Only Forus" not in await visitor.text()


@MODES
async def test_counted_without_a_name(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.count()
    await visitor.sign(email=mailbox, name="", visibility="counted")
    await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)


@MODES
async def test_an_organization_waits_until_it_is_approved(visitor: Visitor, mailbox: str) -> None:
    before = await visitor.count()
    names = {
        "organization_en": f"«IT.Partners» LLP {mailbox[-30:-16]}",
        "organization_ru": f"ООО «Партнёры {mailbox[:40]}",
    }
    await visitor.sign(
        **names,
        name="Anna Chiara",
        position="Director",
        website="https://partners.example",
        email=mailbox,
        visibility="organizers",
    )
    await confirm(visitor, mailbox)
    assert visitor.page.url.endswith("?as=organization")
    await visitor.open("/signatories?kind=organization")
    assert names["organization_en"] not in await visitor.text()
    assert await visitor.count() == before


@MODES
async def test_a_second_time_the_mail_leads_to_ones_own_page(visitor: Visitor, mailbox: str) -> None:
    await visitor.sign(email=mailbox)
    first = await visitor.text()
    link = await confirm(visitor, mailbox)
    count = await visitor.count()
    await visitor.sign(email=mailbox, name="Another Name")
    assert await visitor.text() == first
    again = link_in(await visitor.town.mail_to(mailbox, 2))
    assert again.split("/")[2] == "signature"
    assert again.split("/")[3] == link.split("/")[3]
    await visitor.follow(again)
    assert "Vera Novak" in await visitor.text()
    await visitor.count_becomes(count if count else 1)


@MODES
async def test_ones_own_page(visitor: Visitor, mailbox: str) -> None:
    page = visitor.page
    before = await visitor.count()
    await visitor.sign(email=mailbox)
    link = await confirm(visitor, mailbox)
    await visitor.count_becomes(before + 1)
    await visitor.follow(link)
    await page.check("[value=organizers]")
    await act(visitor, "visibility")
    await expect(page.locator("[value=organizers]")).to_be_checked()
    await page.fill("[name=name]", "Vera Novák")
    await act(visitor, "correct")
    assert "Vera Novák" in await visitor.text(".stored")
    data = await (await visitor.context.request.get(page.url.partition("?")[0] + "/data.json")).json()
    assert data["letter"] == SLUG
    assert "Vera Novák" in str(data)
    await page.click("details:has([value=withdraw]) summary")
    await act(visitor, "withdraw")
    assert "Vera" not in await visitor.text()
    await visitor.count_becomes(before)
    await visitor.sign(email=mailbox)
    link = await confirm(visitor, mailbox, 2)
    await visitor.count_becomes(before + 1)
    await visitor.follow(link)
    await page.click("details:has([value=delete]) summary")
    await page.click("form:has([value=delete]) button")
    await expect(page.locator("form")).to_have_count(0)
    await visitor.count_becomes(before)
    assert (await visitor.context.request.get(visitor.town.base + link)).status in {404, 410}


async def act(visitor: Visitor, action: str) -> None:
    """Press the button of one act on one's own page."""
    await visitor.page.click(f"form:has([value={action}]) button")
    await visitor.page.wait_for_url(f"**done={action}")
    await expect(visitor.page.locator("main [role=status]")).to_be_visible()


@MODES
async def test_a_lost_link_comes_again(visitor: Visitor, mailbox: str) -> None:
    await visitor.sign(email=mailbox)
    link = await confirm(visitor, mailbox)
    answers = []
    for address in (mailbox, f"nobody-{mailbox}"):
        await visitor.open("/find")
        await visitor.page.fill("[name=email]", address)
        await visitor.send("#find-form", "**/find?sent=1")
        answers.append(await visitor.text())
    assert answers[0] == answers[1]
    assert link_in(await visitor.town.mail_to(mailbox, 2)).split("/")[3] == link.split("/")[3]


@MODES
async def test_never_mail_me_again(visitor: Visitor, mailbox: str) -> None:
    await visitor.sign(email=mailbox)
    mail = await visitor.town.mail_to(mailbox)
    address = next(line for line in (mail.body("plain") or "").split() if "/never/" in line)
    await visitor.page.goto(address)
    await visitor.page.click("main form button")
    await expect(visitor.page.locator("main form")).to_have_count(0)
    await visitor.sign(email=mailbox)
    other = f"after-{mailbox}"
    await visitor.sign(email=other)
    await visitor.town.mail_to(other)  # the mail that would have come before this one did not
    assert len(await visitor.town.mails_to(mailbox, 1)) == 1
