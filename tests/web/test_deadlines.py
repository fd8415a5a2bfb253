"""The timer of a connection: it acts when the last deadline that was set has passed, and not before."""

import asyncio

import pytest

from petition.web.deadlines import ClientWait, Deadline


class Owner:
    """Notes what was given up, and when."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.acts: list[tuple[ClientWait, float]] = []
        self.has_acted = asyncio.Event()

    def give_up(self, wait: ClientWait) -> None:
        self.acts.append((wait, self.loop.time() - self.began))
        self.has_acted.set()


@pytest.fixture
async def owner() -> Owner:
    return Owner()


@pytest.fixture
async def deadline(owner: Owner) -> Deadline:
    return Deadline(owner.loop, owner)


async def test_the_last_one_counts(owner: Owner, deadline: Deadline) -> None:
    deadline.set(ClientWait.HEAD, 0.02)
    deadline.clear()
    deadline.set(ClientWait.REQUEST, 0.2)
    async with asyncio.timeout(30):
        await owner.has_acted.wait()
    [(wait, after)] = owner.acts
    assert wait is ClientWait.REQUEST
    assert after >= 0.19
    assert deadline.wait is None


async def test_an_earlier_one_is_not_missed(owner: Owner, deadline: Deadline) -> None:
    deadline.set(ClientWait.REQUEST, 3600)
    deadline.set(ClientWait.END, 0.01)
    async with asyncio.timeout(30):
        await owner.has_acted.wait()
    assert [wait for wait, _ in owner.acts] == [ClientWait.END]


async def test_it_serves_again_after_a_rest(owner: Owner, deadline: Deadline) -> None:
    deadline.set(ClientWait.HEAD, 0.01)
    deadline.clear()
    while deadline._timer is not None:
        await asyncio.sleep(0.01)
    assert owner.acts == []
    deadline.set(ClientWait.REQUEST, 0.01)
    async with asyncio.timeout(30):
        await owner.has_acted.wait()
    assert [wait for wait, _ in owner.acts] == [ClientWait.REQUEST]


async def test_once_stopped_it_holds_and_does_nothing(owner: Owner, deadline: Deadline) -> None:
    deadline.set(ClientWait.HEAD, 0.01)
    deadline.stop()
    await asyncio.sleep(0.03)
    assert owner.acts == []
    assert deadline._owner is None
    deadline.set(ClientWait.HEAD, 0.0)
    while deadline._timer is not None:
        await asyncio.sleep(0.01)
    assert owner.acts == []
