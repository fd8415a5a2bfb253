"""Bars: whose signature was removed cannot sign that letter again, until nothing speaks against them any more."""

import asyncio

from petition.core.audit_log import Actor
from petition.core.ids import LogId, OrganizerId
from petition.moderation import decisions
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.confirming import Confirming, ConfirmRequest, ConfirmResult
from petition.signatures.model import Reason
from tests import rows
from tests.moderation.desk import Bench


async def test_a_removed_mailbox_cannot_sign_again(bench: Bench) -> None:
    (vera,) = await bench.confirm(["vera@letters.example"], name="Vera")
    outcome = await bench.remove(vera)
    async with bench.database.transaction() as conn:
        (again,) = await rows.add_pending(conn, bench.letter, ["vera@letters.example"], name="Vera")
    claim = ConfirmRequest(bench.letter.id, again, bench.letter.keys)
    assert (await Confirming(bench.database).submit(claim)).result is ConfirmResult.REMOVED
    await bench.undo(outcome.log_id)
    # The mailbox has its old signature again, so the second confirms nothing and says so calmly.
    assert (await Confirming(bench.database).submit(claim)).result is ConfirmResult.CONFIRMED
    assert (await bench.check())["people"] == 1


async def test_a_mailbox_stays_barred_whose_removed_signature_was_deleted(bench: Bench) -> None:
    (vera,) = await bench.confirm(["vera@letters.example"], name="Vera")
    (office,) = await bench.confirm(["vera@letters.example"], name="Vera", organization_en="North Pier")
    await bench.remove(vera)
    refused = await bench.remove(office, reason=Reason.NOT_AUTHORIZED)
    await self_service.delete(bench.database, bench.letter, vera)
    await bench.undo(refused.log_id)
    assert await bench.states(office) == ["held"]
    async with bench.database.transaction() as conn:
        (again,) = await rows.add_pending(conn, bench.letter, ["vera@letters.example"], name="Vera")
    claim = ConfirmRequest(bench.letter.id, again, bench.letter.keys)
    assert (await Confirming(bench.database).submit(claim)).result is ConfirmResult.REMOVED


async def test_one_mailbox_may_be_removed_twice_in_one_act(bench: Bench) -> None:
    (vera,) = await bench.confirm(["vera@letters.example"], name="Vera")
    (office,) = await bench.confirm(["vera@letters.example"], name="Vera", organization_en="North Pier")
    removed = await bench.remove(vera, office)
    assert await bench.states(vera, office) == ["removed", "removed"]
    back = await bench.undo(removed.log_id)
    assert await bench.states(vera, office) == ["confirmed", "held"]
    assert await bench.rows("SELECT digest FROM bar WHERE letter = $1") == []
    await bench.undo(back.log_id)
    assert await bench.states(vera, office) == ["removed", "removed"]
    assert len(await bench.rows("SELECT digest FROM bar WHERE letter = $1")) == 1


async def test_one_mailbox_is_barred_and_let_go_at_the_same_moment(bench: Bench) -> None:
    (vera,) = await bench.confirm(["vera@letters.example"], name="Vera")
    (office,) = await bench.confirm(["vera@letters.example"], name="Vera", organization_en="North Pier")
    refused = await bench.remove(office, reason=Reason.NOT_AUTHORIZED)
    async with bench.database.transaction() as conn:
        await decisions.decide(
            conn,
            Actor(OrganizerId(1), bench.letter.id),
            bench.letter.keys,
            Action.REMOVE,
            {vera: LogId(0)},
            Reason.FAKE,
        )
        undoing = asyncio.create_task(bench.undo(refused.log_id))
        async with bench.database.connection() as other:  # it waits until the first has committed
            while not await other.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"
            ):
                await asyncio.sleep(0.01)
    await undoing
    assert await bench.states(vera, office) == ["removed", "held"]
    assert len(await bench.rows("SELECT digest FROM bar WHERE letter = $1")) == 1


async def test_a_mailbox_that_signed_twice_is_removed_for_two_reasons_again(bench: Bench) -> None:
    address = ["both@letters.example"]
    person, office = [
        *await bench.confirm(address, name="Anna Berg"),
        *await bench.confirm(address, name="Anna Berg", organization_en="North Pier"),
    ]
    await bench.decide(Action.APPROVE, office)
    await bench.remove(person, reason=Reason.FAKE)
    await bench.remove(office, reason=Reason.ABUSE)
    before = await bench.snapshot()
    await bench.undo((await bench.decide(Action.RESTORE, person, office)).log_id)
    assert await bench.snapshot() == before
