"""What a process looks at before it begins: the secrets fit the database, or it does not start."""

import asyncio
import logging

from petition.core import database, stored_keys
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import Unavailable
from petition.core.settings import Settings

PATIENCE = 5.0  # seconds; a process starts without the database, and serves once it is there
RETRY = 0.5

log = logging.getLogger(__name__)


async def look_at_database(settings: Settings) -> None:
    """Raises ``SettingsError`` if the secrets are not those of the database; logs everything else that is wrong."""
    try:
        async with asyncio.timeout(PATIENCE):
            await _look(settings)
    except (Unavailable, TimeoutError) as error:
        log.warning("starting without the database", exc_info=error)


async def wait_for_database(settings: Settings) -> None:
    """Return once the database can be reached; say in the log why it cannot."""
    attempt = 0
    while True:
        try:
            conn = await database.connect(settings.database_url or "")
        except Unavailable as error:
            if attempt % 20 == 0:
                log.warning("waiting for the database", exc_info=error)
            attempt += 1
            await asyncio.sleep(RETRY)
        else:
            await conn.close()
            return


async def _look(settings: Settings) -> None:
    conn = await database.connect(settings.database_url or "")
    try:
        with lost_connections_are_unavailable():
            if not await database.is_migrated(conn):
                log.warning("the database has not been migrated; run `petition migrate`")
                return
            await stored_keys.check_secret(conn, Wrapper(settings.secret_keys))
            if settings.contact_private_key:
                counts = DecryptionCounts()
                finding = await stored_keys.other_pair(conn, Opener(settings.contact_private_key, counts))
                if finding:
                    log.error(finding)
            if await database.is_read_only(conn):
                log.warning("the database is read-only")
            elif settings.contact_private_key:
                await counts.store_in(conn)
    finally:
        await conn.close()
