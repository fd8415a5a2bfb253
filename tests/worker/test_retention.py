"""What is deleted when, and what becomes of a letter by itself."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from petition.core.database import Connection, Database, opened
from petition.core.encryption import Wrapper, new_key
from petition.core.settings import Settings
from petition.worker import main, retention
from tests.mail.installation import SECRET_KEY, Installation, settings

DAY = timedelta(days=1)
SOON = timedelta(minutes=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give the pool of a worker."""
    async with opened(database_url, max_size=2) as database:
        yield database


@pytest.fixture
def its(database_url: str, tmp_path: Path) -> Settings:
    """Give a worker's settings."""
    return settings(tmp_path, database_url)


@pytest.fixture
def installation(conn: Connection, its: Settings) -> Installation:
    """Give an installation."""
    return Installation(conn, its)


async def tidy(database: Database, its: Settings) -> None:
    """Do one round of every chore."""
    await main.do_chores(database, main.chores_of(its))


async def test_pending_signatures_live_for_seven_days(
    database: Database, its: Settings, installation: Installation
) -> None:
    letter = await installation.letter()
    kept = await installation.sign_up(letter, "nemo@example.org", ago=7 * DAY - SOON)
    await installation.sign_up(letter, "ned@example.org", ago=7 * DAY)
    await tidy(database, its)
    assert [row["id"] for row in await installation.conn.fetch("SELECT id FROM pending")] == [kept]


async def test_a_letter_past_its_time_closes_at_that_time(
    database: Database, its: Settings, installation: Installation
) -> None:
    over, open_, draft = [
        await installation.letter(slug, state) for slug, state in (("over", "open"), ("open", "open"), ("dra", "draft"))
    ]
    conn = installation.conn
    await conn.execute(
        "UPDATE letter SET closes_at = now() - interval '1 hour' WHERE id = ANY($1)", [over.id, draft.id]
    )
    await conn.execute("UPDATE letter SET closes_at = now() + interval '1 hour' WHERE id = $1", open_.id)
    for _ in range(2):
        await tidy(database, its)
    rows = await conn.fetch("SELECT state, closed_at = closes_at AS on_time, revision FROM letter ORDER BY id")
    assert [tuple(row) for row in rows] == [("closed", True, 2), ("open", None, 1), ("draft", None, 1)]


async def test_what_can_no_longer_be_confirmed_goes_a_day_after_closing(
    database: Database, its: Settings, installation: Installation
) -> None:
    letters = [await installation.letter(f"letter-{i}") for i in range(4)]
    for letter in letters:
        await installation.sign_up(letter, "nemo@example.org")
    conn = installation.conn
    for letter, hours in zip(letters, (25, 23, -1, None), strict=True):
        closes = None if hours is None else timedelta(hours=hours)
        await conn.execute("UPDATE letter SET closes_at = now() - $2::interval WHERE id = $1", letter.id, closes)
    await tidy(database, its)
    left = [row["letter"] for row in await conn.fetch("SELECT letter FROM pending ORDER BY letter")]
    assert left == [letter.id for letter in letters[1:]]


async def test_contacts_go_when_their_time_is_over(
    database: Database, its: Settings, installation: Installation
) -> None:
    letter = await installation.letter()
    for hours in (-1, 1, None):
        signature = await installation.signature(letter, f"nemo{hours}@example.org")
        until = None if hours is None else timedelta(hours=hours)
        await installation.conn.execute(
            "INSERT INTO contact VALUES ($1, $2, 'updates', 'sealed', now() + $3::interval)",
            letter.id,
            signature,
            until,
        )
    await tidy(database, its)
    assert await installation.conn.fetchval("SELECT count(*) FROM contact WHERE until > now() OR until IS NULL") == 2
    assert await installation.conn.fetchval("SELECT count(*) FROM contact") == 2


@pytest.mark.parametrize("table", ["used_challenge", "limit_use"])
async def test_challenges_and_limits_go_when_they_expire_in_batches(
    database: Database, its: Settings, conn: Connection, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    # A challenge is remembered for an hour longer than it can be used, lest a slow clock lets it in again.
    key, used, kept = ("nonce", "", "-1 hour") if table == "used_challenge" else ("key", "used,", "0")
    await conn.execute(
        f"INSERT INTO {table} ({key}, {used} expires_at) SELECT sha256(n::text::bytea), {'1,' if used else ''}"
        f" now() + CASE WHEN n > 25 THEN interval '1 minute' ELSE interval '{kept}' END FROM generate_series(1, 28) n"
    )
    assert await retention.drop_expired(database, table) == 25
    assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 3


async def test_a_challenge_that_has_just_expired_is_not_forgotten(database: Database, conn: Connection) -> None:
    await conn.execute("INSERT INTO used_challenge VALUES ('n', now() - interval '59 minutes')")
    assert await retention.drop_expired(database, "used_challenge") == 0


async def test_networks_are_forgotten_with_the_key_of_their_day(
    database: Database, its: Settings, installation: Installation
) -> None:
    conn = installation.conn
    letter = await installation.letter()
    for days in range(4):
        await installation.sign_up(letter, f"p{days}@letters.example", ago=days * DAY)
        await installation.signature(letter, f"v{days}@letters.example")
        await conn.execute("UPDATE signature SET signed_at = now() - $1::interval WHERE signed_at IS NULL", days * DAY)
        await conn.execute("INSERT INTO day_key VALUES ((now() - $1::interval)::date, 'wrapped')", days * DAY)
    for table in ("signature", "pending"):
        await conn.execute(f"UPDATE {table} SET network = 'n', domain = 'd', mail_host = 'h'")
    await tidy(database, its)
    for table in ("signature", "pending"):
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 4
        assert await conn.fetchval(f"SELECT count(*) FROM {table} WHERE network IS NOT NULL") == 2
        assert (
            await conn.fetchval(f"SELECT count(*) FROM {table} WHERE domain IS NOT NULL OR mail_host IS NOT NULL") == 2
        )
    assert await conn.fetchval("SELECT count(*) FROM day_key") == 2


async def test_keys_of_the_day_live_for_two_days(database: Database, its: Settings, conn: Connection) -> None:
    await conn.execute(
        "INSERT INTO day_key SELECT (now() AT TIME ZONE 'UTC')::date - n, 'wrapped' FROM generate_series(0, 5) n"
    )
    await tidy(database, its)
    assert await conn.fetchval("SELECT count(*) FROM day_key") == 2


async def test_digest_keys_are_destroyed_thirty_days_after_closing(
    database: Database, its: Settings, installation: Installation
) -> None:
    states = ("open", "closed", "archived")
    letters = [await installation.letter(f"{state}-{days}", state) for state in states for days in (29, 30)]
    conn = installation.conn
    await conn.execute(
        "UPDATE letter SET closed_at = now() - split_part(slug, '-', 2)::int * interval '1 day' WHERE state <> 'open'"
    )
    for _ in range(2):
        await tidy(database, its)
    rows = await conn.fetch("SELECT slug, wrapped_digest_key IS NULL AS gone, wrapped_name_key, revision FROM letter")
    assert {row["slug"] for row in rows if row["gone"]} == {"closed-30", "archived-30"}
    assert {row["slug"] for row in rows if row["revision"] == 2} == {"closed-30", "archived-30"}
    assert all(row["wrapped_name_key"] for row in rows)
    assert len(rows) == len(letters)


async def test_keys_are_wrapped_anew_under_the_newest_secret(
    database: Database, conn: Connection, installation: Installation
) -> None:
    newest = "a newer secret key that is long enough too"
    letter = await installation.letter()
    keys = {"suppression": new_key(), "day": new_key()}
    await conn.execute("INSERT INTO installation VALUES (true, $1)", installation.wrapper.wrap(keys["suppression"]))
    await conn.execute("INSERT INTO day_key VALUES ('2026-11-21', $1)", installation.wrapper.wrap(keys["day"]))
    assert await retention.rewrap(database, [SECRET_KEY]) == 0
    assert await retention.rewrap(database, [newest, SECRET_KEY]) == 4
    assert await retention.rewrap(database, [newest, SECRET_KEY]) == 0
    row = await conn.fetchrow(
        "SELECT wrapped_digest_key, wrapped_name_key, wrapped_suppression_key, wrapped"
        " FROM letter, installation, day_key"
    )
    assert row is not None
    alone = Wrapper([newest])
    assert [alone.unwrap(wrapped) for wrapped in row] == [letter.keys.digest_key, letter.keys.name_key, *keys.values()]


async def test_a_chore_that_fails_keeps_no_other_from_being_done(
    database: Database, conn: Connection, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_database: Database) -> int:
        raise LookupError("nemo@example.org")

    await installation.sign_up(await installation.letter(), "nemo@example.org", ago=8 * DAY)
    await main.do_chores(database, [("failing", fail), *main.chores_of(installation.settings)])
    assert await conn.fetchval("SELECT count(*) FROM pending") == 0
    assert "a scheduled task failed" in caplog.text


async def test_without_a_database_one_line_says_so(its: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async with opened("postgresql://petition@127.0.0.1:1/petition") as nowhere:
        await main.do_chores(nowhere, main.chores_of(its))
    assert [record.message for record in caplog.records if record.name == "petition.worker.main"] == [
        "retention is waiting for the database"
    ]


async def test_every_statement_fits_the_schema(conn: Connection) -> None:
    batched = [statement for statements in retention.EXPIRED.values() for statement in statements]
    wrapped = [statement for pair in retention.WRAPPED for statement in pair]
    for statement in (retention.CLOSE_LETTERS, retention.DESTROY_DIGEST_KEYS, *batched, *wrapped):
        await conn.prepare(statement)
