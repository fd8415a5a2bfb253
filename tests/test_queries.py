"""Every SQL constant is prepared against the migrated schema: a misspelt column fails here, and not at night."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import petition
from petition.core.database import connect
from tests.conftest import fresh_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Conn

STATEMENT = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE|TRUNCATE|COPY|LOCK|CREATE)\s")
TEMPORARY = re.compile(r"\s*CREATE TEMPORARY TABLE\s")
PREPARED = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\s")


def texts(value: object) -> Iterator[str]:
    """Yield the strings in a constant, also those inside a tuple, a mapping or a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from texts(each)
    elif isinstance(value, dict):
        yield from texts(tuple(value.values()))
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        yield from texts(tuple(getattr(value, name) for name in value.__dataclass_fields__))


def statements() -> dict[str, str]:
    """Return every SQL statement that stands in an upper-case constant of the package, under its place."""
    found: dict[str, str] = {}
    for info in pkgutil.walk_packages(petition.__path__, "petition."):
        if info.name == "petition.__main__":
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            if not name.isupper():
                continue
            for number, text in enumerate(texts(value)):
                if STATEMENT.match(text):
                    found.setdefault(text, f"{info.name}.{name}{f'[{number}]' if number else ''}")
    return {place: text for text, place in found.items()}


STATEMENTS = statements()


def test_they_are_found() -> None:
    modules = {place.rpartition(".")[0] for place in STATEMENTS}
    assert modules >= {
        "petition.core.quotas",
        "petition.worker.retention",
        "petition.mail.queries",
        "petition.letters.queries",
    }
    assert modules >= {"petition.signatures.queries", "petition.signatures.listing_queries"}
    assert len(STATEMENTS) > 60


@pytest.fixture(scope="module")
async def migrated(cluster: str, admin: "Conn", template: str) -> "AsyncIterator[Conn]":
    """Give one connection with the whole schema, and with the temporary tables that statements make for others."""
    async with fresh_database(cluster, admin, template) as url:
        connection = await connect(url)
        async with connection.transaction():  # at whose end temporary tables go
            for statement in STATEMENTS.values():
                if TEMPORARY.match(statement):
                    await connection.execute(statement)
            yield connection
        await connection.close()


@pytest.mark.parametrize("place", sorted(STATEMENTS))
async def test_it_fits_the_schema(migrated: "Conn", place: str) -> None:
    statement = STATEMENTS[place]
    async with migrated.transaction():
        if PREPARED.match(statement):
            await migrated.prepare(statement)
        elif not TEMPORARY.match(statement):  # what cannot be prepared is carried out
            await migrated.execute(statement)
