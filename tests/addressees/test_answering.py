"""The addressee's link: an answer that waits for an organizer, and the right to object; the mails that bring both."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from petition.core.ids import AddresseeId, LetterId
from petition.core.tokens import Tokens
from petition.mail import queries
from tests.addressees.records import addressee_ids, record
from tests.addressees.test_desk import EVENTS, PDF, act, api_when, holds, is_done, page_of, revision_of
from tests.organizers import people
from tests.pages import check_page
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation

PRESS = "press@halden.example"
ANSWER = {"act": "answer", "name": "Nora Lind", "role": "Spokeswoman", "text": "We <i>will</i> renew them.", "url": ""}
WAITING = "SELECT state, private, event FROM addressee_answer ORDER BY id"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


async def link_of(site: Installation, editor: httpx2.AsyncClient, lang: str = "en") -> str:
    """Have the desk make a link; return its path."""
    page = await page_of(site)
    assert is_done(await act(editor, page, "link"), "link")
    found = re.search(rf'value="{re.escape(site.base)}/en(/{SLUG}/answer/[^"]+)"', (await editor.get(page)).text)
    assert found is not None
    return f"/{lang}{found[1]}"


async def sent(
    site: Installation, link: str, file: bytes = b"", changes: Mapping[str, str] | None = None
) -> httpx2.Response:
    files = {"file": ("answer.pdf" if file else "", file)}
    return await site.client.post(link, data=ANSWER | dict(changes or {}), files=files, headers=site.new_network())


async def test_an_answer_waits_until_an_organizer_publishes_it(site: Installation, editor: httpx2.AsyncClient) -> None:
    link, page = await link_of(site, editor), await page_of(site)
    check_page(await site.client.get(link), 200)
    assert not await rows_of(site.database, WAITING)  # GET only shows
    answer = await sent(site, link, PDF)
    assert answer.status_code == 303
    check_page(await site.client.get(answer.headers["location"]), 200)
    assert (await sent(site, link, PDF)).status_code == 303  # a second press of the button
    (row,) = await rows_of(site.database, WAITING)
    assert row["state"] == "waiting"
    assert b"Nora" not in row["private"]
    assert "renew them" not in (await site.client.get(f"/en/{SLUG}/answers")).text
    for address in (f"/organizer/{SLUG}/", f"/organizer/{SLUG}/delivery", page):
        assert "Halden Cloud" in (await editor.get(address)).text
    desk = (await editor.get(page)).text
    assert "An answer waits for you" in desk
    assert "We &lt;i&gt;will&lt;/i&gt; renew them." in desk
    assert "Nora Lind" in desk
    assert "An answer of Halden Cloud" in (await editor.get(f"/organizer/{SLUG}/")).text
    form = {"answer": "1", "has_file": "1", "state": "changed_course", "on": f"{datetime.now(UTC):%Y-%m-%d}"}
    words = {"summary_en": "They will renew the certificates.", "summary_ru": "Они продлят сертификаты."}
    assert is_done(await act(editor, page, "publish", **form, **words), "publish")
    told = await api_when(site, "changed_course")
    assert told["answers"][0]["summary"] == {"en": words["summary_en"], "ru": words["summary_ru"]}
    document = await site.client.get(told["answers"][0]["url"])
    assert document.content == PDF
    public = await site.page_when(f"/ru/{SLUG}", lambda text: words["summary_ru"] in text)
    assert "Nora" not in public
    # Taking it back lets the answer wait again.
    assert is_done(await act(editor, page, "undo", event="1"), "undo")
    await api_when(site, "not_sent")
    assert [row["state"] for row in await rows_of(site.database, WAITING)] == ["waiting"]


async def test_an_answer_can_be_declined_and_that_be_undone(site: Installation, editor: httpx2.AsyncClient) -> None:
    link, page = await link_of(site, editor), await page_of(site)
    await sent(site, link)
    declined = await act(editor, page, "decline", answer="1")
    assert is_done(declined, "decline")
    assert "An answer waits" not in (await editor.get(page)).text
    again = await act(editor, page, "decline", answer="1")
    assert again.status_code == 409
    assert is_done(await act(editor, page, "wait", answer="1"), "wait")
    assert "An answer waits" in (await editor.get(page)).text
    assert not await rows_of(site.database, EVENTS)


async def test_two_organizers_publish_it_once(site: Installation, editor: httpx2.AsyncClient) -> None:
    link, page = await link_of(site, editor), await page_of(site)
    await sent(site, link)
    form = {"act": "publish", "answer": "1", "state": "answered", "summary_en": "Yes.", "on": "2026-03-01"}
    form |= {"revision": await revision_of(editor, page)}
    async with people.at_desk(site, "editor", email="anna@letters.example") as other:
        answers = await asyncio.gather(*(client.post(page, data=form) for client in (editor, other)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert len(await rows_of(site.database, EVENTS)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Enter the name"),
        ({"text": ""}, "Write your answer"),
        ({"text": "x" * 10_001}, "at most 10,000"),
        ({"url": "javascript:alert(1)"}, "starts with https"),
        ({"name": "x" * 201}, "at most 200"),
    ],
)
async def test_what_an_addressee_cannot_send(
    site: Installation, editor: httpx2.AsyncClient, changes: dict[str, str], message: str
) -> None:
    answer = await sent(site, await link_of(site, editor), changes=changes)
    check_page(answer, 422)
    assert message in answer.text
    assert not await rows_of(site.database, WAITING)


async def test_hostile_files_are_refused(site: Installation, editor: httpx2.AsyncClient) -> None:
    link = await link_of(site, editor)
    for content in (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"MZ\x90", b"\xff\xd8\xffnothing"):
        answer = await sent(site, link, content)
        check_page(answer, 422)
        assert "PDF, PNG or JPEG" in answer.text
    assert (await sent(site, link, b"%PDF-" + b"x" * 6_000_000)).status_code == 413
    assert not await rows_of(site.database, WAITING)


async def test_only_the_newest_link_of_this_addressee_and_letter_works(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    first = await link_of(site, editor)
    second = await link_of(site, editor)
    page = await page_of(site)
    assert (await site.client.get(first)).status_code == 404
    assert (await site.client.get(second)).status_code == 200
    token = second.rpartition("/")[2]
    letter_id, addressee_id, link, _ = Tokens([KEY]).read_answer(token)
    others = [
        Tokens(["another secret, long enough to be one"]).for_answer(letter_id, addressee_id, link, mailed=False),
        Tokens([KEY]).for_answer(letter_id, AddresseeId(addressee_id + 1), link, mailed=False),
        Tokens([KEY]).for_answer(LetterId(letter_id + 1), addressee_id, link, mailed=False),
        Tokens([KEY]).for_answer(letter_id, addressee_id, link + 1, mailed=True),
        Tokens([KEY]).for_never(b"d" * 16),
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token[:-4],
        "x",
    ]
    for other in others:
        path = f"/en/{SLUG}/answer/{other}"
        assert (await site.client.get(path)).status_code == 404, other
        assert (await sent(site, path)).status_code == 404, other
    assert (await site.client.put(second)).status_code == 405
    foreign = await site.client.post(second, data=ANSWER, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    async with site.database.connection() as conn:
        await conn.execute("UPDATE addressee SET link_until = now() - interval '1 second'")
    assert (await site.client.get(second)).status_code == 404  # too old
    await link_of(site, editor)
    assert is_done(await act(editor, page, "revoke"), "revoke")
    assert (await site.client.get(second)).status_code == 404
    assert not await rows_of(site.database, WAITING)


async def test_ten_answers_a_day(site: Installation, editor: httpx2.AsyncClient) -> None:
    link = await link_of(site, editor)
    for number in range(10):
        assert (await sent(site, link, changes={"text": f"Answer {number}"})).status_code == 303
    answer = await sent(site, link, changes={"text": "One more"})
    check_page(answer, 422)
    assert "many answers today" in answer.text


async def mailed(site: Installation, editor: httpx2.AsyncClient, lang: str = "en") -> str:
    """Have the letter mailed to Halden Cloud; return the path of the link to answer in the mail."""
    page = await page_of(site)
    assert is_done(await act(editor, page, "contact", way="mail", lang=lang, email=PRESS), "contact")
    assert is_done(await act(editor, page, "mail"), "mail")
    mail = await site.mail_to(PRESS)
    return path_in(mail.body("plain") or "", lang)


def path_in(text: str, lang: str = "en") -> str:
    found = re.search(rf"https?://[^/\s]+(/{lang}/{SLUG}/answer/[\w.~-]+)", text)
    assert found is not None, text
    return found[1]


async def test_the_letter_is_mailed_once(site_with_worker: Installation, editor: httpx2.AsyncClient) -> None:
    site, page = site_with_worker, await page_of(site_with_worker)
    await mailed(site, editor)
    row = await api_when(site, "delivered")
    assert row["days_silent"] == 0
    assert "delivered today" in await site.page_when(f"/en/{SLUG}", lambda text: "delivered today" in text)
    mail = await site.mail_to(PRESS)
    text = mail.body("plain") or ""
    assert mail.subject == "An open letter is addressed to you"
    for words in ("Halden Cloud", "Open Channels Society", "Responsible for your data:", "/never/", "#object"):
        assert words in text
    assert "Keep the channels open" in text
    assert mail.message["Auto-Submitted"] == "auto-generated"
    html = mail.body("html") or ""
    assert not re.search(r"<img|<script|url\(|<link", html)
    again = await act(editor, page, "mail")
    check_page(again, 422)
    assert "has been mailed to them already" in again.text
    soon = await act(editor, page, "remind")
    assert soon.status_code == 422
    async with site.database.connection() as conn:
        await conn.execute("UPDATE addressee_event SET at = at - interval '8 days'")
    assert is_done(await act(editor, page, "remind"), "remind")
    async with asyncio.timeout(60):
        while len([mail for mail in site.inbox if PRESS in mail.to]) < 2:
            await asyncio.sleep(0.05)
    assert (await site.mail_to(PRESS)).subject == "An open letter to you has not been answered yet"
    assert await holds(site.database, "press@halden") == []


async def test_in_russian(site_with_worker: Installation, editor: httpx2.AsyncClient) -> None:
    site = site_with_worker
    link = await mailed(site, editor, "ru")
    mail = await site.mail_to(PRESS)
    assert mail.subject == "К вам обращено открытое письмо"
    assert mail.message["Content-Language"] == "ru"
    page = await site.client.get(link)
    check_page(page, 200, "ru")
    assert "Больше нам не\u00a0писать" in page.text


async def test_an_objection_is_honoured(site_with_worker: Installation, editor: httpx2.AsyncClient) -> None:
    site, page = site_with_worker, await page_of(site_with_worker)
    link = await mailed(site, editor)
    await api_when(site, "delivered")
    await site.client.get(link + "?done=object")
    assert not (await rows_of(site.database, "SELECT id FROM addressee WHERE objected_at IS NOT NULL"))  # GET shows
    answer = await site.client.post(link, data={"act": "object"}, headers=site.new_network())
    assert answer.status_code == 303
    check_page(await site.client.get(answer.headers["location"]), 200)
    desk = (await editor.get(page)).text
    assert "asked not to be written to again" in desk
    assert "no mail, please" in (await editor.get(f"/organizer/{SLUG}/delivery")).text
    (row,) = await rows_of(site.database, "SELECT sealed, digest FROM addressee WHERE objected_at IS NOT NULL")
    assert row["sealed"] is None
    assert row["digest"] is not None
    async with site.database.connection() as conn:
        await conn.execute("UPDATE addressee_event SET at = at - interval '30 days'")
    refused = await act(editor, page, "remind")
    check_page(refused, 422)
    assert "asked not to be written to" in refused.text
    typed = await act(editor, page, "contact", way="mail", lang="en", email="Press@HALDEN.example")
    check_page(typed, 422)
    other = await page_of(site, "Orsa Telecom")
    elsewhere = await act(editor, other, "contact", way="mail", lang="en", email=PRESS)
    check_page(elsewhere, 422)
    # A link by hand cannot take it back, since organizers have it; the one in the mailbox can.
    by_hand = Tokens([KEY]).for_answer(*Tokens([KEY]).read_answer(link.rpartition("/")[2])[:3], mailed=False)
    foreign = await site.client.post(f"/en/{SLUG}/answer/{by_hand}", data={"act": "allow"}, headers=site.new_network())
    assert foreign.status_code == 404
    allowed = await site.client.post(link, data={"act": "allow"}, headers=site.new_network())
    assert allowed.status_code == 303
    assert "asked not to be written to again" not in (await editor.get(page)).text
    assert is_done(await act(editor, page, "contact", way="mail", lang="en", email=PRESS), "contact")


async def test_one_click_in_the_mail_program_is_an_objection_too(
    site_with_worker: Installation, editor: httpx2.AsyncClient
) -> None:
    site, page = site_with_worker, await page_of(site_with_worker)
    await mailed(site, editor)
    mail = await site.mail_to(PRESS)
    never = re.search(r"https?://[^/\s]+(/en/never/\S+)", mail.body("plain") or "")
    assert never is not None
    await site.client.post(never[1], data={"List-Unsubscribe": "One-Click"})
    assert "asked not to be written to again" in (await editor.get(page)).text
    refused = await act(editor, page, "remind")
    assert refused.status_code == 422


async def test_who_asked_for_no_mail_before_gets_none(
    site_with_worker: Installation, editor: httpx2.AsyncClient
) -> None:
    """The desk learns of it by the mail that did not go, and the letter counts as not delivered."""
    site, page = site_with_worker, await page_of(site_with_worker)
    link = await mailed(site, editor)
    never = re.search(r"https?://[^/\s]+(/en/never/\S+)", (await site.mail_to(PRESS)).body("plain") or "")
    assert never is not None
    await site.client.post(never[1], data={"action": "never"})
    other = await page_of(site, "Orsa Telecom")
    assert is_done(await act(editor, other, "contact", way="mail", lang="en", email=PRESS), "contact")
    assert is_done(await act(editor, other, "mail"), "mail")
    async with asyncio.timeout(60):
        while "not sent: they asked for no mail" not in (await editor.get(other)).text:
            await asyncio.sleep(0.05)
    assert (await api_when(site, "not_sent", "Orsa Telecom"))["delivered_at"] is None
    assert len([mail for mail in site.inbox if PRESS in mail.to]) == 1
    assert link
    assert page


async def test_a_mail_that_waits_can_be_called_back(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    await act(editor, page, "contact", way="mail", lang="en", email=PRESS)
    assert is_done(await act(editor, page, "mail"), "mail")
    assert "mail on its way" in (await editor.get(page)).text
    assert (await api_when(site, "not_sent"))["delivered_at"] is None
    assert is_done(await act(editor, page, "undo", event="1"), "undo")
    assert not await rows_of(site.database, "SELECT id FROM outbox")
    assert (await api_when(site, "not_sent"))["delivered_at"] is None
    assert is_done(await act(editor, page, "mail"), "mail")


async def test_a_mail_that_no_server_takes_is_no_delivery(site: Installation, editor: httpx2.AsyncClient) -> None:
    """As the worker settles it: the row goes, and its code is recorded."""
    page = await page_of(site)
    await act(editor, page, "contact", way="mail", lang="en", email=PRESS)
    await act(editor, page, "mail")
    async with site.database.connection() as conn:
        (job,) = await queries.lease(conn, 1, 7, timedelta(minutes=1))
        await queries.refused(conn, job, 550)
    assert (await api_when(site, "not_sent"))["delivered_at"] is None
    assert "did not arrive" in (await editor.get(page)).text
    assert is_done(await act(editor, page, "mail"), "mail")  # the address was mended


async def test_nothing_is_mailed_of_a_draft(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    await act(editor, page, "contact", way="mail", lang="en", email=PRESS)
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET version = NULL, state = 'draft'")
    refused = await act(editor, page, "mail")
    check_page(refused, 422)
    assert "Publish the letter first" in refused.text


async def test_an_answer_reaches_a_closed_letter_too(site: Installation, editor: httpx2.AsyncClient) -> None:
    link = await link_of(site, editor)
    await record(site.database, "Halden Cloud", "delivered", datetime.now(UTC) - timedelta(days=3))
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    assert (await sent(site, link)).status_code == 303
    assert len(await addressee_ids(site.database)) == 3
