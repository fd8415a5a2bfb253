"""Organizations that wait: seen by organizers only, let in once, one entry for all who sign for it."""

import asyncio
import secrets
from datetime import UTC, datetime

import pytest

from petition.cli import approve
from petition.core.database import Connection, connect
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, NotFound
from petition.core.ids import LetterId, SignatureId
from petition.signatures import approval, listing
from petition.signatures.model import Counts, Kind, Visibility
from tests.imports.test_adding import counted, import_text, target
from tests.signatures.people import WRAPPER, letter, organization


async def wait(
    conn: Connection, about: LetterId, keys: LetterKeys, visibility: str = "public", **fields: str
) -> SignatureId:
    """Add a signature for an organization as confirming leaves it; return its id."""
    signature_id = SignatureId(secrets.randbits(63))
    fields = {"name": "Anna Ek", "position": "Director", "visibility": visibility, **fields}
    await conn.execute(
        "INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, digest, private, signals)"
        " VALUES ($1, $2, now(), now(), 'organization', 'held', $3, $4, $5, $6)",
        *(about, signature_id, visibility, secrets.token_bytes(16), keys.hide(fields), {"throwaway": True}),
    )
    await conn.execute("INSERT INTO contact VALUES ($1, $2, 'representative', 'x')", about, signature_id)
    return signature_id


async def approve_ids(conn: Connection, *ids: SignatureId) -> list[SignatureId]:
    async with conn.transaction():
        return await approve.approve(conn, WRAPPER, ids)


async def test_what_waits_is_seen_by_organizers_and_by_nobody_else(conn: Connection) -> None:
    about, keys = await letter(conn)
    signature_id = await wait(conn, about, keys, organization_en="North Pier", website="https://northpier.example")
    (held,) = await approval.held(conn, about, keys)
    assert (held.id, held.organization_en, held.organization_ru) == (signature_id, "North Pier", None)
    assert (held.representative, held.position, held.website) == ("Anna Ek", "Director", "https://northpier.example")
    assert held.signals == {"throwaway": True}
    assert held.visibility is Visibility.PUBLIC
    assert await listing.page(conn, about, Kind.ORGANIZATION) == ([], None)
    assert await counted(conn, about) == Counts()


async def test_an_approved_organization_is_listed_and_counted_once(conn: Connection) -> None:
    about, keys = await letter(conn)
    revision = await conn.fetchval("SELECT revision FROM letter WHERE id = $1", about)
    signature_id = await wait(conn, about, keys, organization_en="North Pier", organization_ru="Пирс")
    assert await approve_ids(conn, signature_id) == [signature_id]
    assert await approve_ids(conn, signature_id) == []
    assert await counted(conn, about) == Counts(0, 1, 0, 0)
    (entry,), _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert (entry.name_en, entry.name_ru, entry.representatives) == ("North Pier", "Пирс", ("Anna Ek",))
    assert len(await listing.search(conn, about, Kind.ORGANIZATION, "пирс")) == 1
    assert await approval.held(conn, about, keys) == []
    assert await conn.fetchval("SELECT revision FROM letter WHERE id = $1", about) == revision + 1
    until = await conn.fetchval("SELECT until FROM contact WHERE signature = $1", signature_id)
    assert 29 <= (until - datetime.now(UTC)).days <= 30


async def test_a_representatives_name_is_plain_only_if_it_is_public(conn: Connection) -> None:
    about, keys = await letter(conn)
    public_id = await wait(conn, about, keys, organization_en="North Pier")
    hidden = await wait(conn, about, keys, "organizers", organization_en="North Pier", name="Boris Li")
    await approve_ids(conn, public_id, hidden)
    rows = {row["id"]: row for row in await conn.fetch("SELECT * FROM signature")}
    assert (rows[public_id]["name"], rows[public_id]["position"], rows[public_id]["private"]) == (
        "Anna Ek",
        "Director",
        None,
    )
    assert (rows[hidden]["name"], rows[hidden]["position"]) == (None, None)
    assert keys.reveal(rows[hidden]["private"]) == {"name": "Boris Li", "position": "Director"}
    assert rows[public_id]["organization"] == rows[hidden]["organization"]
    (entry,), _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert entry.representatives == ("Anna Ek",)
    assert await counted(conn, about) == Counts(0, 1, 0, 0)


async def test_a_second_representative_adds_the_name_that_was_missing(conn: Connection) -> None:
    about, keys = await letter(conn)
    await approve_ids(conn, await wait(conn, about, keys, organization_en="ООО «Пирс»"))
    both = await wait(
        conn, about, keys, organization_en="Pier LLC", organization_ru='ооо "пирс"', website="https://p.example"
    )
    await approve_ids(conn, both)
    (entry,), _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert (entry.name_en, entry.name_ru, entry.website) == ("ООО «Пирс»", None, "https://p.example")
    await approve_ids(conn, await wait(conn, about, keys, organization_en="South Pier"))
    await approve_ids(conn, await wait(conn, about, keys, organization_en="SOUTH PIER", organization_ru="Южный пирс"))
    entries, _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert ("South Pier", "Южный пирс") in {(one.name_en, one.name_ru) for one in entries}
    assert await counted(conn, about) == Counts(0, 2, 0, 0)


async def test_an_imported_entry_gets_a_representative_and_stays_one(conn: Connection) -> None:
    about, keys = await letter(conn)
    await import_text(conn, target((about, keys)), "kind,name\norganization,North Pier\n")
    await approve_ids(conn, await wait(conn, about, keys, organization_en="North Pier"))
    assert await counted(conn, about) == Counts(0, 1, 0, 1)


async def test_an_entry_whose_signatures_were_all_taken_back_is_listed_anew(conn: Connection) -> None:
    about, keys = await letter(conn)
    organization_id = await organization(conn, about, "North Pier", representatives=[])
    await conn.execute("UPDATE organization SET key_en = 'north pier' WHERE id = $1", organization_id)
    await approve_ids(conn, await wait(conn, about, keys, organization_en="North Pier"))
    (entry,), _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert entry.id == organization_id
    assert entry.listed_at == await conn.fetchval(
        "SELECT listed_at FROM signature WHERE organization = $1", organization_id
    )
    assert await counted(conn, about) == Counts(0, 1, 0, 0)


async def test_signatures_of_several_letters_are_let_in_together(conn: Connection) -> None:
    letters = [await letter(conn) for _ in range(2)]
    ids = [await wait(conn, about, keys, organization_ru="Пирс") for about, keys in letters for _ in range(2)]
    with pytest.raises(NotFound, match="there is no signature 7, 8"):
        await approve_ids(conn, *ids, SignatureId(7), SignatureId(8))
    assert await conn.fetchval("SELECT count(*) FROM signature WHERE state = 'held'") == len(ids)
    assert sorted(await approve_ids(conn, *ids)) == sorted(ids)
    written = await conn.fetch("SELECT letter, organizer, act, command FROM log ORDER BY letter")
    assert [tuple(row) for row in written] == [(about, None, "signature.approve", True) for about, _ in letters]
    for about, _ in letters:
        assert await counted(conn, about) == Counts(0, 1, 0, 0)


async def test_two_organizers_at_once_make_one_entry(conn: Connection, database_url: str) -> None:
    about, keys = await letter(conn)
    ids = [await wait(conn, about, keys, organization_en="North Pier") for _ in range(12)]
    desks = [await connect(database_url) for _ in range(4)]
    try:
        tries = [approve_ids(desk, *ids[i % 2 :: 2]) for i, desk in enumerate(desks)]
        done = await asyncio.gather(*tries)
    finally:
        for desk in desks:
            await desk.close()
    assert sorted(signature_id for part in done for signature_id in part) == sorted(ids)
    assert await conn.fetchval("SELECT count(*) FROM organization") == 1
    assert await counted(conn, about) == Counts(0, 1, 0, 0)


async def test_without_the_name_key_nothing_is_let_in(conn: Connection) -> None:
    about, keys = await letter(conn)
    signature_id = await wait(conn, about, keys, organization_en="North Pier")
    await conn.execute("UPDATE letter SET wrapped_name_key = NULL")
    with pytest.raises(KeyDestroyed):
        await approve_ids(conn, signature_id)
    assert await conn.fetchval("SELECT state FROM signature WHERE id = $1", signature_id) == "held"
