"""Every SQL constant is prepared against the migrated schema: a misspelt column fails here, not at night."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import petition
from petition.database import Connection
from petition.signatures import import_queries

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s")


def statements() -> Iterator[tuple[str, str]]:
    """Yield (module.NAME, SQL) of every statement in the package."""
    for module in pkgutil.walk_packages(petition.__path__, "petition."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{module.name}.{name}", value


async def test_every_statement_fits_the_schema(conn: Connection) -> None:
    found = dict(statements())
    assert len(found) > 80
    async with conn.transaction():
        await conn.execute(import_queries.CREATE_STAGED)  # an import's own table, which some of them are about
        for name, sql in found.items():
            try:
                await conn.prepare(sql)
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error
