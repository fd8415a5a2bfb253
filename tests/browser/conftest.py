"""One real Chromium for the run, one installation for each file of tests, and visitors that come to it.

A missing Chromium is an error, never a skip: without a browser nothing here is proven. Starting a context costs most
of a second, so visitors are kept for the tests of a file; each time they come from another network.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser

from petition.captcha import captchas, drawn
from petition.captcha.pow import Price, ProofOfWork
from petition.core.ids import LetterId
from tests.browser import album
from tests.browser.album import Gallery
from tests.browser.visitor import Meet, Town, Visitor, greet
from tests.conftest import fresh_database
from tests.running import installation, working

if TYPE_CHECKING:
    import asyncpg

# Real derivations in the real solver, few of them; one test pays the full price.
QUICK = Price(iterations=5000, numbers=range(20, 40), hard_numbers=(range(40, 60), range(60, 80), range(80, 100)))


@pytest.fixture(scope="module")
async def town(
    cluster: str,
    admin: "asyncpg.Connection[asyncpg.Record]",
    published: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Town]:
    """Give an installation with its worker for the tests of one file, each with mailboxes of its own."""
    folder = tmp_path_factory.mktemp("town")
    async with fresh_database(cluster, admin, published) as url, running(url, folder) as town:
        yield town


@pytest.fixture(scope="module")
async def gallery(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Give the town of this file furnished: letters of all kinds, a crowd on one of them."""
    return await album.furnish(town, tmp_path_factory.mktemp("letters"))


@pytest.fixture
async def hamlet(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Town]:
    """Give an installation of this test's own, for those who change the letter."""
    async with running(database_url, tmp_path) as town:
        yield town


@pytest.fixture(scope="module")
async def regulars(chromium: Browser) -> AsyncIterator[Meet]:
    """Give a function that returns the visitor who reads so; they stay until the file's tests are over."""
    known: dict[tuple[str, bool], Visitor] = {}
    async with AsyncExitStack() as stack:

        async def come(town: Town, lang: str = "en", *, scripts: bool = True) -> Visitor:
            key = lang, scripts
            if key not in known:
                known[key] = await stack.enter_async_context(greet(chromium, scripts=scripts))
            visitor = known[key]
            await visitor.come(town, lang)
            return visitor

        yield come


@pytest.fixture
async def meet(regulars: Meet) -> AsyncIterator[Meet]:
    """Give a function that has a visitor come; in the end none had anything to complain of, or was given anything."""
    met: list[Visitor] = []

    async def come(town: Town, lang: str = "en", *, scripts: bool = True) -> Visitor:
        met.append(await regulars(town, lang, scripts=scripts))
        return met[-1]

    yield come
    for visitor in met:
        assert visitor.complaints == []
        assert await visitor.left_behind() == []


@asynccontextmanager
async def running(url: str, folder: Path, **more: str) -> AsyncIterator[Town]:
    """Run an installation whose proof of work is quick, and whose drawn codes the tests can look up."""
    answers: dict[str, str] = {}
    make = drawn.DrawnCodes.token

    def remembering(codes: drawn.DrawnCodes, answer: str, letter_id: LetterId, *, hard: bool) -> str:
        token = make(codes, answer, letter_id, hard=hard)
        answers[token] = answer
        return token

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captchas, "ProofOfWork", partial(ProofOfWork, price=QUICK))
        patch.setattr(drawn.DrawnCodes, "token", remembering)
        async with installation(url, folder, **more) as site, working(site.environ, site.inbox):
            yield Town(site, answers)
