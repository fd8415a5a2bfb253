"""Switching to the keeper: every stored digest of a mailbox goes through it once, without any address.

What the keeper answers is a digest of the digest that was stored, so both old and new ones are made in one way. One
transaction for what belongs to no letter, then one for each letter: a stopped command goes on where it was. There is
no way back.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial

from petition.core import kept_values
from petition.core.database import Connection, Database
from petition.core.encryption import LetterKeys, Wrapper, padded_json
from petition.core.errors import KeyDestroyed, Locked, SettingsError, Unavailable
from petition.core.ids import LetterId
from petition.core.keeper import NOT_SET, WRONG_KEEPER, KeeperClient, KeeperPurpose, KeeperRefused
from petition.core.settings import Settings

log = logging.getLogger(__name__)

Act = Callable[[], Awaitable[None]]

LONG = 3600.0  # seconds
LOCK_PAUSE = 0.2  # seconds until a locked letter is tried again
STEP = 500  # undone rows decrypted at once
NOT_ADOPTED = "KEEPER_URL is set, and what is stored can be tested without the keeper; run `petition keeper adopt`"
OFF = "KEEPER_URL is not set, so with the database and SECRET_KEY addresses can be tested; see `petition keeper`"

# Shorter than the server's deadlock_timeout: this transaction gives way to all others.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '400ms'; SET LOCAL statement_timeout = 0"

# Mails to signatories and addressees: their rows have the letter's digests; all others have organizers'.
OF_LETTER = "('sign', 'find', 'remind', 'decision', 'message', 'second', 'mail_in', 'addressee')"

# Table, column, and which rows.
LETTER_COLUMNS: Sequence[tuple[str, str, str]] = (
    ("pending", "digest", ""),
    ("signature", "digest", ""),
    ("signature", "import_key", ""),
    ("bar", "digest", ""),
    ("bounced_mailbox", "digest", ""),
    ("import_row", "import_key", ""),
    ("addressee", "digest", ""),
    ("outbox", "digest", f"AND t.purpose IN {OF_LETTER}"),
)
INSTALLATION_COLUMNS: Sequence[tuple[str, str, str]] = (
    ("organizer", "digest", ""),
    ("invitation", "digest", ""),
    ("sign_in_ask", "mailbox", ""),
    ("outbox", "digest", f"AND t.purpose NOT IN {OF_LETTER}"),
    ("suppressed", "digest", ""),
    ("addressee", "never", ""),
    ("pending", "domain", ""),
    ("pending", "mail_host", ""),
    ("signature", "domain", ""),
    ("signature", "mail_host", ""),
)


def _gather(columns: Sequence[tuple[str, str, str]], rows: str) -> str:
    """Return SQL that gathers the values of columns."""
    values = " UNION ".join(
        f"SELECT {column} FROM {table} t WHERE {column} IS NOT NULL AND {rows} {more}"  # noqa: S608 - constants
        for table, column, more in columns
    )
    return f"INSERT INTO kept_value (inner_value) {values}"


def _move(table: str, column: str, rows: str) -> str:
    return (
        f"UPDATE {table} t SET {column} = k.outer_value FROM kept_value k"  # noqa: S608 - constants
        f" WHERE {rows} AND t.{column} = k.inner_value"
    )


GATHER_LETTER = _gather(LETTER_COLUMNS, "t.letter = $1")
GATHER_INSTALLATION = _gather(INSTALLATION_COLUMNS, "true")
MOVE_LETTER: Mapping[str, str] = {
    f"{table}.{column}": _move(table, column, f"t.letter = $1 {more}") for table, column, more in LETTER_COLUMNS
}
MOVE_INSTALLATION: Mapping[str, str] = {
    f"{table}.{column} {more}": _move(table, column, f"true {more}") for table, column, more in INSTALLATION_COLUMNS
}

LOCK_KEEPER = "SELECT fingerprint FROM keeper FOR UPDATE"
LOCK_TABLES = "LOCK TABLE organizer, invitation, sign_in_ask, suppressed IN SHARE ROW EXCLUSIVE MODE"
ADOPT = "UPDATE keeper SET fingerprint = $1, adopted_at = now()"
# Under a day's key, with mailboxes in their names: the limits of this day begin anew.
DROP_QUOTAS = "DELETE FROM limit_use"
DROP_FORMS = "UPDATE used_challenge SET form = NULL WHERE form IS NOT NULL"

LETTERS = "SELECT id FROM letter WHERE NOT kept ORDER BY id"
LOCK_LETTER = "SELECT wrapped_digest_key, wrapped_name_key, kept FROM letter WHERE id = $1 FOR UPDATE"
LOCK_PENDING = "SELECT FROM pending WHERE letter = $1 ORDER BY id FOR UPDATE"
LOCK_SIGNATURES = "SELECT FROM signature WHERE letter = $1 ORDER BY id FOR UPDATE"
UNDONE = "SELECT number, signature, sealed FROM undone WHERE letter = $1 AND sealed IS NOT NULL"
SET_UNDONE = "UPDATE undone SET sealed = $4 WHERE letter = $1 AND number = $2 AND signature = $3"
KEEP_LETTER = "UPDATE letter SET kept = true, revision = revision + 1 WHERE id = $1"

FINGERPRINT = "SELECT fingerprint FROM keeper"
HAS_DIGESTS = "SELECT EXISTS (SELECT FROM signature) OR EXISTS (SELECT FROM pending)"
COUNT_LETTERS = "SELECT count(*) FROM letter WHERE NOT kept"


async def adopt(database: Database, keeper: KeeperClient, wrapper: Wrapper) -> int:
    """Switch all that is stored; return how many letters.

    Raises ``Unavailable``, ``KeeperRefused``, ``SettingsError``.
    """
    await _try_until_free(partial(_adopt_installation, database, keeper))
    async with database.connection() as conn:
        letter_ids = [row["id"] for row in await conn.fetch(LETTERS)]
    for letter_id in letter_ids:
        await _try_until_free(partial(_adopt_letter, database, keeper, wrapper, letter_id))
    return len(letter_ids)


async def _try_until_free(act: Act) -> None:
    while True:
        try:
            await act()
            return
        except Locked:
            await asyncio.sleep(LOCK_PAUSE)


async def _adopt_installation(database: Database, keeper: KeeperClient) -> None:
    """Note the keeper, and switch the digests that belong to no letter."""
    fingerprint, _ = await keeper.ask({KeeperPurpose.ADOPT: []})
    async with database.transaction() as conn:
        await conn.execute(LOCK_TIMEOUT)
        known = await conn.fetchval(LOCK_KEEPER)
        if known is not None:
            if known != fingerprint:
                raise SettingsError(WRONG_KEEPER)
            return
        # lock order: see docs/decisions/lock-order.md
        await conn.execute(LOCK_TABLES)
        await conn.execute(kept_values.CREATE)
        await conn.execute(GATHER_INSTALLATION, timeout=LONG)
        await kept_values.fill(conn, keeper, KeeperPurpose.ADOPT, is_first=True)
        for statement in (*MOVE_INSTALLATION.values(), DROP_QUOTAS, DROP_FORMS):
            await conn.execute(statement, timeout=LONG)
        await conn.execute(ADOPT, fingerprint)


async def _adopt_letter(database: Database, keeper: KeeperClient, wrapper: Wrapper, letter_id: LetterId) -> None:
    """Switch one letter while nothing is added to it: what signs meanwhile waits, or is asked to come back."""
    async with database.transaction() as conn:
        await conn.execute(LOCK_TIMEOUT)
        # lock order: see docs/decisions/lock-order.md
        row = await conn.fetchrow(LOCK_LETTER, letter_id)
        if row is None or row["kept"]:
            return
        await conn.execute(LOCK_PENDING, letter_id, timeout=LONG)
        await conn.execute(LOCK_SIGNATURES, letter_id, timeout=LONG)
        await conn.execute(kept_values.CREATE)
        await conn.execute(GATHER_LETTER, letter_id, timeout=LONG)
        name_key = row["wrapped_name_key"]
        keys = LetterKeys(None, None if name_key is None else wrapper.unwrap(name_key), letter_id)
        undone = await _undone_of(conn, letter_id, keys)
        await kept_values.fill(conn, keeper, KeeperPurpose.ADOPT)
        for statement in MOVE_LETTER.values():
            await conn.execute(statement, letter_id, timeout=LONG)
        await _store_undone(conn, letter_id, keys, undone)
        await conn.execute(KEEP_LETTER, letter_id)


Undone = tuple[int, int, "dict[str, dict[str, object]]"]  # number, signature, what was encrypted


async def _undone_of(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> list[Undone]:
    """Return the encrypted rows of undone imports, and have their digests asked for."""
    undone: list[Undone] = []
    for row in await conn.fetch(UNDONE, letter_id, timeout=LONG):
        try:
            undone.append((row["number"], row["signature"], json.loads(keys.decrypt(row["sealed"]))))
        except KeyDestroyed:
            continue
    values = [value for *_, opened in undone for value in _values_in(opened["fields"])]
    await conn.execute(kept_values.ADD, values, timeout=LONG)
    return undone


async def _store_undone(conn: Connection, letter_id: LetterId, keys: LetterKeys, undone: Sequence[Undone]) -> None:
    for start in range(0, len(undone), STEP):
        part = undone[start : start + STEP]
        known = await kept_values.outer_values(conn, {value for *_, one in part for value in _values_in(one["fields"])})
        for number, signature_id, opened in part:
            for name in ("digest", "import_key"):
                if opened["fields"].get(name):
                    opened["fields"][name] = rf"\x{known[_bytes(opened['fields'][name])].hex()}"
            sealed = keys.encrypt(padded_json(opened))
            await conn.execute(SET_UNDONE, letter_id, number, signature_id, sealed)


def _values_in(fields: Mapping[str, object]) -> list[bytes]:
    return [_bytes(fields[name]) for name in ("digest", "import_key") if fields.get(name)]


def _bytes(text: object) -> bytes:
    return bytes.fromhex(str(text).removeprefix(r"\x"))


async def findings(conn: Connection, settings: Settings) -> AsyncIterator[str]:
    """Yield what is wrong with the keeper of a migrated database; nothing if there is none, and none is needed."""
    stored: bytes | None = await conn.fetchval(FINGERPRINT)
    if settings.keeper is None:
        if stored is not None:
            yield NOT_SET
        return
    async with KeeperClient(settings.keeper) as keeper:
        try:
            fingerprint, _ = await keeper.ask({KeeperPurpose.CHECK: []})
        except (KeeperRefused, Unavailable) as error:
            yield f"{error}; see that `petition keeper` runs, and KEEPER_URL and KEEPER_TOKEN"
            return
    if stored is None:
        yield NOT_ADOPTED
    elif stored != fingerprint:
        yield f"{WRONG_KEEPER}: give `petition keeper` the former KEEPER_KEY back"
    elif letters := await conn.fetchval(COUNT_LETTERS):
        yield f"{letters} letters do not use the keeper yet; run `petition keeper adopt`"


async def look(database: Database, settings: Settings) -> None:
    """Look at the keeper before a process begins; an installation that has stored no digest yet adopts it.

    Raises ``SettingsError`` if it is another one, or refuses this process; logs what else is wrong.
    """
    async with database.connection() as conn:
        stored: bytes | None = await conn.fetchval(FINGERPRINT)
        has_digests = await conn.fetchval(HAS_DIGESTS)
    if settings.keeper is None:
        if stored is not None:
            raise SettingsError(NOT_SET)
        return
    async with KeeperClient(settings.keeper, database) as keeper:
        try:
            fingerprint, _ = await keeper.ask({KeeperPurpose.CHECK: []})
        except KeeperRefused as error:
            raise SettingsError(str(error)) from None
        except Unavailable as error:
            log.warning("starting without the keeper", exc_info=error)
            return
        if stored is not None and stored != fingerprint:
            raise SettingsError(WRONG_KEEPER)
        if stored is None and not has_digests:
            await adopt(database, keeper, Wrapper(settings.secret_keys))
        elif stored is None:
            log.warning("the keeper is not used yet; run `petition keeper adopt`")
