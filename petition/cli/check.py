"""``petition check``: tells what is wrong with the settings, the database and the relays, before readers do."""

import asyncio
from collections.abc import AsyncIterator

from petition import postgres
from petition.core import database, i18n
from petition.core.database import Connection
from petition.core.errors import PetitionError
from petition.core.settings import Process, Settings, load
from petition.letters import queries as letters
from petition.letters.model import Counts
from petition.mail.relay_errors import RelayDown
from petition.mail.smtp_connection import SmtpConnection
from petition.signatures import counting

# What makes PostgreSQL print rows, addresses or names among them, into its own log.
TELLTALE = {
    "log_min_error_statement": {"panic", "fatal"},
    "log_parameter_max_length_on_error": {"0"},
    "log_error_verbosity": {"terse"},
    "log_statement": {"none", "ddl"},
}


def main() -> int:
    """Print one line for each finding; return 1 if something is wrong."""
    wrong = asyncio.run(_all())
    if not wrong:
        print("all is well")
    return 1 if wrong else 0


async def _all() -> int:
    wrong = 0
    settings: Settings | None = None
    for role in (Process.WEB, Process.WORKER):
        try:
            settings = load(role=role)
        except PetitionError as error:
            wrong += _report(role.value, str(error))
    if settings is None:
        return wrong
    async for part, finding in _findings(settings):
        wrong += _report(part, finding)
    return wrong


def _report(part: str, finding: str) -> int:
    print(f"{part}: {finding}")
    return 1


async def _findings(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    try:
        i18n.load(settings.locales_dir)
    except (PetitionError, OSError) as error:
        yield "locales", str(error)
    async for finding in _database(settings):
        yield "database", finding
    for relay in settings.relays:
        try:
            await SmtpConnection(relay, "localhost").probe()
        except RelayDown as error:
            yield f"relay {relay.host}:{relay.port}", str(error)


async def _database(settings: Settings) -> AsyncIterator[str]:
    try:
        if settings.database_url is None:
            # This blocks the loop, on which nothing else runs here.
            with postgres.running(settings.data_dir) as url:
                async for finding in findings_about(url, ours=True):
                    yield finding
        else:
            async for finding in findings_about(settings.database_url, ours=False):
                yield finding
    except PetitionError as error:
        yield str(error)


async def findings_about(url: str, *, ours: bool) -> AsyncIterator[str]:
    """Yield what is wrong with the database; ``ours`` is configured by us. Raises ``Unavailable``."""
    conn = await database.connect(url)
    try:
        if conn.get_server_version().major < 14:
            yield "PostgreSQL 14 or newer is needed"
        if not await database.is_migrated(conn):
            yield "the schema is not up to date; run `petition migrate`"
        else:
            async for finding in _counts(conn):
                yield finding
        for name, good in () if ours else TELLTALE.items():
            value = await conn.fetchval("SELECT current_setting($1)", name)
            if value not in good:
                yield f"{name} is {value}: the server's log would contain rows, including names"
    finally:
        await conn.close()


async def _counts(conn: Connection) -> AsyncIterator[str]:
    """Count every published letter anew from its rows."""
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        for row in await letters.load_statuses(conn):
            counted = Counts(row["people"], row["organizations"], row["hidden"], row["imported"])
            recount = await counting.counts_from_rows(conn, row["id"])
            if recount != counted:
                yield f"{row['slug']} counts {counted}, but its rows are {recount}"
