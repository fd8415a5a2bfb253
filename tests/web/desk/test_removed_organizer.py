"""What an organizer began and still runs when they are removed, or lose their role: downloads, bulk acts, imports."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from petition.exports import filtered
from petition.moderation import bulk_acts
from petition.web.desk import log
from tests import rows
from tests.imports.test_steering import carrying
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

MEMBERS = f"/organizer/{SLUG}/members"
EXPORT = {"form": "csv", "c_name": "1", "back": "state=confirmed"}


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


@pytest.fixture
async def boss(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "owner", email="boss@letters.example", admin=True) as client:
        yield client


async def end(site: Installation, boss: httpx2.AsyncClient, way: str, role: str) -> None:
    """Take the rights of the member ``role@letters.example`` away."""
    organizer = str((await people.add(site, f"{role}@letters.example")).id)
    form = {"organizer": organizer, "before": role}
    if way == "removed":
        answer = await boss.post(MEMBERS, data=form | {"act": "remove"})
    elif way == "demoted":
        answer = await boss.post(MEMBERS, data=form | {"role": "viewer"})
    else:
        answer = await boss.post("/organizer/installation/remove", data={"organizer": organizer})
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize("way", ["removed", "demoted", "deleted"])
@pytest.mark.parametrize("file", ["export", "log.csv"])
async def test_a_download_ends(
    site: Installation, bench: Bench, boss: httpx2.AsyncClient, way: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(filtered, "SLICE", 5)
    monkeypatch.setattr(filtered, "LINES", 5)
    monkeypatch.setattr(log, "CHUNK", 5)
    slices, lines = filtered.Export._slices, log._lines

    async def slowly(self, *arguments):  # type: ignore[no-untyped-def]
        source = slices(self) if isinstance(self, filtered.Export) else lines(self, *arguments)
        async for number, batch in _numbered(source):
            if number:
                begun.set()
                await gate.wait()
            yield batch

    monkeypatch.setattr(filtered.Export, "_slices", slowly)
    monkeypatch.setattr(log, "_lines", slowly)
    ids = await bench.crowd(20)
    for signature_id in ids[:8]:
        await bench.remove(signature_id)
    async with people.at_desk(site, "moderator") as client:
        method, address = ("POST", "export") if file == "export" else ("GET", file)
        data = EXPORT if file == "export" else None
        pieces: list[bytes] = []
        async with client.stream(method, f"/organizer/{SLUG}/{address}", data=data) as answer:
            assert answer.status_code == 200
            await begun.wait()
            await end(site, boss, way, "moderator")
            gate.set()
            with pytest.raises(httpx2.RemoteProtocolError):  # the file visibly has no end
                await _read(answer, pieces)
        assert b"".join(pieces).count(b"\n") <= 6
    if file == "export":
        async with asyncio.timeout(60):
            while not (ended := await rows_of(site.database, "SELECT * FROM log WHERE act = 'export.end'")):
                await asyncio.sleep(0.01)
        assert ended[0]["reason"] == "broken_off"


async def _read(answer: httpx2.Response, pieces: list[bytes]) -> None:
    async for piece in answer.aiter_bytes():
        pieces.append(piece)


async def _numbered(source: AsyncIterator[Any]) -> AsyncIterator[tuple[int, Any]]:
    number = 0
    async for batch in source:
        yield number, batch
        number += 1


@pytest.mark.parametrize("way", ["removed", "demoted", "deleted"])
async def test_a_bulk_act_is_paused(site: Installation, bench: Bench, boss: httpx2.AsyncClient, way: str) -> None:
    await bench.crowd(20)
    async with people.at_desk(site, "moderator") as client:
        made = await client.post(f"/organizer/{SLUG}/campaigns", data={"act": "remove", "back": "kind=person"})
        page = made.headers["location"]
        assert (await client.post(page, data={"step": "start", "reason": "fake"})).status_code == 303
        assert await bulk_acts.step(site.database, WRAPPER, 5)
        await end(site, boss, way, "moderator")
        while await bulk_acts.step(site.database, WRAPPER, 5):
            continue
    assert (await bench.check())["people"] == 15
    (row,) = await rows_of(site.database, "SELECT state, changed FROM campaign")
    assert row == {"state": "paused", "changed": 5}
    assert (await rows_of(site.database, "SELECT organizer, act FROM log ORDER BY id DESC LIMIT 1")) == [
        {"organizer": None, "act": "campaign.pause"}
    ]
    # A colleague decides: here, to go on.
    assert (await boss.post(page, data={"step": "resume"})).status_code == 303
    while await bulk_acts.step(site.database, WRAPPER, 5):
        continue
    assert (await bench.check())["people"] == 0
    assert (await boss.post(page, data={"step": "revert"})).status_code == 303
    while await bulk_acts.step(site.database, WRAPPER, 5):
        continue
    assert (await bench.check())["people"] == 20


async def test_what_a_bulk_act_does_is_logged_as_of_the_organizer_who_started_it(
    site: Installation, bench: Bench, boss: httpx2.AsyncClient
) -> None:
    await bench.crowd(3)
    async with people.at_desk(site, "moderator") as client:
        made = await boss.post(f"/organizer/{SLUG}/campaigns", data={"act": "remove", "back": "kind=person"})
        assert (await client.post(made.headers["location"], data={"step": "start", "reason": "fake"})).is_redirect
        await bulk_acts.step(site.database, WRAPPER)
    starter = (await people.add(site, "moderator@letters.example")).id
    acts = await rows_of(site.database, "SELECT DISTINCT organizer FROM log WHERE act = 'signature.remove'")
    assert acts == [{"organizer": starter}]


@pytest.mark.parametrize("way", ["removed", "demoted", "deleted"])
async def test_an_import_changes_nothing(site: Installation, boss: httpx2.AsyncClient, way: str) -> None:
    content = "Full name\n" + "".join(f"Vera Novak{n}\n" for n in range(3))
    async with carrying(site, "editor") as one:
        await one.upload(content.encode())
        await one.work()
        await one.check()
        job = await one.newest()
        form = {"step": "start", "changed": str(job.changed)}
        answer = await one.client.post(f"/organizer/{SLUG}/import/{job.number}", data=form)
        assert answer.status_code == 303, answer.text
        await end(site, boss, way, "editor")
        await one.work()
        assert (await one.counted())["people"] == 0
        assert (await one.newest()).state == "failed"
    page = (await boss.get(f"/organizer/{SLUG}/import/{job.number}")).text
    assert "no longer works on the letter" in page


async def test_a_list_of_addresses_is_not_made(site: Installation, bench: Bench, boss: httpx2.AsyncClient) -> None:
    from tests.exports.test_address_lists import ADDRESSES, REGISTER, make, wait_three_days

    await bench.sign("Vera", updates="1")
    async with people.at_desk(site, "owner") as client:
        await client.post(ADDRESSES, data=REGISTER)
        key = await wait_three_days(site)
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        assert await make(site)
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        await end(site, boss, "removed", "owner")
        assert await make(site)
        jobs = await rows_of(site.database, "SELECT id, state FROM address_job ORDER BY id")
        assert [job["state"] for job in jobs] == ["done", "failed"]
        assert (await client.post(f"{ADDRESSES}/{jobs[0]['id']}")).status_code == 403
        # The list is encrypted to the key of the former owner: no one else gets it either.
        assert (await boss.post(f"{ADDRESSES}/{jobs[0]['id']}")).status_code == 404
