"""The history from the counts by hour: the same figures as the count, whatever the parameters."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.running import Installation, link_in
from tests.web.api.test_endpoints import LETTER, get, is_problem

HISTORY = f"{LETTER}/history"
START = datetime(2026, 3, 1, 22, tzinfo=UTC)


async def hours(site: Installation, *moves: tuple[int, int, int]) -> None:
    """Note moves of the count: (hours after ``START``, people, organizations)."""
    async with site.database.connection() as conn:
        await conn.executemany(
            "INSERT INTO count_hour SELECT id, $1, $2, $3 FROM letter",
            [(START + timedelta(hours=hour), people, organizations) for hour, people, organizations in moves],
        )


def figures(answer: dict[str, list[dict[str, object]]]) -> list[tuple[object, ...]]:
    return [tuple(item.values()) for item in answer["items"]]


async def test_nothing_has_no_history(site: Installation) -> None:
    assert await get(site, HISTORY) == {"step": "day", "items": [], "before": None}


async def test_by_hour_and_by_day(site: Installation) -> None:
    await hours(site, (0, 5, 1), (1, 2, 0), (2, 4, 1), (3, 0, 0), (5, -1, 0), (30, 10, 0))
    assert figures(await get(site, HISTORY, step="hour")) == [
        ("2026-03-01T22:00:00Z", 6, 5, 1, 6),
        ("2026-03-01T23:00:00Z", 8, 7, 1, 2),
        ("2026-03-02T00:00:00Z", 13, 11, 2, 5),
        ("2026-03-02T03:00:00Z", 12, 10, 2, -1),
        ("2026-03-03T04:00:00Z", 22, 20, 2, 10),
    ]
    assert figures(await get(site, HISTORY)) == [
        ("2026-03-01T00:00:00Z", 8, 7, 1, 8),
        ("2026-03-02T00:00:00Z", 12, 10, 2, 4),
        ("2026-03-03T00:00:00Z", 22, 20, 2, 10),
    ]


async def test_back_to_the_beginning(site: Installation) -> None:
    await hours(site, *((hour, 1, 0) for hour in range(7)))
    rows: list[tuple[object, ...]] = []
    before, pages = None, 0
    while pages == 0 or before:
        page = await get(site, HISTORY, step="hour", limit=3, **({"before": before} if before else {}))
        rows, before, pages = figures(page) + rows, page["before"], pages + 1
    assert pages == 3
    assert [row[1] for row in rows] == list(range(1, 8))


async def test_a_signature_stands_in_its_hour_and_the_end_is_the_count(site_with_worker: Installation) -> None:
    await site_with_worker.sign(email="vera@letters.example")
    await site_with_worker.client.post(link_in(await site_with_worker.mail_to("vera@letters.example")))
    (item,) = (await get(site_with_worker, HISTORY, step="hour"))["items"]
    assert (item["total"], item["people"], item["organizations"], item["change"]) == (1, 1, 0, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00Z", item["start"])
    again = await site_with_worker.client.get(HISTORY, params={"step": "hour"})
    same = {"if-none-match": again.headers["etag"]}
    assert (await site_with_worker.client.get(HISTORY, params={"step": "hour"}, headers=same)).status_code == 304


@pytest.mark.parametrize(
    "query",
    [
        *("step=week", "step=", "limit=0", "limit=1001", "limit=x", "before=", "before=yesterday"),
        *("before=2026-13-01T00:00:00Z", "before=2026-03-01", "before=2026-03-01T00:00:00", "before=%00"),
        "before=0001-01-01T00:00:00%2B23:59",
    ],
)
async def test_what_cannot_be_is_a_problem(site: Installation, query: str) -> None:
    assert is_problem(await site.client.get(f"{HISTORY}?{query}"), 422)


async def test_strangers_and_wrong_methods(site: Installation) -> None:
    assert is_problem(await site.client.get("/api/v1/letters/no-such-letter/history"), 404)
    assert is_problem(await site.client.post(HISTORY), 405)
    assert (await site.client.head(HISTORY)).status_code == 200
