"""Mappings that a letter's organizers keep under a name, for the next file with the same header.

They have the header row, the columns and what the values mean. They belong to a letter, as its team does; the header
and the values are encrypted under its name key, since a column may have anything.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.core.text_cleaning import clean
from petition.formats.dates import DateOrder
from petition.imports.column_guessing import is_of_problems
from petition.imports.column_mapping import KINDS, Plan
from petition.imports.column_values import ANSWERS, understood, value_of
from petition.imports.file_info import FileInfo, Values
from petition.signatures.model import Visibility
from petition.signatures.names import fold

MAX_MAPPINGS = 50  # of a letter
MAX_NAME = 80  # characters

TOO_MANY = N_("This letter already has 50 mappings. Delete some first.")

SAVE = """
INSERT INTO import_mapping (letter, name, header_digest, fields, organizer) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (letter, name) DO UPDATE SET header_digest = $3, fields = $4, organizer = $5, saved_at = now()
"""
LOAD = "SELECT id, name, header_digest, fields, saved_at FROM import_mapping WHERE letter = $1 ORDER BY saved_at DESC"
DROP = "DELETE FROM import_mapping WHERE letter = $1 AND id = $2"


@dataclass(frozen=True, slots=True)
class KeptMapping:
    id: int
    name: str
    saved_at: datetime
    header_digest: bytes = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)

    def plan(self, header: Sequence[str], values: Values, *, sheet: int, line: int) -> Plan:
        """Return the mapping for a file with that header; values it does not know stay open."""
        by_title = {_title(title): name for title, name in self.fields["columns"]}
        columns = tuple(by_title.get(_title(title), "") for title in header)
        order = self.fields["dates"]
        return Plan(
            columns,
            kind=self.fields["kind"] if self.fields["kind"] in KINDS else KINDS[0],
            visibility=Visibility(self.fields["visibility"]),
            dates=DateOrder(order) if order else None,
            sheet=sheet,
            header=line,
            values=self._answers(columns, header, values),
        )

    def _answers(self, columns: Sequence[str], header: Sequence[str], values: Values) -> dict[str, list[str]]:
        answers = {}
        for name in ANSWERS:
            if name in columns:
                index, chosen = columns.index(name), self.fields["values"].get(name, {})
                answers[str(index)] = [
                    chosen.get(value_of(cell)) or understood(name, cell, header[index]) or ""
                    for cell, _ in values.get(str(index), ())
                ]
        return answers


def _title(cell: str) -> str:
    return fold(cell) or cell.strip()


def header_digest(keys: LetterKeys, header: Sequence[str]) -> bytes:
    """Return what the mappings of files with that header have in common. Raises ``KeyDestroyed``."""
    titles = [_title(cell) for cell in header if cell.strip() and not is_of_problems(cell)]
    return keys.digest(json.dumps(["header", *titles], ensure_ascii=False))


async def save(conn: Connection, actor: Actor, keys: LetterKeys, name: str, file: FileInfo, plan: Plan) -> None:
    """Keep a mapping, in place of one with the same name. Raises ``Refused``."""
    name = "".join(letter for letter in clean(name) if letter.isprintable())[:MAX_NAME].strip()
    if not name:
        return
    mappings = await load(conn, actor.letter_id, keys)
    if len(mappings) >= MAX_MAPPINGS and all(mapping.name != name for mapping in mappings):
        raise Refused(TOO_MANY, "mapping")
    fields = {
        "columns": [[title, column] for title, column in zip(file.header, plan.columns, strict=False)],
        "kind": plan.kind,
        "visibility": plan.visibility.value,
        "dates": plan.dates and plan.dates.value,
        "values": {
            plan.columns[int(index)]: {
                value_of(cell): answer
                for (cell, _), answer in zip(file.values.get(index, ()), answers, strict=False)
                if answer
            }
            for index, answers in plan.values.items()
        },
    }
    digest = header_digest(keys, file.header)
    await conn.execute(SAVE, actor.letter_id, name, digest, keys.hide(fields), actor.organizer_id)
    await audit_log.record_by(conn, actor, "import.mapping", ids=())


async def load(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> list[KeptMapping]:
    """Return a letter's mappings, the newest first; none if its keys are destroyed."""
    try:
        return [
            KeptMapping(row["id"], row["name"], row["saved_at"], row["header_digest"], keys.reveal(row["fields"]))
            for row in await conn.fetch(LOAD, letter_id)
        ]
    except KeyDestroyed:
        return []


async def drop(conn: Connection, actor: Actor, mapping_id: int) -> None:
    """Delete a mapping; nothing happens if it is gone."""
    if (await conn.execute(DROP, actor.letter_id, mapping_id)).endswith(" 1"):
        await audit_log.record_by(conn, actor, "import.mapping_drop", ids=[mapping_id])
