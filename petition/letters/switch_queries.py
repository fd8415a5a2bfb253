"""All SQL of kill switches."""

from petition.core.database import Connection, Record
from petition.core.i18n import Texts
from petition.core.ids import LetterId
from petition.letters.switches import Setting, Switch, Switches

SWITCHED_ON = "SELECT letter, name, value, texts FROM switch WHERE value <> 'off'"

ALL_SWITCHES = """
SELECT name, value, texts, former_value, former_texts, revision, since FROM switch
WHERE letter IS NOT DISTINCT FROM $1::integer
"""

# Revision 0 stands for a switch that was never set.
FIRST_SWITCH = """
INSERT INTO switch (letter, name, value, texts) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 'off'
"""

SET_SWITCH = """
UPDATE switch w SET value = $4, texts = $5, former_value = w.value, former_texts = w.texts, revision = w.revision + 1,
       since = now()
FROM (SELECT value FROM switch WHERE letter IS NOT DISTINCT FROM $1::integer AND name = $2 FOR UPDATE) AS before
WHERE w.letter IS NOT DISTINCT FROM $1::integer AND w.name = $2 AND w.revision = $3 RETURNING before.value
"""

UNDO_SWITCH = """
UPDATE switch w SET value = w.former_value, texts = w.former_texts, former_value = w.value, former_texts = w.texts,
       revision = w.revision + 1, since = now()
WHERE w.letter IS NOT DISTINCT FROM $1::integer AND w.name = $2 AND w.revision = $3
RETURNING w.former_value AS before, w.value AS after
"""

# What the desk's pages show: this letter's, and the installation's with "all:" in front.
NAMES_ON = """
SELECT coalesce(array_agg(CASE WHEN letter IS NULL THEN 'all:' || name ELSE name END ORDER BY letter, name), '{}')
FROM switch WHERE value <> 'off' AND (letter IS NULL OR letter = $1::integer)
"""

# Who changed it last.
LAST_SWITCHED = """
SELECT l.at, coalesce(nullif(o.name, ''), '#' || l.organizer) AS who
FROM log l LEFT JOIN organizer o ON o.id = l.organizer
WHERE l.letter IS NOT DISTINCT FROM $1::integer AND l.act = $2 ORDER BY l.id DESC LIMIT 1
"""


async def switched_on(conn: Connection) -> list[tuple[int | None, Setting]]:
    """Return all that is switched on anywhere, each with its letter; None is the installation."""
    return [(row["letter"], setting_in(row)) for row in await conn.fetch(SWITCHED_ON)]


async def of_letter(conn: Connection, letter_id: LetterId) -> Switches:
    """Return all that is switched on for a letter, the installation's own switches included."""
    settings = await switched_on(conn)
    general, own = ([setting for of, setting in settings if of == owner] for owner in (None, letter_id))
    return Switches.of(general, own)


async def all_switches(conn: Connection, letter_id: LetterId | None) -> list[Record]:
    """Return the switches of a letter, or of the installation, that were ever set."""
    return await conn.fetch(ALL_SWITCHES, letter_id)


async def set_switch(
    conn: Connection, letter_id: LetterId | None, name: Switch, revision: int, value: str, texts: Texts
) -> str | None:
    """Put a switch into a position if it still is as it was seen; return the position before, or None."""
    before: str | None
    if revision == 0:
        before = await conn.fetchval(FIRST_SWITCH, letter_id, name.value, value, dict(texts))
    else:
        before = await conn.fetchval(SET_SWITCH, letter_id, name.value, revision, value, dict(texts))
    return before


async def undo_switch(conn: Connection, letter_id: LetterId | None, name: Switch, revision: int) -> Record | None:
    """Put a switch back to where it was before; return both positions, or None if it was changed meanwhile."""
    return await conn.fetchrow(UNDO_SWITCH, letter_id, name.value, revision)


async def names_on(conn: Connection, letter_id: LetterId | None) -> list[str]:
    names: list[str] = await conn.fetchval(NAMES_ON, letter_id)
    return names


async def last_switched(conn: Connection, letter_id: LetterId | None, name: Switch) -> Record | None:
    return await conn.fetchrow(LAST_SWITCHED, letter_id, f"switch.{name.value}")


def setting_in(row: Record) -> Setting:
    return setting_of(row["name"], row["value"], row["texts"])


def setting_of(name: str, value: str, texts: Texts) -> Setting:
    return Setting(Switch(name), value, texts)
