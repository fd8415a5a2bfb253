"""Migrations expand; a later release contracts. What landed before the rules is listed, and that list is closed."""

import pytest

from petition.core.database import migrations
from tests.upgrades.rules import faults

FIRST = 53  # from this number on there is no exception
# What landed before the rules, or with a reason: each of these ran when tables were small, or holds one for seconds
# (the handbook said so). 0018 dropped a function that only its own trigger had called; 0033 a column two hours old.
LANDED = {
    "0002": {"not valid"},
    "0003": {"index", "not valid"},
    "0006": {"index"},
    "0007": {"index"},
    "0010": {"index"},
    "0013": {"index", "not valid", "rows"},
    "0014": {"index"},
    "0016": {"index", "not valid"},
    "0017": {"not valid"},
    "0018": {"removed"},
    "0021": {"rows"},
    "0023": {"index"},
    "0024": {"index", "not valid"},
    "0025": {"index"},
    "0029": {"index", "not valid"},
    "0030": {"not valid"},
    "0031": {"rows"},
    "0032": {"index"},
    "0033": {"removed"},
    "0041": {"index", "not valid"},
    "0045": {"rows", "validated at once"},
    "0046": {"index", "not valid"},
    "0049": {"index", "not valid"},
    "0051": {"index", "validated at once"},
}
# What a migration from FIRST on breaks for a reason, which stands in its first lines: by its name, without the number.
ALLOWED = {
    # Names were promised to be gone at once; only rows of people who came by a partner's link.
    "forget_partners_of_counted.sql": {"rows"},
}


def test_no_migration_breaks_or_holds_up_what_runs() -> None:
    found = {name: broken for _, name, sql in migrations() if (broken := faults(sql))}
    assert {name[:4]: broken for name, broken in found.items() if int(name[:4]) < FIRST} == LANDED
    later = {name[5:]: broken for name, broken in found.items() if int(name[:4]) >= FIRST}
    assert later.items() <= ALLOWED.items()


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("ALTER TABLE letter DROP COLUMN goal;", "removed"),
        ("ALTER TABLE letter RENAME COLUMN goal TO aim;", "removed"),
        ("ALTER TABLE news RENAME TO letter_update;", "removed"),
        ("DROP TABLE news;", "removed"),
        ("ALTER TABLE letter ALTER COLUMN goal TYPE bigint;", "type"),
        ("ALTER TABLE letter ALTER goal SET NOT NULL;", "not null"),
        ("ALTER TABLE letter ADD COLUMN tone text NOT NULL;", "not null"),
        ("ALTER TABLE letter ALTER COLUMN goal DROP DEFAULT;", "default"),
        ("ALTER TABLE signature ADD COLUMN u uuid DEFAULT gen_random_uuid();", "rewrite"),
        ("CREATE INDEX x ON signature (letter);", "index"),
        ("ALTER TABLE letter ADD CONSTRAINT one UNIQUE (slug);", "index"),
        ("ALTER TABLE letter ADD CONSTRAINT c CHECK (goal > 0);", "not valid"),
        ("ALTER TABLE letter ADD CHECK (goal > 0);", "not valid"),
        ("ALTER TABLE signature ADD COLUMN n integer CHECK (n > 0);", "not valid"),
        (
            "ALTER TABLE letter ADD CONSTRAINT c CHECK (goal > 0) NOT VALID; ALTER TABLE letter VALIDATE CONSTRAINT c;",
            "validated at once",
        ),
        ("UPDATE signature SET city = NULL;", "rows"),
        ("LOCK TABLE signature;", "lock"),
        ("-- Why\n-- outside a transaction\nALTER TABLE letter ADD COLUMN n integer;", "outside"),
    ],
)
def test_each_rule_is_heeded(sql: str, fault: str) -> None:
    assert faults(sql) == {fault}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a integer NOT NULL CHECK (a > 0)); CREATE INDEX x ON t (a); ALTER TABLE t ADD UNIQUE (a);",
        "ALTER TABLE letter ADD COLUMN n integer NOT NULL DEFAULT 0, ADD COLUMN m text;",
        "ALTER TABLE letter ADD CONSTRAINT c CHECK (goal > 0) NOT VALID;",
        "ALTER TABLE letter VALIDATE CONSTRAINT c;",
        "-- Why\n-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS x ON signature (letter);",
        "-- DROP TABLE news;\nCREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ UPDATE signature SET x = NULL; $$;",
    ],
)
def test_what_is_allowed_is_let_through(sql: str) -> None:
    assert not faults(sql)
