"""An older installation's rows are cleaned, so that the new constraints hold for them too."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core import database as databases
from petition.core import resources
from tests.conftest import in_database

if TYPE_CHECKING:
    from tests.conftest import Conn

OLD_ROWS = """
WITH l AS (INSERT INTO letter (slug, state, wrapped_digest_key, wrapped_name_key, rules_version)
           VALUES ('old', 'open', 'd', 'n', 1) RETURNING id),
     g AS (INSERT INTO letter (slug, state, goal, rules_version) VALUES ('gone', 'gone', 7, 1)),
     i AS (INSERT INTO intake (letter, number, state, about) SELECT id, 1, 'done', 'a' FROM l),
     a AS (INSERT INTO addressee (letter, names, sealed, objected_at) SELECT id, '{}', 's', now() FROM l)
INSERT INTO signature (letter, id, listed_at, kind, state, visibility, country, read_lang, digest, domain, private)
SELECT id, v.* FROM l, (VALUES
  (1::bigint, now(), 'person'::kind, 'withdrawn'::signature_state, 'counted'::visibility, 'DE', 'en', NULL::bytea,
   '\\x01'::bytea, NULL::bytea),
  (2, now(), 'person', 'confirmed', 'counted', 'DE', 'en', '\\x02', NULL, NULL),
  (3, now(), 'person', 'confirmed', 'organizers', 'DE', 'en', '\\x03', NULL, '\\x04'),
  (4, now(), 'person', 'withdrawn', 'organizers', NULL, NULL, NULL, NULL, NULL)
) AS v
"""


@pytest.fixture
def migrations_before(tmp_path: Path) -> Path:
    """Return a folder with the migrations that are older than the constraints."""
    folder = resources.folder("migrations")
    (here,) = folder.glob("*_hold_what_is_erased.sql")
    for file in folder.glob("*.sql"):
        if file.name < here.name:
            shutil.copy(file, tmp_path)
    return tmp_path


async def test_old_rows_are_cleaned(cluster: str, admin: "Conn", migrations_before: Path) -> None:
    await admin.execute("CREATE DATABASE older")
    url = in_database(cluster, "older")
    try:
        await databases.migrate(url, migrations_before)
        conn = await databases.connect(url)
        try:
            await conn.execute(OLD_ROWS)
            await databases.migrate(url)
            rows = await conn.fetch("SELECT country, read_lang, domain, digest, private FROM signature ORDER BY id")
            assert [tuple(row) for row in rows] == [
                (None, None, None, None, None),
                (None, "en", None, b"\2", None),
                ("DE", "en", None, b"\3", b"\4"),
                (None, None, None, None, None),
            ]
            assert await conn.fetchval("SELECT sealed FROM addressee") is None
            assert await conn.fetchval("SELECT about FROM intake") is None
            assert await conn.fetchval("SELECT goal FROM letter WHERE slug = 'gone'") is None
        finally:
            await conn.close()
    finally:
        await admin.execute("DROP DATABASE older WITH (FORCE)")
