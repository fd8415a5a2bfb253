"""What was erased is empty, and the database itself refuses anything else: every state against every column."""

from pathlib import Path

import pytest
from asyncpg import CheckViolationError

from petition.core.database import Connection
from petition.core.ids import SignatureId
from tests.mail.installation import Installation, Letter, settings

# A value of each column's type, to be written where nothing may stand.
VALUES = {
    "organization": "1",
    "country": "'DE'",
    "read_lang": "'en'",
    "mail_lang": "'en'",
    "digest": "'\\x01'",
    "name": "'Vera'",
    "affiliation": "'Baker'",
    "city": "'Riga'",
    "name_key": "'vera'",
    '"position"': "'Head'",
    "private": "'\\x01'",
    "signals": "'{\"throwaway\": true}'",
    "network": "'\\x01'",
    "domain": "'\\x01'",
    "mail_host": "'\\x01'",
    "flags": "'{reported}'",
    "group_number": "7",
    "visibility": "'public'",
}
NAMES = ("name", "affiliation", "city", "name_key", '"position"')
EMPTY = {
    "withdrawn": ("state = 'withdrawn', visibility = 'counted', digest = NULL", tuple(VALUES)),
    "counted": ("visibility = 'counted'", (*NAMES, "private", "country", "organization")),
    "organizers": ("visibility = 'organizers'", NAMES),
}
EMPTY["employee"] = (
    "visibility = 'counted', employer = (SELECT id FROM employer)",
    (*NAMES, "private", "country", "visibility"),
)
CASES = [(state, column) for state, (_, columns) in EMPTY.items() for column in columns]


@pytest.fixture
def installation(conn: Connection, database_url: str, tmp_path: Path) -> Installation:
    return Installation(conn, settings(tmp_path, database_url))


async def _signature(installation: Installation) -> tuple[Letter, SignatureId]:
    letter = await installation.letter()
    signature_id = await installation.signature(letter, "vera@letters.example")
    await installation.conn.execute(
        "INSERT INTO organization (letter, id, name_en, name_key) VALUES ($1, 1, 'North Pier', 'north pier')", letter.id
    )
    await installation.conn.execute(
        "INSERT INTO employer (letter, names, domains) VALUES ($1, '{}', '{pier.example}')", letter.id
    )
    return letter, signature_id


@pytest.mark.parametrize(("state", "column"), CASES)
async def test_no_erased_column_can_be_filled(installation: Installation, state: str, column: str) -> None:
    letter, signature_id = await _signature(installation)
    conn, (change, _) = installation.conn, EMPTY[state]
    await conn.execute(f"UPDATE signature SET {change} WHERE letter = $1 AND id = $2", letter.id, signature_id)
    fill = f"UPDATE signature SET {column} = {VALUES[column]} WHERE letter = $1 AND id = $2"
    with pytest.raises(CheckViolationError):
        await conn.execute(fill, letter.id, signature_id)
    if column not in {"organization", "visibility"}:  # else another rule forbids it anyway
        await conn.execute(
            "UPDATE signature SET state = 'confirmed', visibility = 'public', employer = NULL"
            " WHERE letter = $1 AND id = $2",
            letter.id,
            signature_id,
        )
        await conn.execute(fill, letter.id, signature_id)


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("letter", "UPDATE letter SET state = 'gone'"),
        (
            "addressee",
            "INSERT INTO addressee (letter, names, sealed, objected_at) SELECT id, '{}', 'a', now() FROM letter",
        ),
        ("intake", "INSERT INTO intake (letter, number, state, about) SELECT id, 1, 'cancelled', 'a' FROM letter"),
        ("intake", "INSERT INTO intake (letter, number, state, about) SELECT id, 1, 'done', 'a' FROM letter"),
        (
            "undone",
            "WITH i AS (INSERT INTO intake (letter, number, state) SELECT id, 1, 'undone' FROM letter RETURNING letter)"
            " INSERT INTO undone (letter, number, signature, fields, sealed) SELECT letter, 1, 1, '{}', 'a' FROM i",
        ),
        (
            "package",
            "INSERT INTO package (letter, made_at, version, people, organizations, sha256, names_digest, person_ids)"
            " SELECT id, now(), 1, 1, 0, sha256('a'), 'a', '{1}' FROM letter",
        ),
        (
            "outbox",
            "INSERT INTO outbox (letter, purpose, digest, sealed, lang) SELECT id, 'sign', 'd', 'a', 'en' FROM letter",
        ),
    ],
)
async def test_no_other_table_stores_what_was_erased(installation: Installation, table: str, statement: str) -> None:
    await installation.letter()
    with pytest.raises(CheckViolationError) as error:
        await installation.conn.execute(statement)
    assert error.value.table_name == table


async def test_every_constraint_was_checked_against_the_rows_that_are_there(conn: Connection) -> None:
    left = await conn.fetch("SELECT conname FROM pg_constraint WHERE contype = 'c' AND NOT convalidated")
    assert left == []
