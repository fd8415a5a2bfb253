"""Who may use a relay's connections next."""

import asyncio

from petition.core.relay_urls import parse_relay
from petition.mail.relay_pool import RelayPool
from petition.mail.smtp_connection import SmtpConnection


def pool(connections: int = 4, *, is_proven: bool = True) -> RelayPool:
    made = RelayPool(parse_relay(f"smtp://127.0.0.1?connections={connections}"), "letters.example")
    made.prove(is_proven=is_proven)
    return made


async def taken(its: RelayPool, *, bulk: bool = False) -> SmtpConnection | None:
    return await its.take(bulk=bulk, patience=0)


async def test_connections_are_reused_and_limited() -> None:
    its = pool(2)
    one, two = await taken(its), await taken(its)
    assert one
    assert two
    assert await taken(its) is None
    its.give_back(one, bulk=False)
    assert await taken(its) is one


async def test_a_relay_that_has_not_answered_yet_has_one_connection() -> None:
    its = pool(is_proven=False)
    assert await taken(its)
    assert await taken(its) is None
    waiting = asyncio.create_task(its.take(bulk=False, patience=60))
    await asyncio.sleep(0)
    its.prove(is_proven=True)
    assert await waiting


async def test_bulk_gets_half_of_the_connections() -> None:
    its = pool(4)
    assert await taken(its, bulk=True)
    assert await taken(its, bulk=True)
    assert await taken(its, bulk=True) is None
    assert await taken(its)


async def test_bulk_waits_behind_all_others() -> None:
    its = pool(1)
    one = await taken(its)
    assert one
    in_bulk = asyncio.create_task(its.take(bulk=True, patience=60))
    await asyncio.sleep(0)
    normal = asyncio.create_task(its.take(bulk=False, patience=60))
    await asyncio.sleep(0)
    its.give_back(one, bulk=False)
    assert await normal is one
    assert not in_bulk.done()
    its.give_back(one, bulk=False)
    assert await in_bulk is one


async def test_one_that_is_cancelled_leaves_its_turn_to_the_next() -> None:
    its = pool(1)
    one = await taken(its)
    assert one
    first, second = (asyncio.create_task(its.take(bulk=False, patience=60)) for _ in range(2))
    await asyncio.sleep(0)
    its.give_back(one, bulk=False)  # to the first, which is cancelled before it runs
    first.cancel()
    assert await second is one


async def test_a_share_of_none_lets_nothing_through_until_there_is_one() -> None:
    its = pool(1)
    its.set_limit(0)
    waiting = asyncio.create_task(its.take(bulk=False, patience=60))
    await asyncio.sleep(0)
    assert not waiting.done()
    its.set_limit(1)
    assert await waiting
