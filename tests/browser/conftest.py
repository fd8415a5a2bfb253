"""One real Chromium for the run, one installation for each file of tests, and visitors that come to it.

A missing Chromium is an error, never a skip: without a browser nothing here is proven.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Browser, async_playwright

from petition.captcha import drawn, gate
from petition.captcha.pow import Price, ProofOfWork
from tests.browser.visitor import Meet, Town, Visitor, greet
from tests.conftest import fresh_database
from tests.running import installation, working

if TYPE_CHECKING:
    import asyncpg

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Real derivations in the real solver, few of them; one test pays the full price.
QUICK = Price(iterations=5000, numbers=range(20, 40), dear_numbers=range(40, 60))


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Give the browser; pages that one goes back to are kept, as in everybody's browser."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield started
        await started.close()


@pytest.fixture(scope="module")
async def town(
    cluster: str,
    admin: "asyncpg.Connection[asyncpg.Record]",
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Town]:
    """Give an installation with its worker for the tests of one file, each with mailboxes of its own."""
    async with fresh_database(cluster, admin, template) as url, running(url, tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture
async def hamlet(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """Give an installation of this test's own, for those who change the letter."""
    async with running(database_url, tmp_path) as town:
        yield town


@pytest.fixture
async def meet(chromium: Browser) -> AsyncIterator[Meet]:
    """Give a function that sends a visitor to a town; in the end none had anything to complain of."""
    visitors: list[Visitor] = []
    async with AsyncExitStack() as stack:

        async def one(town: Town, lang: str = "en", *, scripts: bool = True, **more: Any) -> Visitor:
            visitor = await stack.enter_async_context(greet(chromium, town, lang, scripts=scripts, **more))
            visitors.append(visitor)
            return visitor

        yield one
        left = [await visitor.left_behind() for visitor in visitors]
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
    assert not any(left)


class running(AsyncExitStack):  # used as a function
    """Run an installation whose proof of work is quick, and whose drawn codes the tests can look up."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__()
        self._url, self._folder = url, folder

    async def __aenter__(self) -> Town:  # type: ignore[override]
        patch = self.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(gate, "ProofOfWork", partial(ProofOfWork, price=QUICK))
        answers: dict[str, str] = {}
        make = drawn.DrawnCodes.token

        def remembering(codes: drawn.DrawnCodes, answer: str, letter_id: int, *, dear: bool) -> str:
            token = make(codes, answer, letter_id, dear=dear)
            answers[token] = answer
            return token

        patch.setattr(drawn.DrawnCodes, "token", remembering)
        site = await self.enter_async_context(installation(self._url, self._folder))
        await self.enter_async_context(working(site.environ, site.inbox))
        return Town(site, answers)
