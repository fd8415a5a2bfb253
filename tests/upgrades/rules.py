"""What a migration may not do while processes of the release before run: break them, or hold a large table for long."""

import re
from collections.abc import Iterator

from petition.core.concurrent_indexes import MARK
from petition.core.partitions import PARTITIONED

# Those that grow with signatures, mails or acts.
LARGE = {*PARTITIONED, "organization", "outbox", "log", "past", "note", "typed", "count_hour", "used_challenge"}
LARGE |= {"limit_use", "report", "undone", "mailing", "count_log_tile", "refused_mail"}

NAME = r'"?(?:IF (?:NOT )?EXISTS )?(?:ONLY )?"?(\w+)"?'
CREATED = re.compile(rf"^CREATE (?:UNLOGGED )?TABLE {NAME}", re.IGNORECASE)
ALTERED = re.compile(rf"^ALTER TABLE {NAME}(.*)", re.IGNORECASE | re.DOTALL)
INDEX = re.compile(rf"^CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?{NAME} ON {NAME}", re.IGNORECASE)
CHANGED = re.compile(rf"\b(?:UPDATE|DELETE FROM) {NAME}", re.IGNORECASE)
REMOVED = re.compile(
    r"^DROP (?:TABLE|VIEW|FUNCTION|TYPE|SEQUENCE)|\bDROP COLUMN\b|\bRENAME (?:COLUMN )?(?:\w+ )?TO\b", re.IGNORECASE
)
LOCKED = re.compile(r"^(?:LOCK|CLUSTER|TRUNCATE|VACUUM FULL|REINDEX (?!.*CONCURRENTLY))", re.IGNORECASE)
VOLATILE = re.compile(
    r"\b(?:random|gen_random_uuid|clock_timestamp|nextval)\(|\bserial\b|GENERATED ALWAYS", re.IGNORECASE
)
# The parts of ALTER TABLE, and what is wrong with each where the table has rows.
ACTIONS = (
    ("type", re.compile(r"ALTER (?:COLUMN )?\w+ (?:SET DATA )?TYPE\b", re.IGNORECASE)),
    ("not null", re.compile(r"ALTER (?:COLUMN )?\w+ SET NOT NULL", re.IGNORECASE)),
    ("default", re.compile(r"ALTER (?:COLUMN )?\w+ DROP DEFAULT", re.IGNORECASE)),
    (
        "not null",
        re.compile(r"ADD (?:COLUMN )?(?!CONSTRAINT)\w+ (?![^,]*\bDEFAULT\b)[^,]*(?<!IS )\bNOT NULL", re.IGNORECASE),
    ),
    ("rewrite", re.compile(rf"ADD COLUMN[^,]*(?:{VOLATILE.pattern})", re.IGNORECASE)),
    ("index", re.compile(r"ADD (?:CONSTRAINT \w+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)\b(?! USING INDEX)", re.IGNORECASE)),
)
CONSTRAINT = re.compile(r"ADD (?:CONSTRAINT (\w+) )?(?:CHECK|FOREIGN KEY)\b", re.IGNORECASE)
COLUMN_CHECK = re.compile(r"ADD COLUMN[^,]*\bCHECK\b", re.IGNORECASE)
VALIDATED = re.compile(r"VALIDATE CONSTRAINT (\w+)", re.IGNORECASE)


def statements(sql: str) -> Iterator[str]:
    """Yield the statements of a migration, without comments; what stands in dollar quotes stays whole."""
    text = re.sub(r"--[^\n]*", "", sql)
    for part in re.findall(r"(?:\$\$.*?\$\$|'[^']*'|[^;])+", text, re.DOTALL):
        if statement := re.sub(r"\s+", " ", part).strip():
            yield statement


def faults(sql: str) -> set[str]:
    """Return which rules a migration breaks, each by a word."""
    parts = list(statements(sql))
    new = {match[1] for part in parts if (match := CREATED.match(part))}
    found = {fault for part in parts for fault in _faults_of(part, new)}
    added = {match[1] for part in parts if ALTERED.match(part) for match in CONSTRAINT.finditer(part) if match[1]}
    if added & {match[1] for part in parts for match in VALIDATED.finditer(part)}:
        found.add("validated at once")
    if MARK in sql.splitlines()[:2] and not all(re.match(r"(CREATE|DROP) .*INDEX CONCURRENTLY IF ", p) for p in parts):
        found.add("outside")
    return found


def _faults_of(statement: str, new: set[str]) -> Iterator[str]:
    altered, index = ALTERED.match(statement), INDEX.match(statement)
    changed = set() if "$$" in statement else set(CHANGED.findall(statement))
    if REMOVED.search(statement) and not (altered and altered[1] in new):
        yield "removed"
    if LOCKED.match(statement):
        yield "lock"
    if index and index[3] in LARGE - new and not index[1]:
        yield "index"
    if changed & LARGE - new:
        yield "rows"
    if altered and altered[1] not in new:
        yield from (fault for fault, pattern in ACTIONS if pattern.search(altered[2]))
        yield from _checks(altered[1], altered[2])


def _checks(table: str, actions: str) -> Iterator[str]:
    constraints = len(CONSTRAINT.findall(actions))
    if constraints > len(re.findall(r"\bNOT VALID\b", actions, re.IGNORECASE)):
        yield "not valid"
    if table in LARGE and COLUMN_CHECK.search(actions):
        yield "not valid"
