"""An intruder with the database and ``SECRET_KEY`` tries addresses: without the keeper every one is told, with it none.

The attacker knows this program, and makes each value that it would store of a mailbox.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from petition.core import email_addresses, encryption
from petition.core.database import Database
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.quotas import DayKey
from petition.imports import file_adding
from petition.imports.file_adding import NO_ANSWERS
from petition.imports.row_reading import Target
from petition.keeper import adoption
from petition.mail.suppression import Suppression
from petition.organizers.desk_key import DeskKey
from petition.worker import retention
from tests import rows
from tests.keeper import keepers
from tests.organizers import door, people
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation, installation

KNOWN = [f"person{number}@letters{number % 7}.example" for number in range(10_000)]
SIGNED, CONFIRMED, FINDING, LISTED = KNOWN[:20], KNOWN[20:40], KNOWN[40:50], KNOWN[50:90]
SUPPRESSED, ORGANIZING, BARRED, ASKING = KNOWN[90:100], KNOWN[100:105], KNOWN[105:110], KNOWN[110:115]
STORED = KNOWN[:115]
TABLES = "SELECT tablename AS relname FROM pg_tables WHERE schemaname = 'public'"


async def dump(database: Database) -> set[str]:
    """Return every binary value of every table, in hexadecimal, also where it is in JSON."""
    values: set[str] = set()
    for table in [row["relname"] for row in await rows_of(database, TABLES)]:
        for row in await rows_of(database, f"SELECT t::text AS row FROM {table} t"):
            values.update(re.findall(r"[0-9a-f]{16,}", row["row"]))
    return values


class Attacker:
    """Holds the dump and the secret."""

    def __init__(self, letters: list[LetterKeys], suppression: bytes, desk: bytes | None, days: list[DayKey]) -> None:
        self.letters, self.suppression, self.desk, self.days = letters, suppression, desk, days

    @classmethod
    async def of(cls, database: Database) -> "Attacker":
        wrapper = Wrapper([KEY])
        letters = [
            LetterKeys(wrapper.unwrap(row["wrapped_digest_key"]), None, row["id"])
            for row in await rows_of(database, "SELECT id, wrapped_digest_key FROM letter")
            if row["wrapped_digest_key"] is not None
        ]
        (installation_row,) = await rows_of(database, "SELECT wrapped_suppression_key AS key FROM installation")
        (desk,) = await rows_of(database, "SELECT wrapped AS key FROM desk_key")
        days = [
            DayKey(row["day"], wrapper.unwrap(row["wrapped"]))
            for row in await rows_of(database, "SELECT day, wrapped FROM day_key")
        ]
        return cls(letters, wrapper.unwrap(installation_row["key"]), wrapper.unwrap(desk["key"]), days)

    def values(self, address: str) -> Iterator[bytes]:
        """Yield what the program would store of a mailbox, as far as it is known how."""
        mailbox = email_addresses.parse(address)
        name = email_addresses.canonical(mailbox)
        yield encryption.digest(self.suppression, name)
        if self.desk is not None:
            desk = encryption.digest(self.desk, f"mailbox|{name}")
            yield desk
            for day in self.days:
                yield from (day.hourly("entry-mailbox", text).key for text in (name, desk.hex()))
        for letter in self.letters:
            digest = letter.digest(name)
            yield digest
            for day in self.days:
                yield day.daily("mailbox-letter", f"{letter.letter_id}|{name}").key
                code = f"{letter.letter_id}|{digest.hex()}"
                yield day.hidden_daily("code", code, 1, 1).quota.key
        for day in self.days:
            yield day.daily("mailbox", name).key

    def told(self, stolen: set[str]) -> set[str]:
        """Return the addresses that the dump gives away."""
        return {address for address in KNOWN if any(value.hex() in stolen for value in self.values(address))}


async def fill(site: Installation, keeper: KeeperClient) -> None:
    """Have mailboxes stored in every way."""
    for address in SIGNED:
        assert (await site.sign(email=address)).status_code == 303
    for address in FINDING:
        form = {"email": address, "altcha": await site.challenge()}
        answer = await site.client.post(f"/en/{SLUG}/find", data=form, headers=site.new_network())
        assert answer.status_code == 303
    async with people.stranger(site) as stranger:
        for address in ASKING:
            assert (await door.ask(site, stranger, address)).status_code in {200, 303}
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        purpose = KeeperPurpose.SIGN
        digests = {one: await keeper.digest(letter.keys, one, purpose) for one in (*CONFIRMED, *BARRED)}
        for address in CONFIRMED:
            await conn.execute(
                "INSERT INTO signature (letter, id, kind, visibility, state, version, digest, signed_at, listed_at)"
                " VALUES ($1, $2, 'person', 'counted', 'confirmed', 1, $3, now(), now())",
                letter.id,
                int.from_bytes(digests[address][:7]),
                digests[address],
            )
        await conn.executemany("INSERT INTO bar VALUES ($1, $2)", [(letter.id, digests[one]) for one in BARRED])
        table = "name,email\n" + "\n".join(f"Listed Person {n},{one}" for n, one in enumerate(LISTED))
        target = Target(letter.id, letter.keys, letter.rules_version)
        await file_adding.add_rows(conn, target, BytesIO(table.encode()), answers=NO_ANSWERS, keeper=keeper)
        suppression, desk = Suppression(Wrapper([KEY]), keeper), DeskKey(Wrapper([KEY]), keeper)
        inner = [await suppression.digest(conn, address) for address in SUPPRESSED]
        stored = await suppression.stored(conn, inner)
        await conn.executemany("INSERT INTO suppressed (digest) VALUES ($1)", [(digest,) for digest in stored])
        for address in ORGANIZING:
            digest = await desk.of_mailbox(conn, email_addresses.parse(address))
            await conn.execute("INSERT INTO organizer (digest, sealed, lang, name) VALUES ($1, '', 'en', 'A')", digest)


@asynccontextmanager
async def site_on(url: str, folder: Path, **settings: str) -> AsyncIterator[tuple[Installation, KeeperClient]]:
    async with (
        installation(url, folder, **settings) as site,
        KeeperClient(site.settings.keeper, site.database) as client,
    ):
        yield site, client


async def test_without_a_keeper_every_address_is_told(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with site_on(database_url, tmp_path) as (site, client):
        await fill(site, client)
        attacker = await Attacker.of(site.database)
        assert attacker.told(await dump(site.database)) == set(STORED)


async def test_a_destroyed_key_leaves_digests_that_tell_nothing(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    """Without a keeper: 30 days after closing only those can be told whom the installation itself knows for longer."""
    async with site_on(database_url, tmp_path) as (site, client):
        await fill(site, client)
        async with site.database.connection() as conn:
            await conn.execute("UPDATE letter SET state = 'closed', closed_at = now() - interval '30 days'")
            await conn.execute("UPDATE day_key SET day = day - 3")
            await conn.execute("UPDATE limit_use SET expires_at = expires_at - interval '3 days'")
            await conn.execute("UPDATE sign_in_ask SET expires_at = expires_at - interval '3 days'")
            await conn.execute("DELETE FROM outbox")  # sent
        assert await retention.destroy_digest_keys(site.database) == 1
        for table in ("limit_use", "day_key", "sign_in_ask", "pending"):
            await retention.drop_expired(site.database, table)
        attacker = await Attacker.of(site.database)
        assert attacker.letters == []
        assert len(await rows_of(site.database, "SELECT digest FROM signature WHERE digest IS NOT NULL")) >= 20
        told = attacker.told(await dump(site.database))
        assert told == {*SUPPRESSED, *ORGANIZING}


@pytest.mark.parametrize("is_late", [False, True], ids=["from the start", "switched later"])
async def test_with_a_keeper_none_is_told(
    database_url: str, tmp_path: Path, with_letter: None, *, is_late: bool
) -> None:
    async with keepers.a_keeper() as keeper, site_on(database_url, tmp_path, **keeper.settings) as (site, client):
        if not is_late:
            await adoption.look(site.database, site.settings)
            assert (await site.page_when(f"/en/{SLUG}", lambda _: True)) is not None
            await until_kept(site)
        await fill(site, client)
        if is_late:
            assert await adoption.adopt(site.database, client, Wrapper([KEY])) == 1
        stolen = await dump(site.database)
        attacker = await Attacker.of(site.database)
        assert attacker.told(stolen) == set()
        assert datetime.now(UTC).date() in {day.day for day in attacker.days}


async def until_kept(site: Installation) -> None:
    """Wait until the web knows that the letter was switched: it looks twice a second."""
    assert site.app is not None
    while (await site.sign(email="first@letters.example")).status_code == 503:
        pass
