"""An installation in this test's own database, and a post office it can mail through."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from petition.core import logs
from petition.core.database import Connection
from tests.mail.installation import Installation, settings
from tests.mail.post_office import PostOffice


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


@pytest.fixture
async def installation(conn: Connection, database_url: str, tmp_path: Path, post: PostOffice) -> Installation:
    """Give an installation that mails through ``post``."""
    return Installation(conn, settings(tmp_path, database_url, post.url))


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Give a function that returns all that was logged in this test, as it would be written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)
