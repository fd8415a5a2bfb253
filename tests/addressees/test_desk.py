"""Delivery at the desk: what organizers record, mail and take back, and what becomes of it for readers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from petition.addressees.files import MAX_BYTES
from petition.core.database import Database
from tests.addressees.records import addressee_ids
from tests.drafts.desk import picture
from tests.organizers import people
from tests.pages import check_page
from tests.rows import rows_of
from tests.running import SLUG, Installation

PDF = b"%PDF-1.7\n1 0 obj\n<< /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>\nendobj\n%%EOF\n"
ACTS = "SELECT act, after FROM log WHERE act LIKE 'addressee.%' ORDER BY id"
EVENTS = "SELECT state, way, sent, failed, undone_at IS NOT NULL AS undone FROM addressee_event ORDER BY id"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


async def page_of(site: Installation, name: str = "Halden Cloud") -> str:
    """Return the address of an addressee's page at the desk."""
    return f"/organizer/{SLUG}/delivery/{(await addressee_ids(site.database))[name]}"


async def revision_of(client: httpx2.AsyncClient, page: str) -> str:
    return (await client.get(page)).text.partition('name="revision" value="')[2].partition('"')[0]


async def act(client: httpx2.AsyncClient, page: str, name: str, **fields: str) -> httpx2.Response:
    """Press a button of the page as it is now."""
    form = {"revision": await revision_of(client, page), "act": name} | fields
    return await client.post(page, data=form)


async def record(
    client: httpx2.AsyncClient, page: str, name: str, file: bytes | None = None, **fields: str
) -> httpx2.Response:
    form = {"revision": await revision_of(client, page), "act": name, "on": f"{datetime.now(UTC):%Y-%m-%d}"} | fields
    files = {"file": ("..\\receipt.html", file, "text/html")} if file is not None else {"file": ("", b"")}
    return await client.post(f"{page}/event", data=form, files=files)


def is_done(answer: httpx2.Response, name: str) -> bool:
    assert answer.status_code == 303, answer.text[:3000]
    return f"?done={name}" in answer.headers["location"]


async def api(site: Installation, name: str = "Halden Cloud") -> dict[str, Any]:
    """Return the addressee as programs see it."""
    body = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()
    return dict(next(row for row in body["addressees"] if row["name"]["en"] == name))


async def api_when(site: Installation, state: str, name: str = "Halden Cloud") -> dict[str, Any]:
    async with asyncio.timeout(120):
        while (row := await api(site, name))["state"] != state:
            await asyncio.sleep(0.05)
    return row


async def test_a_delivery_by_hand_begins_the_silence_and_can_be_undone(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    page = await page_of(site)
    day = datetime.now(UTC) - timedelta(days=61)
    receipt = picture("JPEG", (640, 480))
    answer = await record(
        editor, page, "deliver", receipt, way="hand", on=f"{day:%Y-%m-%d}", note="Taken by the secretary, no. 17"
    )
    assert is_done(answer, "deliver")
    row = await api_when(site, "delivered")
    assert (row["days_silent"], row["delivered_at"]) == (61, f"{day:%Y-%m-%d}T00:00:00Z")
    desk = await editor.get(page)
    check_page(desk, 200)
    assert "Taken by the secretary, no. 17" in desk.text
    assert "silent for 61 days" in (await editor.get(f"/organizer/{SLUG}/delivery")).text
    # The note and the receipt are for organizers: encrypted, and on no public page.
    (stored,) = await rows_of(site.database, "SELECT private, f.content FROM addressee_event, addressee_file f")
    assert b"secretary" not in stored["private"]
    assert b"JFIF" not in stored["content"]
    assert "secretary" not in (await site.client.get(f"/en/{SLUG}/answers")).text
    public = await site.client.get(f"/en/{SLUG}/documents/1")
    assert public.status_code == 404
    file = await editor.get(f"/organizer/{SLUG}/delivery/file/1")
    assert file.content.startswith(b"\xff\xd8\xff")
    assert file.headers["content-disposition"] == 'attachment; filename="file-1.jpg"'
    event = answer.headers["location"].partition("event=")[2]
    assert is_done(await act(editor, page, "undo", event=event), "undo")
    assert (await api_when(site, "not_sent"))["days_silent"] is None
    assert is_done(await act(editor, page, "redo", event=event), "redo")
    await api_when(site, "delivered")
    acts = [row["act"] for row in await rows_of(site.database, ACTS)]
    assert acts == ["addressee.deliver", "addressee.undo", "addressee.redo"]


async def test_an_answer_with_a_document(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    fields = {"state": "changed_course", "summary_en": "We <b>agree</b>.", "summary_ru": "Мы согласны."}
    answer = await record(editor, page, "respond", PDF, **fields)
    assert is_done(answer, "respond")
    row = await api_when(site, "changed_course")
    (told,) = row["answers"]
    assert told["summary"] == {"en": "We <b>agree</b>.", "ru": "Мы согласны."}
    assert told["url"] == f"{site.base}/en/{SLUG}/documents/1"
    english = await site.page_when(f"/en/{SLUG}", lambda text: "changed course" in text)
    assert "We &lt;b&gt;agree&lt;/b&gt;." in english
    document = await site.client.get(told["url"])
    assert (document.status_code, document.content) == (200, PDF)
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-disposition"].startswith("attachment;")
    assert document.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in document.headers["content-security-policy"]
    assert is_done(await act(editor, page, "undo", event="1"), "undo")
    assert (await site.client.get(told["url"])).status_code == 404


@pytest.mark.parametrize(
    ("name", "fields", "file", "message"),
    [
        ("respond", {"state": "answered"}, None, "Say in one sentence"),
        ("respond", {"state": "pleased", "summary_en": "x"}, None, "Choose what they did"),
        ("respond", {"state": "answered", "url": "javascript:alert(1)"}, None, "starts with https"),
        ("respond", {"state": "answered", "url": "data:text/html,x"}, None, "starts with https"),
        ("respond", {"state": "answered", "summary_en": "x" * 1001}, None, "at most 1,000"),
        ("respond", {"state": "answered", "summary_en": "a\u202eb"}, None, "hidden character"),
        ("respond", {"state": "answered", "summary_en": "x", "on": "2999-01-01"}, None, "today or earlier"),
        ("respond", {"state": "answered", "summary_en": "x", "on": "31.02.2026"}, None, "today or earlier"),
        ("respond", {"state": "answered"}, b"<html><script>alert(1)</script>", "PDF, PNG or JPEG"),
        ("respond", {"state": "answered"}, b"\x89PNG\r\n\x1a\n<svg onload=alert(1)>", "PDF, PNG or JPEG"),
        ("respond", {"state": "answered"}, b"GIF89a" + b"\0" * 100, "PDF, PNG or JPEG"),
        ("respond", {"state": "answered"}, b"%PDF-" + b"x" * MAX_BYTES, "5 MB or smaller"),
        ("deliver", {"way": "mail"}, None, "Choose how the letter reaches"),
    ],
)
async def test_what_cannot_be_recorded(
    site: Installation, editor: httpx2.AsyncClient, name: str, fields: dict[str, str], file: bytes | None, message: str
) -> None:
    answer = await record(editor, await page_of(site), name, file, **fields)
    assert answer.status_code == 422
    assert message in answer.text
    check_page(answer, 422)
    assert not await rows_of(site.database, "SELECT id FROM addressee_event UNION SELECT id FROM addressee_file")


async def test_a_file_beyond_all_bounds_is_not_read(site: Installation, editor: httpx2.AsyncClient) -> None:
    answer = await record(editor, await page_of(site), "respond", b"%PDF-" + b"x" * (6 * 1024 * 1024), state="answered")
    assert answer.status_code == 413


async def test_two_organizers_at_once(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    revision = await revision_of(editor, page)
    async with people.at_desk(site, "editor", email="anna@letters.example", name="Anna") as other:
        form = {"revision": revision, "act": "respond", "on": "2026-03-01", "state": "refused", "summary_en": "No."}
        first, second = await asyncio.gather(
            *(client.post(f"{page}/event", data=form, files={"file": ("", b"")}) for client in (editor, other))
        )
    assert sorted([first.status_code, second.status_code]) == [303, 409]
    late = first if first.status_code == 409 else second
    assert "Someone else changed this first" in late.text
    assert "No." in late.text  # what was typed is in the form still
    assert len(await rows_of(site.database, EVENTS)) == 1


async def test_only_editors_and_their_methods(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    async with people.at_desk(site, "moderator", email="mod@letters.example") as moderator:
        assert (await moderator.get(page)).status_code == 403
        assert (await moderator.post(page, data={"act": "mail", "revision": "1"})).status_code == 403
    async with people.stranger(site) as stranger:
        assert (await stranger.get(page)).status_code == 303
        assert (await stranger.post(f"{page}/event", data={"act": "deliver"})).status_code == 401
    assert (await editor.put(page)).status_code == 405
    assert (await editor.get(f"{page}/event")).status_code == 405
    assert (await editor.get(f"/organizer/{SLUG}/delivery/999")).status_code == 404
    assert (await editor.get(f"/organizer/{SLUG}/delivery/file/999")).status_code == 404
    assert (
        await editor.post(page, data={"act": "wild", "revision": await revision_of(editor, page)})
    ).status_code == 400


async def test_an_address_is_sealed_and_nowhere_else(site: Installation, editor: httpx2.AsyncClient) -> None:
    page = await page_of(site)
    answer = await act(editor, page, "contact", way="mail", lang="ru", email="press@halden.example")
    assert is_done(answer, "contact")
    (row,) = await rows_of(site.database, "SELECT * FROM addressee WHERE sealed IS NOT NULL")
    assert (row["way"], row["lang"]) == ("mail", "ru")
    assert "press@halden" not in (await editor.get(page)).text
    assert await holds(site.database, "press@halden") == []
    bad = await act(editor, page, "contact", way="mail", lang="ru", email="press@")
    assert bad.status_code == 422
    check_page(bad, 422)


async def holds(database: Database, words: str) -> list[str]:
    """Return the tables in which a text stands in the clear."""
    async with database.connection() as conn:
        tables = [
            row["tablename"]
            for row in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ]
        return [
            table
            for table in tables
            if await conn.fetchval(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE $1)", f"%{words}%")
        ]
