"""What commands share: the settings of a tool, and the database, embedded or another, for as long as they run."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

from petition import postgres
from petition.core import database
from petition.core.database import Database
from petition.core.settings import Process, Settings, load


@asynccontextmanager
async def tool() -> AsyncIterator[tuple[Settings, Database]]:
    """Give the settings of a tool, and its database."""
    with ExitStack() as stack:
        settings = stack.enter_context(with_database(load(role=Process.TOOL)))
        async with database.opened(url_of(settings), max_size=2) as db:
            yield settings, db


@contextmanager
def with_database(settings: Settings) -> Iterator[Settings]:
    """Start the embedded database if no other is set, for as long as the command runs."""
    if settings.database_url is not None:
        yield settings
        return
    with postgres.running(settings.data_dir) as url:
        # Where the web runs in several processes, each reads the environment anew.
        os.environ["DATABASE_URL"] = url
        yield replace(settings, database_url=url)


def url_of(settings: Settings) -> str:
    return settings.database_url or ""


def print_json(value: object) -> None:
    """Print a value for programs; times as ISO 8601."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_lines(*lines: str) -> None:
    """Print each line."""
    for line in lines:
        print(line)
