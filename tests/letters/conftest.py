"""Who works at the desk in these tests."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.organizers import people
from tests.running import Installation


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor", name="Boris") as client:
        yield client


@pytest.fixture
async def keeper(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, admin=True, email="admin@letters.example") as client:
        yield client
