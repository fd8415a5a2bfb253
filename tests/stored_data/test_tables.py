"""The table of what is stored is the schema's: nothing is stored that it does not describe."""

from petition.core.database import Connection
from petition.stored_data.model import Form
from petition.stored_data.tables import TABLES
from petition.worker import retention

COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
"""
WHAT_TO_DO = (
    "petition/stored_data/ describes what the database stores. Add the new table or column to the module of its subject"
    " (signatories, organizers, letters, mail): what it is, why, until when, who can read it, and whether it is about a"
    " person. Retention, privacy page, takeout and the legal folder follow."
)


async def test_every_column_of_the_schema_is_described(conn: Connection) -> None:
    schema = {(row["table_name"], row["column_name"]) for row in await conn.fetch(COLUMNS)}
    described = {(table.name, column) for table in TABLES.values() for column in table.column_names}
    assert schema - described == set(), WHAT_TO_DO
    assert described - schema == set(), "described in petition/stored_data/, but no longer in the schema"


def test_no_column_is_described_twice() -> None:
    for table in TABLES.values():
        assert len(set(table.column_names)) == len(table.column_names), table.name


async def test_what_is_not_clear_is_bytes(conn: Connection) -> None:
    types = {(row["table_name"], row["column_name"]): row["data_type"] for row in await conn.fetch(COLUMNS)}
    for table in TABLES.values():
        for group in table.columns:
            if group.form is not Form.CLEAR:
                assert {types[table.name, name] for name in group.names} == {"bytea"}, (table.name, group.names)


# Bytes that are about nobody.
IMPERSONAL = {
    ("keeper", "fingerprint"),
    ("count_log", "edge"),
    ("count_log_bundle", "entries"),
    ("count_log_queue", "token"),
    ("count_log_stamp", "response"),
    ("count_log_tile", "hashes"),
    ("day_key", "wrapped"),
    ("audit", "frame_digest"),
    ("audit", "root"),
    ("import_mapping", "header_digest"),
    ("package", "sha256"),
    ("package", "names_digest"),
    ("passkey", "id"),
    ("passkey", "public_key"),
    ("picture", "content"),
    ("recovery_code", "salt"),
    ("session", "challenge"),
    ("used_challenge", "nonce"),
}


async def test_bytes_about_nobody_are_listed(conn: Connection) -> None:
    """A column of bytes that is not described as a person's must be one that this list names, with a reason."""
    types = {(row["table_name"], row["column_name"]): row["data_type"] for row in await conn.fetch(COLUMNS)}
    impersonal = {
        (table.name, name)
        for table in TABLES.values()
        for group in table.columns
        if not group.is_personal and group.form is Form.CLEAR
        for name in group.names
        if types[table.name, name] == "bytea"
    }
    assert impersonal == IMPERSONAL


def test_what_retention_does_is_what_the_table_says() -> None:
    assert set(retention.EXPIRED) == {table.name for table in TABLES.values() if table.expiry}
    for table in TABLES.values():
        for expiry, statement in zip(table.expiry, retention.EXPIRED.get(table.name, ()), strict=True):
            assert expiry.condition in statement
            assert statement.startswith("UPDATE" if expiry.erased else "DELETE")


def test_a_period_that_is_said_is_a_period_that_is_kept() -> None:
    for table in TABLES.values():
        assert ("%(period)s" in table.until.text) == (table.until.period is not None), table.name
