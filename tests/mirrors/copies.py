"""A letter with signatories of every kind, an answer with a document, news, and two versions; and copies of it."""

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from petition.core.database import Database
from tests import commands
from tests.addressees.records import record
from tests.running import SLUG

PEOPLE = 200
PDF = b"%PDF-1.7 the answer of an addressee"
HEADER = ["kind", "name", "name_ru", "email", "affiliation", "city", "country", "signed_at", "visibility"]

ADD_DOCUMENT = """
WITH file AS (
  INSERT INTO addressee_file (letter, type, content, hidden)
  SELECT id, 'application/pdf', $2, false FROM letter WHERE slug = $3 RETURNING letter, id
)
UPDATE addressee_event e SET file = file.id FROM file WHERE e.letter = file.letter AND e.id = $1
"""

ADD_NEWS = """
INSERT INTO news (letter, texts, shown, state, published_at)
SELECT id, $2, $2, 'published', now() FROM letter WHERE slug = $1
"""


def crowd(folder: Path) -> tuple[Path, list[str]]:
    """Write a file of signatories of every kind and visibility; return it with every value that was typed."""
    out, typed = io.StringIO(), list[str]()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for number in range(PEOPLE):
        name, mark = f"Zebulonius Qwirk{number:03}ovich", f"{number:03}"
        values = [f"qwirk{mark}@mailbox-of-{mark}.example", f"Affiliatia{mark}", f"Qwirktown{mark}"]
        match number % 4:
            case 0:
                row = ["person", name, "", *values, "DE", "2026-03-01", "public"]
            case 1:
                row = ["person", name, "", *values, "DE", "2026-03-01", "organizers"]
            case 2:
                row, name = ["person", "", "", values[0], "", "", "DE", "2026-03-01", "counted"], values[0]
            case _:
                row = [
                    "organization",
                    f"{name} GmbH",
                    f"Квирк{mark} ООО",
                    values[0],
                    "",
                    "",
                    "DE",
                    "2026-03-01",
                    "public",
                ]
                values.append(f"Квирк{mark}")
        writer.writerow(row)
        typed += [name, *values]
    path = folder / "crowd.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path, typed


async def fill(database: Database, environ: Mapping[str, str], folder: Path) -> list[str]:
    """Give the sample letter everything that a mirror shows, and a crowd; return every value of the crowd."""
    path, typed = crowd(folder)
    code, said = await commands.run(f"signatures import {SLUG} {path}", environ)
    assert code == 0, said
    at = await database_now(database)
    event = await record(
        database, "Halden Cloud", "answered", at, summary={"en": "We will keep it.", "ru": "Мы сохраним."}
    )
    text = {"title": "A first answer", "markdown": "", "html": f'<p>See <a href="/en/{SLUG}/answers">here</a>.</p>'}
    async with database.transaction() as conn:
        await conn.execute(ADD_DOCUMENT, event, PDF, SLUG)
        await conn.execute(ADD_NEWS, SLUG, {"en": text, "ru": {**text, "title": "Первый ответ"}})
        await conn.execute("UPDATE letter SET revision = revision + 1 WHERE slug = $1", SLUG)
    return typed


async def database_now(database: Database) -> datetime:
    async with database.connection() as conn:
        moment: datetime = await conn.fetchval("SELECT now()")
        return moment
