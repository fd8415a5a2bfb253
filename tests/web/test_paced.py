"""So much of a kind in one iteration of the event loop, first come, first served."""

import asyncio

from petition.web.paced import Paced


async def test_the_next_ones_come_in_the_next_iterations() -> None:
    paced, order = Paced(2), []

    async def come(name: str) -> None:
        await paced.wait()
        order.append(name)

    tasks = [asyncio.create_task(come(name)) for name in "abcdef"]
    seen = []
    while len(order) < len(tasks):
        await asyncio.sleep(0)
        seen.append("".join(order))
    assert [text for text in dict.fromkeys(seen) if text] == ["ab", "abcd", "abcdef"]


async def test_one_that_leaves_takes_no_place() -> None:
    paced = Paced(1)
    first, leaving, last = (asyncio.create_task(paced.wait()) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(first, last)
        assert (await asyncio.gather(leaving, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        await paced.wait()
