"""The partitioned layout has the same schema as the plain one, now and after every later migration."""

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core import partitions, resources
from petition.core.database import applied_number, connect, migrate
from petition.core.errors import PetitionError
from petition.core.partitions import FIRST_SCHEMA, PARTITIONED
from tests import catalogue
from tests.commands import Done, called
from tests.conftest import in_database

if TYPE_CHECKING:
    from tests.conftest import Conn

LATER = """
-- To try.
ALTER TABLE signature ADD COLUMN later text NOT NULL DEFAULT 'x' CHECK (length(later) < 9);
CREATE INDEX signature_later ON signature (letter, later) WHERE later <> 'x';
CREATE UNIQUE INDEX pending_later ON pending (letter, id, kind);
ALTER TABLE contact DROP COLUMN until;
DROP INDEX signature_queue_imported;
CREATE TABLE later (letter integer, signature bigint, PRIMARY KEY (letter, signature),
  FOREIGN KEY (letter, signature) REFERENCES signature (letter, id) ON DELETE CASCADE);
CREATE FUNCTION see_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER seen AFTER UPDATE ON signature REFERENCING NEW TABLE AS after_it
  FOR EACH STATEMENT EXECUTE FUNCTION see_later();
"""
# What one of the layouts cannot do.
IMPOSSIBLE = {
    "a key without the letter": "CREATE UNIQUE INDEX signature_alone ON signature (id);",
    "storage parameters of a whole table": "ALTER TABLE signature SET (fillfactor = 90);",
    "rows seen by a trigger one by one and together": """
CREATE FUNCTION see_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER seen AFTER UPDATE ON signature REFERENCING NEW TABLE AS after_it
  FOR EACH ROW EXECUTE FUNCTION see_later();""",
}


@pytest.fixture
async def urls(cluster: str, admin: "Conn") -> AsyncIterator[list[str]]:
    """Give the addresses of two databases without a schema."""
    names = [f"test_{secrets.token_hex(8)}" for _ in range(2)]
    for name in names:
        await admin.execute(f"CREATE DATABASE {name}")
    yield [in_database(cluster, name) for name in names]
    for name in names:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Give a folder with a copy of all migrations."""
    return Path(shutil.copytree(resources.folder("migrations"), tmp_path / "migrations"))


def plant(folder: Path, sql: str) -> str:
    """Add a migration to the folder; return its name."""
    name = f"{len(list(folder.glob('*.sql'))) + 1:04}_try_later.sql"
    (folder / name).write_text(sql, encoding="utf-8")
    return name


async def schema_of(url: str) -> list[str]:
    conn = await connect(url)
    try:
        return await catalogue.read(conn)
    finally:
        await conn.close()


async def petition(*arguments: str, **environ: str) -> Done:
    return await asyncio.to_thread(called, *arguments, **environ)


def environment(url: str, folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": url, "DATA_DIR": str(folder / "data")}


async def test_every_later_migration_runs_on_both_layouts(urls: list[str], migrations: Path) -> None:
    plain, divided = urls
    plant(migrations, LATER)
    await migrate(plain, migrations)
    await migrate(divided, migrations, until=FIRST_SCHEMA)
    assert await partitions.divide(divided, 3)
    assert await migrate(divided, migrations)
    schema = await schema_of(plain)
    assert len(schema) > 1000
    assert await schema_of(divided) == schema


async def test_a_new_installation_is_the_same_but_divided(urls: list[str], tmp_path: Path) -> None:
    plain, divided = urls
    await migrate(plain)
    done = await petition("migrate", "--partitions", "3", **environment(divided, tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the large tables are in 3 partitions by letter"
    assert await schema_of(divided) == await schema_of(plain)
    conn = await connect(divided)
    try:
        names = await conn.fetch(
            "SELECT inhparent::regclass::text AS name, count(*) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = inhparent AND c.relkind = 'p' GROUP BY 1"
        )
        assert {row["name"]: row["count"] for row in names} == dict.fromkeys(PARTITIONED, 3)
        for table in PARTITIONED:  # a statement with the letter asks one partition
            plan = await conn.fetch(f"EXPLAIN SELECT FROM {table} WHERE letter = 5")
            assert len(set(re.findall(rf" on ({table}_\d+)\b", "\n".join(row[0] for row in plan)))) == 1, plan
    finally:
        await conn.close()


@pytest.mark.parametrize("sql", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_a_migration_for_one_layout_only_is_refused(urls: list[str], migrations: Path, sql: str) -> None:
    await migrate(urls[0], migrations)
    assert await partitions.divide(urls[0], 2)
    number, before = len(list(migrations.glob("*.sql"))), await schema_of(urls[0])
    name = plant(migrations, f"-- To try.\nCREATE TABLE half (id integer);\n{sql}")
    with pytest.raises(PetitionError, match=f"{name} failed: "):
        await migrate(urls[0], migrations)
    conn = await connect(urls[0])
    assert await applied_number(conn) == number
    await conn.close()
    assert await schema_of(urls[0]) == before


async def test_the_command_can_be_repeated_and_changes_no_number(urls: list[str], tmp_path: Path) -> None:
    environ = environment(urls[0], tmp_path)
    assert (await petition("migrate", **environ)).returncode == 0  # a migrated, empty database is new as well
    for stdout in ("the large tables are in 4 partitions by letter\n", "nothing to do\n"):
        assert (await petition("migrate", "--partitions", "4", **environ)).stdout == stdout
    assert (await petition("migrate", **environ)).stdout == "nothing to do\n"
    other = await petition("migrate", "--partitions", "8", **environ)
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr == "petition: the database has 4 partitions: their number cannot be changed\n"


@pytest.mark.parametrize(
    "row",
    [
        "INSERT INTO letter (slug, rules_version) VALUES ('some', 1)",
        "INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', 'd', 's')",
    ],
)
async def test_a_database_with_anything_in_it_is_left_as_it_is(database_url: str, tmp_path: Path, row: str) -> None:
    conn = await connect(database_url)
    await conn.execute(row)
    done = await petition("migrate", "--partitions", "4", **environment(database_url, tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the database is not empty: only a new one can be partitioned" in done.stderr
    assert await partitions.count_partitions(conn) == 0
    await conn.close()


@pytest.mark.parametrize("number", [0, 2])
async def test_check_says_which_layout_there_is(database_url: str, tmp_path: Path, number: int) -> None:
    if number:
        await partitions.divide(database_url, number)
    done = await petition("check", **environment(database_url, tmp_path))
    assert ("database: 2 partitions by letter" in done.stdout.splitlines()) is (number == 2)


async def test_two_machines_at_once_divide_once(urls: list[str]) -> None:
    await migrate(urls[0])
    assert sorted(await asyncio.gather(*(partitions.divide(urls[0], 2) for _ in range(3)))) == [False, False, True]


@pytest.mark.parametrize("number", ["1", "0", "257", "many"])
async def test_numbers_that_make_no_sense_are_refused(number: str, tmp_path: Path) -> None:
    done = await petition("migrate", "--partitions", number, DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "--partitions" in done.stderr


async def test_a_schema_from_before_is_not_divided(urls: list[str]) -> None:
    await migrate(urls[0], until=FIRST_SCHEMA - 1)
    with pytest.raises(PetitionError, match="too old for partitions"):
        await partitions.divide(urls[0], 2)
