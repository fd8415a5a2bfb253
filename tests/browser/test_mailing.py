"""An update to 10,000 subscribers from the browser: written, tested, mailed, paused, its worker killed, continued."""

import asyncio
import os
from pathlib import Path

import pytest
from playwright.async_api import Browser

from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.core.tokens import Tokens
from tests import rows
from tests.browser.desk import Seat, seat
from tests.browser.visitor import LOOKS, Town
from tests.faults.processes import worker_environ
from tests.mailings import subscribers
from tests.mailings.processes import Sink, kill, sink, start_worker, stop
from tests.running import KEY, SLUG, Installation

pytestmark = pytest.mark.browser

READERS = int(os.environ.get("MAILING_BROWSER_READERS", "10000"))
VERA = "vera@letters.example"
NOW = "UPDATE mailing SET starts_at = now()"  # instead of half a minute to undo it
EXPIRE = "UPDATE mailing_stamp SET due_at = now() WHERE state = 'in_flight'"


async def write(vera: Seat) -> str:
    """Write and publish an update in both languages; return its address."""
    await vera.open(f"{SLUG}/updates")
    for lang, title, text in (("en", "They have answered", "A **yes**."), ("ru", "Нам ответили", "Это **да**.")):
        await vera.page.fill(f"#f-title_{lang}", title)
        await vera.page.fill(f"#f-text_{lang}", text)
    await vera.page.click("main button[value=publish]")
    return vera.page.url.partition("/organizer/")[2].partition("?")[0]


async def until_accepted(relay: Sink, number: int) -> None:
    async with asyncio.timeout(300):
        while len(relay.recipients()) < number:
            await asyncio.sleep(0.1)


async def test_an_update_to_ten_thousand(chromium: Browser, site: Installation, tmp_path: Path) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    readers = list(range(1, READERS + 1))
    await subscribers.add(site.database, letter, readers[: READERS // 2])
    await subscribers.add(site.database, letter, readers[READERS // 2 :], lang="ru")
    log = tmp_path / "worker.log"
    async with sink(tmp_path / "accepted") as relay, seat(chromium, Town(site, {}), looks=LOOKS["en"]) as vera:
        settings = load(worker_environ(site.environ, relay.port), role=Process.WORKER)
        worker = start_worker(settings, log)
        await vera.sit(VERA, "editor", name="Vera Novak")
        update = await write(vera)
        half = f"{READERS // 2:,}"
        assert f"Mails {READERS:,} people: {half} in English, {half} in Russian." in await vera.text()
        assert await vera.barriers() == []
        await vera.page.click("button[value=test]")
        await until_accepted(relay, 2)
        assert relay.recipients() == [VERA, VERA]
        await vera.page.click("button[value=mail]")
        assert await vera.page.locator("button[value=undo]").count() == 1
        async with site.database.connection() as conn:
            await conn.execute(NOW)
        await until_accepted(relay, READERS // 10)
        await vera.open(update)
        assert await vera.barriers() == []
        await vera.page.click("button[value=pause]")
        await kill(worker)
        row = await subscribers.numbers(site.database, letter)
        assert (row["state"], row["recipients"]) == ("paused", READERS)
        assert row["unreached"] > 0
        worker = start_worker(settings, log)
        async with site.database.connection() as conn:
            await conn.execute(EXPIRE)  # the killed worker's leases would end after half a minute
        await vera.open(update)
        assert "paused" in await vera.text("#facts")
        await vera.page.click("button[value=resume]")
        async with asyncio.timeout(300):
            while (row := await subscribers.numbers(site.database, letter))["state"] != "done":
                await asyncio.sleep(0.25)
        await stop(worker)
        assert row["accepted"] == READERS
        assert set(relay.recipients()) == {VERA, *map(subscribers.address, readers)}
        # By the links that the mails have, as mail programs post them.
        for number in (1, READERS):
            path = f"/en/{SLUG}/unsubscribe/{Tokens([KEY]).for_updates(letter.id, SignatureId(number))}"
            headers = {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}
            answer = await site.client.post(path, data={"List-Unsubscribe": "One-Click"}, headers=headers)
            assert answer.status_code == 200
        await vera.open(update)
        facts = await vera.text("#facts")
        assert f"Recipients {READERS:,}" in facts
        assert f"Accepted {READERS:,}" in facts
        await vera.open(f"{SLUG}/updates")
        assert f"{READERS - 2:,} people have asked" in await vera.text()
        assert f"{READERS:,}" in await vera.text("table")
        assert await vera.barriers() == []
