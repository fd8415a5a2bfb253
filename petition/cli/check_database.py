"""What ``petition check`` says about the database: reachable, writable, safe, of this version and of these secrets."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from petition import postgres
from petition.cli import check_machine, check_pooler
from petition.core import database, partitions, stored_keys
from petition.core.database import Connection
from petition.core.database_failures import lost_connections_are_unavailable
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
AWAY = "the database cannot be reached"
CURE_OF_AWAY = "; see that PostgreSQL runs, and that DATABASE_URL leads to it"
MIN_CONNECTIONS = 36  # one web process, one worker, one command
# The smallest of the three limits; -1 is none.
CONNECTIONS = """
SELECT number, name FROM (
  SELECT setting::integer AS number, 'max_connections' AS name FROM pg_settings WHERE name = 'max_connections'
  UNION ALL SELECT datconnlimit, 'the CONNECTION LIMIT of the database'
  FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT rolconnlimit, 'the CONNECTION LIMIT of the user' FROM pg_roles WHERE rolname = current_user
) AS l WHERE number >= 0 ORDER BY number LIMIT 1
"""
MAX_CLOCK_DIFFERENCE = 10.0  # seconds
WORKER_RUNS = "SELECT EXISTS (SELECT FROM mail_worker WHERE seen_at > now() - interval '1 minute')"
# Of who makes no backups by our command nothing is known.
BACKUP_AGE = """
SELECT (extract(epoch FROM now() - backed_up_at) / 86400)::integer FROM installation
WHERE backed_up_at < now() - interval '3 days'
"""
WAITING = "SELECT count(*) FROM outbox WHERE due_at < now() - interval '15 minutes'"

SENT_BACK = "SELECT coalesce(sum(number), 0) FROM incoming_mail_count WHERE kind = 'relay' AND day >= current_date - 1"


Note = Callable[[str], None]


def now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


def _drop(_line: str) -> None:
    return None


async def findings(settings: Settings, note: Note = _drop) -> AsyncIterator[str]:
    """Yield what is wrong with the database, the embedded one if no other is set; ``note`` gets its layout."""
    try:
        if settings.database_url is None:
            # This blocks the loop, on which nothing else runs here.
            with postgres.running(settings.data_dir) as url:
                async for finding in findings_about(url, settings, ours=True, note=note, processes=True):
                    yield finding
        else:
            async for finding in findings_about(settings.database_url, settings, ours=False, note=note, processes=True):
                yield finding
    except PetitionError as error:
        yield f"{error}{CURE_OF_AWAY if str(error).startswith(AWAY) else ''}"


async def findings_about(
    url: str, settings: Settings, *, ours: bool, note: Note = _drop, processes: bool = False
) -> AsyncIterator[str]:
    """Yield what is wrong with the database; ``ours`` is configured by us. Raises ``Unavailable``.

    ``processes`` must run on it, or that is wrong, too.
    """
    conn = await database.connect(url)
    try:
        with lost_connections_are_unavailable():
            if not ours:
                async for finding in _server(conn):
                    yield finding
                async for finding in check_pooler.findings(url, note):
                    yield finding
            if await database.is_read_only(conn):
                yield "the server is read-only: no one can sign; let DATABASE_URL lead to the primary"
            else:
                async with conn.transaction():
                    await conn.execute(PROBE_ROOM)
            number, needed = await database.applied_number(conn), database.schema_number()
            if number > needed:
                yield f"its schema is at {number}, this version knows {needed}: install the version that migrated it"
            if number < needed:
                yield f"its schema is at {number}, this version needs {needed}; run `petition migrate`"
                return
            if number_of_partitions := await partitions.count_partitions(conn):
                note(partitions.describe(number_of_partitions))
            async for finding in (_all_content if processes else _content)(conn, settings):
                yield finding
    finally:
        await conn.close()


async def _server(conn: Connection) -> AsyncIterator[str]:
    async for finding in _bounds(conn):
        yield finding
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


async def _bounds(conn: Connection) -> AsyncIterator[str]:
    if conn.get_server_version().major < 14:
        yield "PostgreSQL 14 or newer is needed"
    if finding := await _connections(conn):
        yield finding
    folder = await conn.fetchval(SETTING, "data_directory")  # nothing, if our account may not know
    if folder and (finding := check_machine.room_on(Path(folder))):
        yield finding


async def _connections(conn: Connection) -> str | None:
    row = await conn.fetchrow(CONNECTIONS)
    limit, name = row or (MIN_CONNECTIONS, "")
    if limit >= MIN_CONNECTIONS:
        return None
    return f"{name} is {limit}: a web process takes 10 connections, a worker 24, a command 2; raise it"


async def _clock(conn: Connection) -> str | None:
    seconds = (await conn.fetchval("SELECT clock_timestamp()") - now()).total_seconds()
    if abs(seconds) < MAX_CLOCK_DIFFERENCE:
        return None
    where = "behind" if seconds > 0 else "ahead of"
    return f"this machine's clock is {abs(seconds):.0f} s {where} the database's; synchronize both (chrony, NTP)"


async def _processes(conn: Connection) -> AsyncIterator[str]:
    """Yield whether a worker runs, and what it has not done."""
    if not await conn.fetchval(WORKER_RUNS):
        yield "no worker has been seen for a minute, so no mail goes out; start `petition worker`, look at its log"
    if days := await conn.fetchval(BACKUP_AGE):
        yield f"the last backup is {days} days old; see why `petition backup` no longer runs, and the disk it writes to"


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
    async for finding in _figures(conn):
        yield finding
    for other in (await _clock(conn), await _other_pair(conn, settings.contact_private_key)):
        if other is not None:
            yield other


async def _all_content(conn: Connection, settings: Settings) -> AsyncIterator[str]:
    async for finding in _content(conn, settings):
        yield finding
    async for finding in _processes(conn):
        yield finding


async def _figures(conn: Connection) -> AsyncIterator[str]:
    if waiting := await conn.fetchval(WAITING):
        yield f"{waiting} mails have been waiting for more than 15 minutes; see that `petition worker` runs"
    if sent_back := await conn.fetchval(SENT_BACK):
        yield f"{sent_back} mails came back since yesterday as refused by a filter or a policy; ask your relay why"
    async for finding in _counts(conn):
        yield finding


async def _other_pair(conn: Connection, private_key: str | None) -> str | None:
    if private_key is None:
        return None
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
                    is_right = "the rows are right: report this fault"
                    yield f"{row['slug']} counts {counted}, but its rows are {recount}; {is_right}"
