"""Acts that meet on one letter take their locks in one order (docs/decisions/lock-order.md)."""

import asyncio
from dataclasses import replace

from petition.signatures import counting, search_words, self_service
from petition.signatures.model import Kind
from tests.moderation.desk import Bench

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"


async def test_a_name_is_hidden_while_a_moderator_removes_another(bench: Bench) -> None:
    alice, _ = await bench.sign("Alice Novak", "Bob Petrov")
    letter = replace(bench.letter, names_in_search=True)
    async with bench.database.transaction() as conn:  # as a decision: the words first, then the revision
        await search_words.remove_unused(conn, letter.id, Kind.PERSON, ["no", "such", "words"])
        hiding = asyncio.create_task(
            self_service.change_visibility(bench.database, letter, alice, "organizers", name="")
        )
        async with bench.database.connection() as other:
            while not hiding.done() and not await other.fetchval(WAITING):
                await asyncio.sleep(0.01)
        await counting.move_revision(conn, letter.id)
    await hiding
    assert (await bench.check())["hidden"] == 1
