"""Visitors who sign one after the other, and remember what they were told."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from petition.captcha.pow import ProofOfWork
from petition.letters.model import Letter
from tests.captcha.installation import CHEAP, solve
from tests.running import KEY, SLUG

POW = ProofOfWork([KEY], price=CHEAP)


@dataclass
class Crowd:
    """Signs with a new address from a new network each time, until stopped."""

    client: httpx2.AsyncClient
    letter: Letter
    first: int = 0  # the number of the first of them
    taken: list[str] = field(default_factory=list)  # addresses answered 303
    refused: list[tuple[str, httpx2.Response]] = field(default_factory=list)  # every other answer
    broken: int = 0  # connections that gave no answer
    stopped: bool = False

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.first)

    async def sign(self) -> httpx2.Response:
        """Sign once."""
        n = next(self._numbers)
        form = {
            "version": self.letter.version.digest,
            "kind": "person",
            "name": "Vera Novak",
            "email": f"voice{n}@letters.example",
            "visibility": ("public", "organizers", "counted")[n % 3],
            "consent": "yes",
            "altcha": solve(POW.challenge(self.letter.id)),
        }
        network = {"x-forwarded-for": f"198.18.{n // 250}.{n % 250}"}
        answer = await self.client.post(f"/en/{SLUG}/sign", data=form, headers=network)
        if answer.status_code == 303:
            self.taken.append(form["email"])
        else:
            self.refused.append((form["email"], answer))
        return answer

    async def keep_signing(self) -> None:
        """Sign until stopped; when there is no answer, or none that is wanted, pause a little."""
        while not self.stopped:
            try:
                answer = await self.sign()
            except httpx2.TransportError:
                self.broken += 1
                await asyncio.sleep(0.05)
                continue
            if answer.status_code != 303:
                await asyncio.sleep(0.05)

    async def until_taken(self, more: int) -> None:
        """Wait until ``more`` signatures have been taken from now."""
        wanted = len(self.taken) + more
        async with asyncio.timeout(120):
            while len(self.taken) < wanted:
                await asyncio.sleep(0.01)

    def statuses(self) -> Counter[int]:
        """Return how often which status was answered instead of 303."""
        return Counter(answer.status_code for _, answer in self.refused)


@asynccontextmanager
async def signing(crowd: Crowd, at_once: int = 16) -> AsyncIterator[None]:
    """Have so many of them sign at once while the block runs."""
    tasks = [asyncio.create_task(crowd.keep_signing()) for _ in range(at_once)]
    try:
        yield
    finally:
        crowd.stopped = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
