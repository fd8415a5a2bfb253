"""Judges from outside: what visitors were answered against what the installation says in the end."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import httpx2

from tests.cluster.visitors import Answer, Visitors, number_of
from tests.running import SLUG

ALLOWED = {"sign": {303, 503}, "confirm": {303, 503}, "hide": {303, 503}, "read": {200}}
MAX_OUTAGE = 15.0  # seconds
TRIES = 60  # half a second apart


async def listed_people(client: httpx2.AsyncClient) -> list[str]:
    """Return every name of the public list, page by page."""
    names: list[str] = []
    after = ""
    while True:
        page = await _page(client, f"/api/v1/letters/{SLUG}/signatories", limit="100", after=after)
        names += [item["name"] for item in page.json()["items"]]
        if not (after := page.json()["next"] or ""):
            return names


async def counted_people(client: httpx2.AsyncClient) -> int:
    """Return the count that readers see."""
    page = await _page(client, f"/api/v1/letters/{SLUG}/count")
    return int(page.json()["people"])


async def _page(client: httpx2.AsyncClient, path: str, **params: str) -> httpx2.Response:
    """Return a page, asked for again for a while if it is refused for now."""
    for _ in range(TRIES):
        page = await client.get(path, params=params)
        if page.status_code != 503:
            break
        await asyncio.sleep(0.5)
    page.raise_for_status()
    return page


def differences(visitors: Visitors, names: Sequence[str], count: int) -> list[str]:
    """Return what is wrong: lost, doubled or miscounted signatures. Who has hidden their name is counted."""
    numbers = Counter(number_of(name) for name in names if name.startswith("Vera "))
    lines = {
        "confirmed, and not on the list": visitors.confirmed.keys() - numbers.keys() - visitors.hidden,
        "on the list twice": {number for number, times in numbers.items() if times > 1},
        "on the list, and never confirmed": numbers.keys() - visitors.confirmed.keys(),
        "answered 303 on signing, and no mail came": visitors.signed.keys() - visitors.mails.keys(),
    }
    wrong = [f"{len(people)} {words}: {sorted(people)[:5]}" for words, people in lines.items() if people]
    if count != len(names) + len(visitors.hidden):
        wrong.append(f"the count is {count}, and {len(names)} are on the list, {len(visitors.hidden)} hidden")
    return wrong


def lost(visitors: Visitors, names: Sequence[str]) -> int:
    """Return how many were answered 303 on confirming and are not on the list."""
    listed = {number_of(name) for name in names if name.startswith("Vera ")}
    return len(visitors.confirmed.keys() - listed - visitors.hidden)


def odd_answers(answers: Sequence[Answer]) -> Counter[str]:
    """Return answers that no visitor may get, with how often."""
    return Counter(
        f"{answer.act} {answer.status or 'no answer'}" for answer in answers if answer.status not in ALLOWED[answer.act]
    )


def outage(answers: Sequence[Answer], since: float) -> float:
    """Return for how many seconds after ``since`` forms were refused or slow: until the last of these was answered."""
    last = [
        answer.ended_at
        for answer in answers
        if answer.act != "read"
        and answer.ended_at >= since
        and (answer.status != 303 or answer.ended_at - answer.began_at > 2)
    ]
    return max(last) - since if last else 0.0
