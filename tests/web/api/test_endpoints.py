"""JSON, version 1, as any program on any site sees it."""

import asyncio
import re
from typing import Any

import httpx2

from tests.running import SLUG, Installation
from tests.signatures.people import organization, sign
from tests.web.public.test_signatories import fill, letter_of

LETTER = f"/api/v1/letters/{SLUG}"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def get(site: Installation, path: str, **params: str | int) -> Any:
    answer = await site.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    assert "set-cookie" not in answer.headers
    return answer.json()


def is_problem(answer: httpx2.Response, status: int) -> bool:
    """Return whether an answer is an RFC 9457 problem that any site may read."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json()
    return bool(body["status"] == status and body["title"] and body["type"] == "about:blank")


async def count_of(site: Installation, **figures: int) -> None:
    """Set the count and wait until the web serves it."""
    sets = ", ".join(f"{name} = {figure}" for name, figure in figures.items())
    async with site.database.connection() as conn:
        await conn.execute(f"UPDATE count SET {sets}")
    for _ in range(200):
        if (await site.client.get(f"{LETTER}/count")).json()["people"] == figures["people"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the web did not take up the count")


async def test_a_letter_as_the_contract_has_it(site: Installation) -> None:
    await count_of(site, people=5, organizations=2, hidden=3, imported=4)
    body = await get(site, LETTER)
    assert list(body) == [
        *("slug", "state", "opened_at", "closes_at", "goal", "translations", "counts", "sources", "addressees"),
        "counted_at",
    ]
    assert body["slug"] == SLUG
    assert body["state"] == "open"
    assert body["counts"] == {"total": 7, "people": 5, "organizations": 2, "hidden": 3, "imported": 4}
    assert TIME.fullmatch(body["opened_at"])
    assert TIME.fullmatch(body["counted_at"])
    assert set(body["translations"]) == {"en", "ru"}
    assert body["translations"]["ru"]["url"] == f"{site.base}/ru/{SLUG}"
    assert body["translations"]["ru"]["title"]


async def test_the_count_alone_and_again_only_when_it_moved(site: Installation) -> None:
    await count_of(site, people=5, organizations=2)
    body = await get(site, f"{LETTER}/count")
    assert {key: body[key] for key in ("total", "people", "organizations")} == {
        "total": 7,
        "people": 5,
        "organizations": 2,
    }
    assert TIME.fullmatch(body["counted_at"])
    etag = (await site.client.get(f"{LETTER}/count")).headers["etag"]
    again = await site.client.get(f"{LETTER}/count", headers={"if-none-match": etag})
    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == "*"
    await count_of(site, people=6)
    moved = await site.client.get(f"{LETTER}/count", headers={"if-none-match": etag})
    assert moved.status_code == 200
    assert moved.headers["etag"] != etag


async def test_signatories_page_by_page(site: Installation) -> None:
    await fill(site, *[f"Person {chr(97 + i)}" for i in range(7)])
    names, after, pages = [], "", 0
    while True:
        page = await get(site, f"{LETTER}/signatories", limit=3, after=after)
        names += [item["name"] for item in page["items"]]
        pages += 1
        after = page["next"]
        if after is None:
            break
    assert names == [f"Person {chr(97 + i)}" for i in reversed(range(7))]
    assert pages == 3
    assert (await site.client.get(f"{LETTER}/signatories")).headers["x-robots-tag"] == "noindex, noarchive"


async def test_what_is_told_of_a_person_and_of_an_organization(site: Installation) -> None:
    about = await letter_of(site)
    async with site.database.connection() as conn:
        await sign(conn, about, "Vera Novak")
        await conn.execute("UPDATE signature SET city = 'Riga', country = 'LV', affiliation = 'North Pier'")
        await organization(
            conn, about, "North Pier", "Пирс", representatives=[("Anna", "confirmed"), (None, "confirmed")]
        )
    (person,) = (await get(site, f"{LETTER}/signatories"))["items"]
    assert TIME.fullmatch(person.pop("listed_at"))
    assert person == {
        "kind": "person",
        "name": "Vera Novak",
        "affiliation": "North Pier",
        "city": "Riga",
        "country": "LV",
    }
    (entry,) = (await get(site, f"{LETTER}/signatories", kind="organization"))["items"]
    assert TIME.fullmatch(entry.pop("listed_at"))
    assert entry == {
        "kind": "organization",
        "name_en": "North Pier",
        "name_ru": "Пирс",
        "website": None,
        "representatives": ["Anna"],
        "evidence": ["reviewed"],
        "vouched_by": [],
    }


async def test_signatories_are_searched(site: Installation) -> None:
    await fill(site, "Пётр Иванов", "Анна Иванова", "Vera Novak")
    page = await get(site, f"{LETTER}/signatories", q="ивонов")
    assert [item["name"] for item in page["items"]] == ["Пётр Иванов"]
    assert page["next"] is None
    assert len((await get(site, f"{LETTER}/signatories", q="иванов", limit=1))["items"]) == 1


async def test_what_cannot_be_is_a_problem(site: Installation) -> None:
    for path, status in (
        ("/api/v1/letters/no-such-letter", 404),
        ("/api/v1/letters/no-such-letter/count", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/letters/" + "x" * 3000, 404),
        (f"{LETTER}/signatories?kind=cat", 422),
        (f"{LETTER}/signatories?after=nonsense", 422),
        *((f"{LETTER}/signatories?limit={limit}", 422) for limit in ("0", "-1", "501", "x", "1e2", "٣", "99999999999")),
    ):
        assert is_problem(await site.client.get(path), status), path
    for path in (LETTER, f"{LETTER}/count", f"{LETTER}/signatories"):
        answer = await site.client.post(path)
        assert is_problem(answer, 405)
        assert "GET" in answer.headers["allow"]
        assert (await site.client.head(path)).status_code == 200
