"""Mailing an update from the desk: it says whom, starts, can be undone, and writes down each act."""

import asyncio
import re

import httpx2
import pytest

from petition.letters.model import Letter
from tests import rows
from tests.letters.test_updates import NEWS, write
from tests.mailings import subscribers
from tests.organizers import people
from tests.pages import assert_redirect
from tests.rows import rows_of
from tests.running import Installation, working

LOG = "SELECT act FROM log WHERE act LIKE 'mailing.%' ORDER BY id"


async def letter_of(site: Installation) -> Letter:
    async with site.database.connection() as conn:
        return await rows.letter(conn)


async def mail(client: httpx2.AsyncClient, where: str, act: str, **more: str) -> httpx2.Response:
    return await client.post(f"{where}/mail", data={"act": act} | more)


async def test_the_desk_says_whom_an_update_mails(site: Installation, editor: httpx2.AsyncClient) -> None:
    where = await write(editor)
    page = (await editor.get(where)).text
    assert "Publishing sends no e-mail" in page
    assert "Mails no one" in page
    refused = await mail(editor, where, "mail")
    assert refused.status_code == 422
    letter = await letter_of(site)
    await subscribers.add(site.database, letter, range(1, 20), lang="ru")
    await subscribers.add(site.database, letter, range(20, 25))
    page = (await editor.get(where)).text
    assert "Mails 24 people: 5 in English, 19 in Russian." in " ".join(page.split())
    assert "@letters.example" not in page


async def test_it_begins_later_and_can_be_undone(site: Installation, editor: httpx2.AsyncClient) -> None:
    await subscribers.add(site.database, await letter_of(site), range(1, 4))
    where = await write(editor)
    assert_redirect(await mail(editor, where, "mail"), f"{where}?done=mail-mail#mailing")
    (row,) = await rows_of(site.database, "SELECT state, recipients, starts_at > now() AS later FROM mailing")
    assert dict(row) == {"state": "waiting", "recipients": None, "later": True}
    assert (await mail(editor, where, "mail")).status_code == 422  # once
    assert 'value="undo"' in (await editor.get(where)).text
    assert_redirect(await mail(editor, where, "undo"), f"{where}?done=mail-undo#mailing")
    assert 'value="mail"' in (await editor.get(where)).text
    assert_redirect(await mail(editor, where, "mail"), f"{where}?done=mail-mail#mailing")
    assert [row["act"] for row in await rows_of(site.database, LOG)] == [
        "mailing.start",
        "mailing.undo",
        "mailing.start",
    ]


async def test_a_draft_is_published_and_mailed_at_one_time(site: Installation, editor: httpx2.AsyncClient) -> None:
    await subscribers.add(site.database, await letter_of(site), range(1, 4))
    answer = await editor.post(
        "/organizer/keep-the-channels-open/updates",
        data=NEWS | {"act": "schedule", "publish_at": "2099-01-02T03:04", "and_mail": "yes"},
    )
    where = answer.headers["location"].partition("?")[0]
    (row,) = await rows_of(
        site.database, "SELECT m.starts_at = n.publish_at AS same FROM mailing m JOIN news n ON n.id = m.news"
    )
    assert row["same"]
    assert "will be mailed" in (await editor.get("/organizer/keep-the-channels-open/updates")).text
    page = (await editor.get(where)).text
    revision = page.partition('name="revision" value="')[2].partition('"')[0]
    await editor.post(where, data=NEWS | {"act": "unschedule", "revision": revision})
    assert await rows_of(site.database, "SELECT FROM mailing WHERE state = 'waiting'") == []
    # A draft without a time is mailed to no one.
    assert (await mail(editor, where, "mail")).status_code == 422


async def test_a_published_update_is_mailed_at_a_time(site: Installation, editor: httpx2.AsyncClient) -> None:
    await subscribers.add(site.database, await letter_of(site), range(1, 4))
    where = await write(editor)
    past = await mail(editor, where, "schedule", mail_at="2001-01-01T00:00")
    assert past.status_code == 422
    assert 'id="e-mail_at"' in past.text
    assert_redirect(
        await mail(editor, where, "schedule", mail_at="2099-01-01T00:00"), f"{where}?done=mail-schedule#mailing"
    )
    (row,) = await rows_of(site.database, "SELECT starts_at::text AS at FROM mailing")
    assert row["at"].startswith("2099-01-01 00:00")


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_preview_shows_text_and_html(site: Installation, lang: str) -> None:
    async with people.at_desk(site, "editor", name="Boris", lang=lang) as client:
        where = await write(client, "save")
        page = (await client.get(f"{where}/mail")).text
        assert "They agree." in page
        assert "Они согласны." in page
        html = await client.get(f"{where}/mail?html=ru")
        assert "<strong>согласны</strong>" in html.text
        assert "sandbox" in html.headers["content-security-policy"]
        assert "/unsubscribe/" in html.text
        assert (await client.get(f"{where}/mail?html=xx")).status_code == 404


async def test_a_test_goes_to_oneself_and_says_so(site: Installation, editor: httpx2.AsyncClient) -> None:
    await subscribers.add(site.database, await letter_of(site), range(1, 4))
    where = await write(editor, "save")
    assert_redirect(await mail(editor, where, "test"), f"{where}?done=mail-test#mailing")
    async with working(site.environ, site.inbox), asyncio.timeout(120):
        while len(mails := [mail for mail in site.inbox if "editor@letters.example" in mail.to]) < 2:
            await asyncio.sleep(0.02)
    subjects = sorted(mail.subject for mail in mails)
    assert subjects == ["Test: An answer <b>has</b> come", "Проверка: Пришёл ответ"]
    assert not [mail for mail in site.inbox if "reader" in " ".join(mail.to)]
    link = re.search(r"(/ru/\S+/unsubscribe/\S+)", next(m for m in mails if "Пришёл" in m.subject).body("plain") or "")
    assert link is not None
    assert (await site.client.get(link[1])).status_code == 200


async def test_viewers_and_moderators_mail_nothing(site: Installation, editor: httpx2.AsyncClient) -> None:
    await subscribers.add(site.database, await letter_of(site), range(1, 4))
    where = await write(editor)
    for role in ("viewer", "moderator"):
        async with people.at_desk(site, role, name=role) as client:
            assert (await mail(client, where, "mail")).status_code == 403
    assert await rows_of(site.database, "SELECT FROM mailing") == []
