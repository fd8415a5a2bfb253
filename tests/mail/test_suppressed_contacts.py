"""Whoever never wants mail again has no address kept, on whichever letter, for whatever purpose."""

import secrets
from collections.abc import AsyncIterator

import pytest

from petition.core.database import Connection, Database, opened
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Sealer, new_contact_pair
from petition.core.ids import SignatureId
from petition.mail import suppressed_contacts
from petition.mail.suppressed_contacts import SuppressedContactCleaner
from petition.mail.suppression import Suppression
from tests.mail.installation import Installation, Letter

ADD = """
INSERT INTO signature (letter, id, listed_at, kind, state, visibility) VALUES ($1, $2, now(), $3, 'confirmed', $4)
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, max_size=3) as database:
        yield database


@pytest.fixture
def sweeper(installation: Installation) -> SuppressedContactCleaner:
    assert installation.settings.contact_private_key is not None
    return SuppressedContactCleaner(
        Opener(installation.settings.contact_private_key, DecryptionCounts()), Suppression(installation.wrapper)
    )


async def keep(conn: Connection, letter: Letter, sealed: bytes, purpose: str = "updates") -> SignatureId:
    """Keep a sealed address beside a new signature."""
    place = SignatureId(secrets.randbits(62))
    kind, visibility = ("person", "counted") if purpose == "updates" else ("organization", "organizers")
    await conn.execute(ADD, letter.id, place, kind, visibility)
    await conn.execute("INSERT INTO contact VALUES ($1, $2, $3, $4)", letter.id, place, purpose, sealed)
    return place


async def never(installation: Installation, address: str) -> None:
    """Say "never" as the web does."""
    digest = await Suppression(installation.wrapper).digest(installation.conn, address)
    await installation.conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)


async def left(conn: Connection) -> set[int]:
    return {row["signature"] for row in await conn.fetch("SELECT signature FROM contact")}


async def test_all_addresses_of_one_mailbox_go(
    installation: Installation, database: Database, sweeper: SuppressedContactCleaner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressed_contacts, "BATCH", 2)
    conn, seal = installation.conn, Sealer(installation.settings.contact_public_key).seal
    one, other = await installation.letter(), await installation.letter("another-letter")
    for letter in (one, other):
        for spelt, purpose in (("v.era@gmail.com", "updates"), ("Vera+x@gmail.com", "representative")):
            await keep(conn, letter, seal(spelt), purpose)
    kept = {await keep(conn, letter, seal(f"voice{n}@letters.example")) for letter in (one, other) for n in range(5)}
    kept.add(await keep(conn, one, b"no address at all"))
    kept.add(await keep(conn, one, Sealer(new_contact_pair()[0]).seal("vera@gmail.com")))  # an older key's
    kept.add(await keep(conn, one, seal("no address")))
    assert await sweeper.sweep(database) == 0
    assert len(await left(conn)) == len(kept) + 4
    await never(installation, "vera@gmail.com")
    assert await sweeper.sweep(database) == 4
    assert await left(conn) == kept
    assert await sweeper.sweep(database) == 0
    # The signatures themselves stay.
    assert await conn.fetchval("SELECT count(*) FROM signature") == len(kept) + 4


async def test_it_goes_on_where_it_stopped(
    installation: Installation, database: Database, sweeper: SuppressedContactCleaner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressed_contacts, "BATCH", 2)
    monkeypatch.setattr(suppressed_contacts, "ROUND", 4)
    conn, seal = installation.conn, Sealer(installation.settings.contact_public_key).seal
    letter = await installation.letter()
    for _ in range(9):
        await keep(conn, letter, seal("vera@letters.example"))
    await never(installation, "vera@letters.example")
    assert [await sweeper.sweep(database) for _ in range(4)] == [4, 4, 1, 0]


async def test_whoever_confirms_after_saying_never_is_found_the_next_day(
    installation: Installation, database: Database, sweeper: SuppressedContactCleaner
) -> None:
    conn, seal = installation.conn, Sealer(installation.settings.contact_public_key).seal
    letter = await installation.letter()
    await never(installation, "vera@letters.example")
    assert await sweeper.sweep(database) == 0
    await keep(conn, letter, seal("vera@letters.example"))
    assert await sweeper.sweep(database) == 0
    await conn.execute("UPDATE suppressed SET swept_at = now() - interval '25 hours'")
    assert await sweeper.sweep(database) == 1
    await conn.execute("UPDATE suppressed SET swept_at = now() - interval '25 hours'")
    await conn.execute("UPDATE suppressed SET since = now() - interval '9 days'")
    await keep(conn, letter, seal("vera@letters.example"))
    assert await sweeper.sweep(database) == 0  # by then nothing can be confirmed that was open


async def test_two_workers_at_once(
    installation: Installation, database: Database, sweeper: SuppressedContactCleaner
) -> None:
    conn, seal = installation.conn, Sealer(installation.settings.contact_public_key).seal
    await keep(conn, await installation.letter(), seal("vera@letters.example"))
    await never(installation, "vera@letters.example")
    private = installation.settings.contact_private_key
    assert private is not None
    second = SuppressedContactCleaner(Opener(private, DecryptionCounts()), Suppression(installation.wrapper))
    await sweeper.sweep(database)
    await second.sweep(database)
    assert await left(conn) == set()
