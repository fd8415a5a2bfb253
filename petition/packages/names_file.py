"""The file of all public names that goes with a package: read a page at a time, as the public list shows them."""

from collections.abc import AsyncGenerator

from petition.core.database import Database
from petition.core.ids import LetterId
from petition.exports import writers
from petition.exports.writers import Format, Row
from petition.letters import switch_queries
from petition.signatures import listing
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind, Signatory

COLUMNS = ("kind", "name", "name_ru", "affiliation", "city", "country", "website")
SLICE = 1000  # rows


async def pieces(database: Database, letter_id: LetterId) -> AsyncGenerator[bytes, None]:
    """Yield the CSV file: organizations first, newest first; it ends where names are hidden. Raises ``Unavailable``."""
    writer = writers.writer(Format.CSV, COLUMNS, bom=True)
    yield writer.begin()
    for kind in (Kind.ORGANIZATION, Kind.PERSON):
        after: Cursor | None = None
        while True:
            async with database.connection() as conn:
                if (await switch_queries.of_letter(conn, letter_id)).list_hidden:  # since the file was begun
                    return
                rows, after = await listing.page(conn, letter_id, kind, after, SLICE)
            yield writer.rows([_row(row) for row in rows])
            if after is None:
                break
    yield writer.end()


def _row(row: Signatory) -> Row:
    is_person = row.kind is Kind.PERSON
    return {
        "kind": row.kind.value,
        "name": row.name if is_person else row.name_en,
        "name_ru": None if is_person else row.name_ru,
        "affiliation": row.affiliation,
        "city": row.city,
        "country": row.country,
        "website": row.website,
    }
