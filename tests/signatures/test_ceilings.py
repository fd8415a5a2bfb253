"""Many of one domain or one mail host: the last ones wait, none is refused, and the count is exact throughout."""

import secrets
from collections.abc import Sequence

import pytest

from petition.core.ids import SignatureId
from petition.core.limits import Limits
from petition.moderation import crowds
from petition.moderation.model import Action
from petition.signatures import ceilings
from petition.signatures.confirming import Confirming, ConfirmRequest, ConfirmResult
from petition.signatures.flags import Flag
from tests import rows
from tests.moderation.desk import Bench

LIMITS = Limits(domain=6, mail_host=20)
NOTE = "UPDATE pending SET domain = $2, mail_host = $3, provider = 'own' WHERE letter = $1 AND id = ANY($4::bigint[])"
GROUP = "SELECT id, state, flags, group_number, name FROM signature WHERE letter = $1 AND group_number = $2 ORDER BY id"


def key_with(limit: int, ceiling: int) -> bytes:
    """Return a digest whose drawn ceiling for ``limit`` is so high."""
    while ceilings.threshold(key := secrets.token_bytes(16), limit) != ceiling:
        pass
    return key


async def sign(
    bench: Bench, addresses: Sequence[str], domain: bytes | None, host: bytes | None = None, **fields: str
) -> list[SignatureId]:
    """Sign from these mailboxes, whose domain and host the worker has noted; return the ids that wait."""
    async with bench.database.transaction() as conn:
        ids = await rows.add_pending(conn, bench.letter, addresses, **fields)
        await conn.execute(NOTE, bench.letter.id, domain, host, ids)
    return ids


async def confirm(bench: Bench, ids: Sequence[SignatureId]) -> list[ConfirmResult]:
    confirming = Confirming(bench.database, LIMITS)
    requests = [ConfirmRequest(bench.letter.id, id, bench.letter.keys) for id in ids]
    return [(await confirming.submit(request)).result for request in requests]


def addresses_at(domain: str, number: int) -> list[str]:
    return [f"pupil{n}@{domain}" for n in range(number)]


async def test_the_last_ones_of_a_domain_wait_and_one_act_settles_all_of_them(bench: Bench) -> None:
    key = key_with(LIMITS.domain, 5)
    ids = await sign(bench, addresses_at("school.ru", 12), key)
    results = await confirm(bench, ids)
    assert results == [ConfirmResult.CONFIRMED] * 5 + [ConfirmResult.HELD] * 7
    assert (await bench.check())["people"] == 5
    await crowds.flag(bench.database, LIMITS)
    group = await bench.rows(GROUP, ceilings.group_of(key))
    assert {row["id"] for row in group} == set(ids)
    assert all(row["flags"] == [Flag.ONE_DOMAIN] for row in group)
    assert [row["name"] is None for row in group] == [row["state"] == "held" for row in group]
    before = await bench.check()
    removed = await bench.remove(*ids)
    assert (await bench.check())["people"] == 0
    await bench.undo(removed.log_id)
    assert await bench.check() == before
    await bench.decide(Action.APPROVE, *ids)
    assert (await bench.check())["people"] == 12
    assert await crowds.flag(bench.database, LIMITS) == 0  # reviewed ones are not flagged again


async def test_many_domains_of_one_host_wait_as_well(bench: Bench) -> None:
    host = key_with(LIMITS.mail_host, 12)
    held = 0
    for n in range(8):
        ids = await sign(bench, addresses_at(f"domain{n}.com", 2), key_with(LIMITS.domain, 9), host)
        held += (await confirm(bench, ids)).count(ConfirmResult.HELD)
    assert held == 4
    await crowds.flag(bench.database, LIMITS)
    group = await bench.rows(GROUP, ceilings.group_of(host))
    assert len(group) == 16
    assert all(row["flags"] == [Flag.ONE_HOST] for row in group)
    assert (await bench.check())["people"] == 12


async def test_a_mailbox_counts_once_and_a_neighbour_pays_nothing(bench: Bench) -> None:
    key = key_with(LIMITS.domain, 3)
    for _ in range(6):
        await confirm(bench, await sign(bench, ["one@school.ru"], key))
    assert (
        await confirm(bench, await sign(bench, ["two@school.ru", "three@school.ru"], key))
        == [ConfirmResult.CONFIRMED] * 2
    )
    assert await confirm(bench, await sign(bench, ["four@school.ru"], key)) == [ConfirmResult.HELD]
    assert await confirm(bench, await sign(bench, ["five@college.ru"], key_with(LIMITS.domain, 3))) == [
        ConfirmResult.CONFIRMED
    ]
    assert (await bench.check())["people"] == 4


async def test_providers_that_anyone_can_use_have_no_ceiling(bench: Bench) -> None:
    ids = await sign(bench, addresses_at("gmail.com", 30), None)
    assert await confirm(bench, ids) == [ConfirmResult.CONFIRMED] * 30


@pytest.mark.parametrize("visibility", ["public", "organizers", "counted"])
async def test_waiting_a_day_is_no_way_around(bench: Bench, visibility: str) -> None:
    key, small = key_with(LIMITS.domain, 5), key_with(LIMITS.domain, 5)
    ids = await sign(bench, addresses_at("school.ru", 9), key, visibility=visibility)
    few = await sign(bench, addresses_at("college.ru", 2), small)
    async with bench.database.transaction() as conn:
        await conn.execute("UPDATE pending SET created_at = created_at - interval '30 hours'")
    await crowds.flag(bench.database, LIMITS)
    noted = await bench.rows("SELECT id, domain FROM pending WHERE letter = $1")
    assert {row["id"] for row in noted if row["domain"]} == set(ids)  # those of a few say nothing any more
    assert (await confirm(bench, ids)).count(ConfirmResult.HELD) == 4
    assert await confirm(bench, few) == [ConfirmResult.CONFIRMED] * 2


async def test_the_digests_are_gone_a_day_later(bench: Bench) -> None:
    await confirm(bench, await sign(bench, addresses_at("school.ru", 9), key_with(LIMITS.domain, 5), b"h" * 16))
    await crowds.flag(bench.database, LIMITS)
    async with bench.database.transaction() as conn:
        await conn.execute("UPDATE signature SET listed_at = listed_at - interval '25 hours'")
    await crowds.flag(bench.database, LIMITS)
    assert await bench.rows(
        "SELECT count(domain) AS domains, count(mail_host) AS hosts FROM signature WHERE letter = $1"
    ) == [{"domains": 0, "hosts": 0}]


async def test_the_class_of_a_provider_is_added_up_and_not_stored(bench: Bench) -> None:
    await confirm(bench, await sign(bench, addresses_at("school.ru", 3), key_with(LIMITS.domain, 5)))
    (sums,) = await bench.rows(
        "SELECT sum(number) AS number FROM statistics_change WHERE letter = $1 AND what = 'provider' AND value = 'own'"
    )
    assert sums["number"] == 3
