"""Names that are not public, read page by page with a stale factor: after some hundred the factor is asked for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest

from petition.core.ids import SignatureId
from petition.moderation.model import Action
from petition.organizers import name_readings
from petition.worker import retention
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation
from tests.web.desk.test_fresh import AGE

HIDE = """
UPDATE signature SET name = NULL, name_key = NULL, visibility = 'organizers', private = $2
WHERE letter = $1 AND kind = 'person'
"""
LATER = "UPDATE name_reading SET at = at - interval '61 minutes'"
ASKED = "/organizer/second?again=1&back="


@dataclass
class Thief:
    """A stolen session of a moderator, whose factor was proved twenty minutes ago, and the letter it reads."""

    site: Installation
    bench: Bench
    client: httpx2.AsyncClient

    async def read(self, query: str = "state=confirmed") -> tuple[int, bool]:
        """Open page after page of the queue; return how many there were, and whether the last one was refused."""
        path, pages = f"/organizer/{SLUG}/queue?{query}", 0
        while True:
            page = await self.client.get(path)
            if page.status_code == 303:
                assert page.headers["location"].startswith(f"{ASKED}/organizer/{SLUG}/queue")
                return pages, True
            assert page.status_code == 200
            pages += 1
            links = [part.split('"')[0] for part in page.text.split('href="') if "after=" in part.split('"')[0]]
            if not links:
                return pages, False
            path = f"/organizer/{SLUG}/queue" + links[-1].replace("&amp;", "&").partition("queue")[2]

    async def sql(self, statement: str, *values: object) -> None:
        async with self.site.database.connection() as conn:
            await conn.execute(statement, *values)


@pytest.fixture
async def thief(site: Installation) -> AsyncIterator[Thief]:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    async with people.at_desk(site, "moderator") as client:
        stolen = Thief(site, bench, client)
        await stolen.sql(AGE)
        yield stolen


async def hide(thief: Thief, number: int) -> list[SignatureId]:
    ids = await thief.bench.crowd(number)
    await thief.sql(HIDE, thief.bench.letter.id, thief.bench.letter.keys.hide({"name": "Тайный Пётр"}))
    return ids


async def test_page_by_page_ends_after_some_hundred(thief: Thief) -> None:
    ids = await hide(thief, 390)
    assert await thief.read() == (name_readings.MAX_HOUR // 40, True)
    # One by one it ends at the same number.
    left = name_readings.MAX_HOUR % 40
    for signature_id in ids[-left:]:
        assert (await thief.client.get(f"/organizer/{SLUG}/signatures/{signature_id}")).status_code == 200
    unread = ids[-left - 1]
    for _ in range(2):  # what was refused does not count as read, so asking again opens nothing
        answer = await thief.client.get(f"/organizer/{SLUG}/signatures/{unread}")
        assert (answer.status_code, answer.headers["location"].startswith(ASKED)) == (303, True)
    assert len(await rows.rows_of(thief.site.database, "SELECT FROM name_reading")) == name_readings.MAX_HOUR
    # With the factor all of it can be read.
    answer = await thief.client.post("/organizer/second", data={"code": people.code(), "back": ""})
    assert answer.status_code == 303
    assert await thief.read() == (10, False)


async def test_the_same_page_again_counts_once(thief: Thief) -> None:
    await hide(thief, 39)
    for _ in range(12):
        assert await thief.read() == (1, False)


async def test_public_names_and_those_who_are_only_counted_are_not_limited(
    thief: Thief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_readings, "MAX_HOUR", 3)
    await thief.bench.sign(*(f"Vera {n}" for n in "abcdef"))
    await thief.bench.sign(*"abcdef", visibility="counted")
    assert await thief.read() == (1, False)
    assert await rows.rows_of(thief.site.database, "SELECT FROM name_reading") == []


async def test_slowly_it_ends_after_a_thousand_a_day(thief: Thief, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_readings, "MAX_HOUR", 80)
    monkeypatch.setattr(name_readings, "MAX_DAY", 120)
    await hide(thief, 200)
    assert await thief.read() == (2, True)
    await thief.sql(LATER)
    assert await thief.read() == (2, True)  # the same again
    await thief.sql(LATER)
    page = await thief.client.get(f"/organizer/{SLUG}/queue?state=confirmed")
    after = [part.split('"')[0] for part in page.text.split('href="') if "after=" in part.split('"')[0]][-1]
    assert page.status_code == 200
    assert "after=" in after
    await thief.sql("DELETE FROM name_reading WHERE at > now() - interval '1 hour'")
    assert (await thief.read())[1]
    await thief.sql("UPDATE name_reading SET at = at - interval '1 day'")
    stored = len(await rows.rows_of(thief.site.database, "SELECT FROM name_reading"))
    assert await retention.drop_expired(thief.site.database, "name_reading") == stored


@pytest.mark.parametrize("path", ["log", "campaigns/{}", "", "queue?done={}", "queue?wait=all"])
async def test_every_page_with_names_is_counted(thief: Thief, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = await thief.bench.sign_for("North Pier", name="Тайная Вера")
    people_ids = await thief.bench.sign("Тайный Пётр", visibility="organizers")
    outcome = await thief.bench.remove(*people_ids)
    at: dict[str, object] = {"queue?done={}": outcome.log_id}
    if path.startswith("campaigns"):
        answer = await thief.client.post(
            f"/organizer/{SLUG}/campaigns", data={"act": Action.APPROVE, "back": "state=held"}
        )
        at[path] = answer.headers["location"].rpartition("/")[2]
    address = f"/organizer/{SLUG}/{path.format(at.get(path))}"
    page = await thief.client.get(address)
    assert page.status_code == 200
    read = {row["signature"] for row in await rows.rows_of(thief.site.database, "SELECT signature FROM name_reading")}
    assert read
    assert read <= {held, *people_ids}
    await thief.sql("DELETE FROM name_reading")
    monkeypatch.setattr(name_readings, "MAX_HOUR", 0)
    answer = await thief.client.get(address)
    assert (answer.status_code, answer.headers["location"].startswith(ASKED)) == (303, True)


async def test_a_refused_form_shows_no_names_either(thief: Thief, monkeypatch: pytest.MonkeyPatch) -> None:
    await thief.bench.sign("Тайный Пётр", visibility="organizers")
    monkeypatch.setattr(name_readings, "MAX_HOUR", 0)
    for path in ("queue", "undo"):
        answer = await thief.client.post(f"/organizer/{SLUG}/{path}", data={"back": "state=confirmed", "log": "1"})
        if path == "queue":
            assert answer.headers["location"] == f"{ASKED}/organizer/{SLUG}/queue"
        else:
            assert answer.status_code == 404
