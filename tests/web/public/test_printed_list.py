"""All public names on one page to print, in parts, and further pages where there are too many."""

import asyncio
import logging
import re
from typing import Any

import pytest

from petition.core.errors import Unavailable
from petition.letters import switch_actions
from petition.letters.switches import ON, Switch
from petition.signatures import listing
from petition.web.public import printed_list, stored_files
from tests.running import SLUG, Installation
from tests.signatures.people import organization, sign
from tests.web.public.test_signatories import letter_of

PRINT = f"/en/{SLUG}/signatories/print"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed_list, "PART", 3)
    monkeypatch.setattr(printed_list, "MAX_NAMES", 10)


async def fill(site: Installation, people: int) -> None:
    letter = await letter_of(site)
    async with site.database.connection() as conn:
        for name in ("North Pier", "Lane"):
            await organization(conn, letter, name)
        await sign(conn, letter, *[f"Person Number{i:02}" for i in range(people)])


def names_in(text: str) -> list[str]:
    return re.findall(r"Number(\d\d)", text)


async def test_every_name_is_printed_once(site: Installation) -> None:
    await fill(site, 7)
    response = await site.client.get(PRINT)
    assert response.status_code == 200
    assert response.headers["x-robots-tag"] == "noindex, noarchive"
    assert response.headers["cache-control"] == "no-store"
    assert "style-src 'sha256-" in response.headers["content-security-policy"]
    assert names_in(response.text) == [f"{i:02}" for i in range(6, -1, -1)]
    assert response.text.index("North Pier") < response.text.index("Number06")
    assert response.text.count("<h2>") == 2
    assert 'rel="next' not in response.text
    assert response.text.rstrip().endswith("</html>")
    head = await site.client.head(PRINT)
    assert (head.status_code, head.content) == (200, b"")


async def test_further_names_are_on_the_next_page(site: Installation) -> None:
    await fill(site, 21)
    address: str | None = PRINT
    seen: list[str] = []
    pages = 0
    while address:
        text = (await site.client.get(address)).text
        seen += names_in(text)
        pages += 1
        link = re.search(r'rel="next nofollow" href="([^"]+)"', text)
        address = link[1].replace("&amp;", "&") if link else None
    assert pages == 3
    assert seen == [f"{i:02}" for i in range(20, -1, -1)]


async def test_names_hidden_meanwhile_are_not_printed_any_more(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(site, 8)
    letter_id, load_page, parts = await letter_of(site), listing.page, 0

    async def page_and_hide(*arguments: Any) -> Any:
        """Read a part as usual; after the first people the names are hidden."""
        nonlocal parts
        parts += 1
        entries = await load_page(*arguments)
        if parts == 2:
            async with site.database.transaction() as conn:
                await switch_actions.set_switch(conn, None, letter_id, Switch.HIDE_LIST, 0, ON, {})
            async with asyncio.timeout(120):
                while (await site.client.get(f"/api/v1/letters/{SLUG}/signatories")).status_code != 403:
                    await asyncio.sleep(0.02)
        return entries

    monkeypatch.setattr(listing, "page", page_and_hide)
    response = await site.client.get(PRINT)
    assert names_in(response.text) == ["07", "06", "05"]
    assert response.text.rstrip().endswith("</html>")


async def test_a_network_gets_few_of_these_pages(site: Installation) -> None:
    await fill(site, 1)
    statuses = [(await site.client.get(PRINT)).status_code for _ in range(8)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


async def test_hidden_names_are_not_printed(site: Installation) -> None:
    letter = await letter_of(site)
    async with site.database.connection() as conn:
        await sign(conn, letter, "Hidden Person")
        await conn.execute("UPDATE signature SET visibility = 'counted', name = NULL, name_key = NULL")
    assert "Hidden Person" not in (await site.client.get(PRINT)).text
    assert (await site.client.get(f"{PRINT}?kind=robot")).status_code == 404
    assert (await site.client.get(f"{PRINT}?after=x")).status_code == 404


@pytest.mark.parametrize("times", [1, 2])
async def test_a_full_line_is_waited_for_or_the_page_ends_with_the_way_to_go_on(
    site: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    """What has begun ends well: no half page, and no error in the log."""
    await fill(site, 8)
    monkeypatch.setattr(stored_files, "PATIENCE", 2)
    monkeypatch.setattr(stored_files, "PAUSE", 0)
    load_page, calls = listing.page, 0

    async def page(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if 3 <= calls < 3 + times:
            raise Unavailable("too much waits")
        return await load_page(*arguments)

    monkeypatch.setattr(listing, "page", page)
    text = (await site.client.get(PRINT)).text
    assert text.rstrip().endswith("</html>")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    seen = names_in(text)
    link = re.search(r'rel="next nofollow" href="([^"]+)"', text)
    assert (link is None) is (times == 1)
    if link is not None:
        seen += names_in((await site.client.get(link[1].replace("&amp;", "&"))).text)
    assert seen == [f"{i:02}" for i in range(7, -1, -1)]
