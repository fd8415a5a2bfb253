"""What ``petition check`` says about mirrors: the folder they are written to, and what their addresses serve."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from petition import postgres
from petition.core import database, signing_key
from petition.core.database import Connection
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError
from petition.core.service_urls import is_onion
from petition.core.settings import Settings
from petition.mirrors import queries, verifying
from petition.mirrors.fetching import served
from petition.mirrors.model import BadMirror

MAX_LETTERS = 5  # verified at each address, the newest
PATIENCE = timedelta(hours=24)  # beyond MIRROR_MAX_AGE: copies travel on schedules of their own


async def findings(settings: Settings) -> AsyncIterator[str]:
    """Yield what is wrong with the mirrors. Addresses of Onion services are left out: they need Tor."""
    mirrors = settings.mirrors
    if mirrors.folder is not None and (finding := _folder_problem(mirrors.folder)):
        yield finding
    urls = [url for url in mirrors.urls if not is_onion(url)]
    if not urls:
        return
    try:
        async with _connection(settings) as conn:
            slugs = [row["slug"] for row in await queries.all_letters(conn)][:MAX_LETTERS]
            key = await signing_key.public_key(conn, Wrapper(settings.secret_keys))
    except PetitionError as error:
        yield f"the mirrors were not verified: {error}"
        return
    for url in urls:
        for slug in slugs:
            if problem := await _problem(f"{url}/{slug}/", key, mirrors.max_age + PATIENCE):
                yield f"{urlsplit(url).netloc}: {slug}: {problem}; copy MIRROR_DIR there again"


def _folder_problem(folder: Path) -> str | None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return None
    return f"MIRROR_DIR: {existing} cannot be written to by this account; give it the folder, or name another"


async def _problem(url: str, public_key: bytes, max_age: timedelta) -> str | None:
    """Return what is wrong with a mirror. Raises nothing."""
    try:
        async with served(url) as source:
            report = await verifying.verify_mirror(source, public_key)
    except BadMirror as bad:
        return str(bad)
    late = verifying.age_problem(report, datetime.now(UTC), max_age)
    return next(iter([*report.problems, *([late] if late else [])]), None)


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[Connection]:
    if settings.database_url is not None:
        async with _connected(settings.database_url) as conn:
            yield conn
        return
    with postgres.running(settings.data_dir) as url:
        async with _connected(url) as conn:
            yield conn


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    conn = await database.connect(url)
    try:
        with lost_connections_are_unavailable():
            yield conn
    finally:
        await conn.close()
