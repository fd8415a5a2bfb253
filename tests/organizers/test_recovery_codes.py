"""Recovery codes: what is stored of them, codes of older versions, one use, and a line for those who hash."""

import asyncio
import re

import httpx2
import pytest

from petition.core.encryption import Wrapper
from petition.core.ids import OrganizerId
from petition.organizers import recovery_codes, sign_in_links
from petition.organizers.desk_key import DeskKey
from tests.organizers import people
from tests.rows import rows_of
from tests.running import KEY, Installation

VERA = "vera@letters.example"
OLD = ("abcd-efgh-ijkl", "mnop-qrst-uvwx")
ROWS = "SELECT digest, salt FROM recovery_code ORDER BY digest"
ADD_OLD = "INSERT INTO recovery_code (organizer, digest) VALUES ($1, $2)"


async def add_old_codes(site: Installation) -> OrganizerId:
    """Add an organizer whose codes are stored as versions before 0022 did."""
    who = await people.add(site, VERA)
    await people.give_totp(site, who.id)
    async with site.database.connection() as conn:
        for code in OLD:
            await conn.execute(
                ADD_OLD, who.id, await DeskKey(Wrapper([KEY])).of_code(conn, who.id, code.replace("-", ""))
            )
    return who.id


async def enter(site: Installation, client: httpx2.AsyncClient, organizer_id: OrganizerId) -> None:
    async with site.database.connection() as conn:
        token = await sign_in_links.link(conn, organizer_id)
    assert (await client.post(f"/organizer/enter/{token}")).status_code == 303


async def attempt(client: httpx2.AsyncClient, code: str) -> int:
    return (await client.post("/organizer/second", data={"code": code})).status_code


async def new_codes(site: Installation, organizer_id: OrganizerId) -> list[str]:
    async with site.database.transaction() as conn:
        return await recovery_codes.make(conn, DeskKey(Wrapper([KEY])), organizer_id)


async def test_a_copy_of_the_database_and_all_keys_holds_no_quick_digest(site: Installation) -> None:
    who = await people.add(site, VERA)
    codes = await new_codes(site, who.id)
    rows = await rows_of(site.database, ROWS)
    assert len(rows) == len(set(codes)) == 10
    assert {len(row["salt"]) for row in rows} == {16}
    async with site.database.connection() as conn:
        quick = {await DeskKey(Wrapper([KEY])).of_code(conn, who.id, recovery_codes.plain(code)) for code in codes}
    assert not quick & {row["digest"] for row in rows}
    assert (recovery_codes.MEMORY, recovery_codes.PASSES) >= (19 * 1024 * 1024, 2)


async def test_two_organizers_have_two_salts(site: Installation) -> None:
    for email in (VERA, "anna@letters.example"):
        await new_codes(site, (await people.add(site, email)).id)
    assert len({row["salt"] for row in await rows_of(site.database, ROWS)}) == 2


@pytest.mark.parametrize("hashed", [False, True])
async def test_codes_of_older_versions_pass_once_before_and_after_they_are_hashed(
    site: Installation, hashed: bool
) -> None:
    organizer_id = await add_old_codes(site)
    if hashed:
        assert await recovery_codes.hash_old(site.database) == 2
        assert await recovery_codes.hash_old(site.database) == 0
    async with people.stranger(site) as client:
        await enter(site, client, organizer_id)
        assert await attempt(client, "abcd efgh IJKL") == 303
        await enter(site, client, organizer_id)
        assert await attempt(client, OLD[0]) == 422
        assert await attempt(client, OLD[1]) == 303
    assert await rows_of(site.database, ROWS) == []


async def test_the_worker_leaves_no_code_of_the_old_form(site_with_worker: Installation) -> None:
    await add_old_codes(site_with_worker)
    before = await rows_of(site_with_worker.database, ROWS)
    assert [row["salt"] for row in before] == [None, None]
    await recovery_codes.hash_old(site_with_worker.database)
    after = await rows_of(site_with_worker.database, ROWS)
    assert len(after) == 2
    assert all(row["salt"] for row in after)
    assert not {row["digest"] for row in before} & {row["digest"] for row in after}


async def test_hashing_changes_no_code_that_was_replaced_meanwhile(site: Installation) -> None:
    organizer_id = await add_old_codes(site)
    hashing = asyncio.create_task(recovery_codes.hash_old(site.database))
    codes = await new_codes(site, organizer_id)
    await hashing
    assert len(await rows_of(site.database, ROWS)) == 10
    async with people.stranger(site) as client:
        await enter(site, client, organizer_id)
        assert await attempt(client, codes[0]) == 303


async def test_of_two_browsers_that_send_one_code_at_once_one_enters(site: Installation) -> None:
    who = await people.add(site, VERA)
    await people.give_totp(site, who.id)
    (code, *_) = await new_codes(site, who.id)
    async with people.stranger(site) as first, people.stranger(site) as second:
        for client in (first, second):
            await enter(site, client, who.id)
        assert sorted(await asyncio.gather(attempt(first, code), attempt(second, code))) == [303, 422]


async def test_a_flood_of_attempts_is_hashed_two_at_a_time(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await people.add(site, VERA)
    await new_codes(site, who.id)
    under_way, largest, hash_one = 0, 0, recovery_codes._argon2id

    def count(digest: bytes, salt: bytes) -> bytes:
        nonlocal under_way, largest
        under_way += 1
        largest = max(largest, under_way)
        try:
            return hash_one(digest, salt)
        finally:
            under_way -= 1

    monkeypatch.setattr(recovery_codes, "_argon2id", count)
    key = DeskKey(Wrapper([KEY]))
    attempts = [recovery_codes.stored_forms(site.database, key, who.id, f"abcd-{n:04}") for n in range(12)]
    assert len(await asyncio.gather(*attempts)) == 12
    assert largest == 2


async def test_a_code_is_read_however_it_is_typed() -> None:
    assert {recovery_codes.plain(text) for text in ("ABCD-efgh-2345", " abcd efgh 2345 ", "abcdefgh2345")} == {
        "abcdefgh2345"
    }
    assert re.fullmatch(r"([a-z2-7]{4}-){2}[a-z2-7]{4}", recovery_codes._new_code())
