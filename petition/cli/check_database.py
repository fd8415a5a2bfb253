"""What ``petition check`` says about the database: reachable, writable, safe, of this version and of these secrets."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from petition import postgres
from petition.core import database, partitions, stored_keys
from petition.core.database import Connection, lost_connections_are_unavailable
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import PetitionError, SettingsError
from petition.core.settings import Settings
from petition.keeper import adoption
from petition.letters import queries as letters
from petition.letters import status_queries
from petition.letters.model import State
from petition.signatures import counting

# What makes PostgreSQL print rows, addresses or names among them, into its own log.
TELLTALE: Mapping[str, Sequence[str]] = {
    "log_min_error_statement": ("panic", "fatal"),
    "log_parameter_max_length_on_error": ("0",),
    "log_error_verbosity": ("terse",),
    "log_statement": ("none", "ddl"),
}
# What loses signatures that were confirmed, when the machine stops.
UNSAFE: Mapping[str, Sequence[str]] = {
    "synchronous_commit": ("on", "remote_apply", "remote_write", "local"),
    "fsync": ("on",),
    "full_page_writes": ("on",),
}
MIN_TIMEOUT = 15_000  # milliseconds; a statement of ours may take so long
TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")

# Two megabytes that no disk has yet, gone at the end of the transaction.
PROBE_ROOM = """
CREATE TEMPORARY TABLE room ON COMMIT DROP AS SELECT repeat(md5(i::text), 64) AS filler FROM generate_series(1, 1000) i
"""
NO_TIMEOUT = "SET LOCAL statement_timeout = 0"
SETTING = "SELECT setting FROM pg_settings WHERE name = $1"
WAITING = "SELECT count(*) FROM outbox WHERE due_at < now() - interval '15 minutes'"

SENT_BACK = "SELECT coalesce(sum(number), 0) FROM incoming_mail_count WHERE kind = 'relay' AND day >= current_date - 1"


Note = Callable[[str], None]


def _drop(_line: str) -> None:
    return None


async def findings(settings: Settings, note: Note = _drop) -> AsyncIterator[str]:
    """Yield what is wrong with the database, the embedded one if no other is set; ``note`` gets its layout."""
    try:
        if settings.database_url is None:
            # This blocks the loop, on which nothing else runs here.
            with postgres.running(settings.data_dir) as url:
                async for finding in findings_about(url, settings, ours=True, note=note):
                    yield finding
        else:
            async for finding in findings_about(settings.database_url, settings, ours=False, note=note):
                yield finding
    except PetitionError as error:
        yield str(error)


async def findings_about(url: str, settings: Settings, *, ours: bool, note: Note = _drop) -> AsyncIterator[str]:
    """Yield what is wrong with the database; ``ours`` is configured by us. Raises ``Unavailable``."""
    conn = await database.connect(url)
    try:
        with lost_connections_are_unavailable():
            if not ours:
                async for finding in _server(conn):
                    yield finding
            if await database.is_read_only(conn):
                yield "the server is read-only: no one can sign; let DATABASE_URL lead to the primary"
            else:
                async with conn.transaction():
                    await conn.execute(PROBE_ROOM)
            number, needed = await database.applied_number(conn), database.schema_number()
            if number < needed:
                yield f"its schema is at {number}, this version needs {needed}; run `petition migrate`"
                return
            if number_of_partitions := await partitions.count_partitions(conn):
                note(partitions.describe(number_of_partitions))
            async for finding in _content(conn, settings):
                yield finding
    finally:
        await conn.close()


async def _server(conn: Connection) -> AsyncIterator[str]:
    if conn.get_server_version().major < 14:
        yield "PostgreSQL 14 or newer is needed"
    if (encoding := await conn.fetchval(SETTING, "server_encoding")) != "UTF8":
        yield f"its encoding is {encoding}: create the database anew with ENCODING 'UTF8'"
    for name, good in UNSAFE.items():
        value = await conn.fetchval(SETTING, name)
        if value not in good:
            yield f"{name} is {value}: confirmed signatures would be lost in a crash; set it to on"
    for name in TIMEOUTS:
        milliseconds = int(await conn.fetchval(SETTING, name) or 0)
        if 0 < milliseconds < MIN_TIMEOUT:
            yield f"{name} is {milliseconds} ms: searches, imports and migrations would fail; set it to 0 or 15 s"
    for name, good in TELLTALE.items():
        value = await conn.fetchval(SETTING, name)
        if value not in good:
            yield f"{name} is {value}: the server's log would contain rows, including names; set it to {good[0]}"


async def _content(conn: Connection, settings: Settings) -> AsyncIterator[str]:
    wrapper = Wrapper(settings.secret_keys)
    try:
        await stored_keys.check_secret(conn, wrapper)
    except SettingsError as error:
        yield str(error)
    else:
        for slug in await stored_keys.letters_with_other_keys(conn, wrapper):
            yield f"{slug}: its keys were encrypted with another SECRET_KEY; add that one to OLD_SECRET_KEYS"
    async for trouble in adoption.findings(conn, settings):
        yield trouble
    if settings.contact_private_key and (finding := await _other_pair(conn, settings.contact_private_key)):
        yield finding
    if waiting := await conn.fetchval(WAITING):
        yield f"{waiting} mails have been waiting for more than 15 minutes; see that `petition worker` runs"
    if sent_back := await conn.fetchval(SENT_BACK):
        yield f"{sent_back} mails came back since yesterday as refused by a filter or a policy; ask your relay why"
    async for finding in _counts(conn):
        yield finding


async def _other_pair(conn: Connection, private_key: str) -> str | None:
    counts = DecryptionCounts()
    finding = await stored_keys.other_pair(conn, Opener(private_key, counts))
    if not await database.is_read_only(conn):
        await counts.store_in(conn)
    return finding


async def _counts(conn: Connection) -> AsyncIterator[str]:
    """Count every published letter anew from its rows."""
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        await conn.execute(NO_TIMEOUT)
        async for rows in status_queries.all_statuses(conn):
            for row in (row for row in rows if row["state"] != State.GONE):
                counted = letters.counts_in(row)
                recount = await counting.counts_from_rows(conn, row["id"])
                if recount != counted:
                    yield f"{row['slug']} counts {counted}, but its rows are {recount}"
