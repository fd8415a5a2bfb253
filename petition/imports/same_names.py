"""Rows that are new to the letter, but have a name that an earlier import brought.

A list that a spreadsheet or another export has touched has other rows: seconds are gone, a city is spelled otherwise.
Its names are the same. Names that only organizers see are encrypted, so those of earlier imports are decrypted here and
compared by digests that live as long as the transaction. Only imports are compared, never people who signed here: a
dry run must not show that someone has.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId
from petition.signatures.csv_format import Entry
from petition.signatures.model import Kind
from petition.signatures.names import fold, organization_key

LONG = 3600.0  # seconds
BATCH = 2000  # rows decrypted at once, in a thread
NOTHING = b""  # the digest of an empty detail

IMPORTED_ROWS = """
SELECT s.id, s.import, s.kind, s.import_key, s.digest, s.signed_at, s.country, s.name, s.affiliation, s.city, s.private,
       o.name_en, o.name_ru
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.import IS NOT NULL AND (s.import, s.id) > ($2, $3)
ORDER BY s.import, s.id LIMIT $4
"""

HAS_IMPORTS = "SELECT EXISTS (SELECT FROM signature WHERE letter = $1 AND import IS NOT NULL)"

CREATE_IMPORTED = """
CREATE TEMPORARY TABLE imported_name (
  full_name bytea, import integer, id bigint, import_key bytea, digest bytea, signed_at timestamptz, country text,
  details bytea[]
) ON COMMIT DROP
"""
IMPORTED_NAME = ("full_name", "import", "id", "import_key", "digest", "signed_at", "country", "details")

# One row imported before stands for one row of the file: two people of one name are two.
DROP_MATCHED = """
DELETE FROM imported_name i USING staged s
WHERE i.import_key = s.import_key OR (i.digest = s.digest AND i.full_name = s.full_name)
"""

# Times are compared to the coarser of the two: a day has no time, many programs write no seconds.
COMPARE = """
WITH ours AS (
  SELECT *, row_number() OVER (PARTITION BY full_name ORDER BY details, signed_at, line) AS number
  FROM staged WHERE full_name IS NOT NULL
), theirs AS (
  SELECT *, row_number() OVER (PARTITION BY full_name ORDER BY details, signed_at, id) AS number FROM imported_name
)
UPDATE staged s SET same_as = CASE WHEN
    (ours.digest IS NULL OR theirs.digest IS NULL OR ours.digest = theirs.digest)
    AND (ours.country IS NULL OR theirs.country IS NULL OR ours.country = theirs.country)
    AND (ours.details[1] = '' OR theirs.details[1] = '' OR ours.details[1] = theirs.details[1])
    AND (ours.details[2] = '' OR theirs.details[2] = '' OR ours.details[2] = theirs.details[2])
    AND (ours.signed_at IS NULL OR theirs.signed_at IS NULL
      OR ours.signed_at = theirs.signed_at
      OR (date_trunc('minute', ours.signed_at) = date_trunc('minute', theirs.signed_at)
          AND (ours.signed_at = date_trunc('minute', ours.signed_at)
               OR theirs.signed_at = date_trunc('minute', theirs.signed_at)))
      OR (date_trunc('day', ours.signed_at, 'UTC') = date_trunc('day', theirs.signed_at, 'UTC')
          AND (ours.signed_at = date_trunc('day', ours.signed_at, 'UTC')
               OR theirs.signed_at = date_trunc('day', theirs.signed_at, 'UTC'))))
  THEN 'row' ELSE 'name' END || ':' || theirs.import
FROM ours JOIN theirs USING (full_name, number)
WHERE s.line = ours.line
"""

DROP_SAME_ROWS = "DELETE FROM staged WHERE same_as LIKE 'row:%' RETURNING import_key"
COUNT_SAME_NAMES = """
SELECT split_part(same_as, ':', 2)::integer AS import, count(*) AS rows, (array_agg(line ORDER BY line))[:20] AS lines
FROM staged WHERE same_as LIKE 'name:%' GROUP BY 1 ORDER BY 1
"""
DROP_SAME_NAMES = "DELETE FROM staged WHERE same_as LIKE 'name:%'"


@dataclass(frozen=True, slots=True)
class SameNames:
    """The rows with names that an earlier import has."""

    by_import: Mapping[int, int] = field(default_factory=dict)  # number of the import → rows
    lines: Sequence[int] = ()  # of the first ones
    left_out: int = 0
    same_rows: Sequence[bytes] = ()  # keys of rows imported before, written otherwise; not among the others

    @property
    def rows(self) -> int:
        return sum(self.by_import.values())


class NameComparison:
    """Compares the staged rows with those of earlier imports. With ``add``, rows that only share a name are added."""

    def __init__(self, keys: LetterKeys, *, add: bool) -> None:
        self._keys = keys
        self._add = add
        self._staged: set[bytes] = set()

    def digests(self, entry: Entry) -> tuple[bytes | None, list[bytes] | None]:
        """Return what is staged of a row: the digests of its name, and of affiliation and city."""
        if entry.kind is Kind.ORGANIZATION:
            name = self._organization(entry.name_en, entry.name_ru)
        else:
            name = self.person(entry.name) if entry.name else None
        return self.digests_of(name, entry.affiliation, entry.city) if name else (None, None)

    def digests_of(
        self, name: bytes, affiliation: str | None, city: str | None
    ) -> tuple[bytes | None, list[bytes] | None]:
        """Do the same with the digest of a name."""
        self._staged.add(name)
        return name, self._details(affiliation, city)

    def know(self, names: Iterable[bytes]) -> None:
        """Take the digests of names that are staged already."""
        self._staged.update(names)

    async def load(self, conn: Connection, letter_id: LetterId) -> None:
        """Decrypt the rows of earlier imports whose names are staged, in this transaction."""
        await conn.execute(CREATE_IMPORTED)
        last = (0, -1)
        while rows := await conn.fetch(IMPORTED_ROWS, letter_id, *last, BATCH, timeout=LONG):
            last = rows[-1]["import"], rows[-1]["id"]
            records = await asyncio.to_thread(self._records, rows)
            if records:
                await conn.copy_records_to_table("imported_name", records=records, columns=IMPORTED_NAME, timeout=LONG)
        await conn.execute(DROP_MATCHED, timeout=LONG)

    async def apply(self, conn: Connection) -> SameNames:
        """Drop the staged rows that were imported before, and those with a name that was, unless they are added."""
        await conn.execute(COMPARE, timeout=LONG)
        same_rows = [row["import_key"] for row in await conn.fetch(DROP_SAME_ROWS, timeout=LONG)]
        rows = await conn.fetch(COUNT_SAME_NAMES, timeout=LONG)
        by_import = {row["import"]: row["rows"] for row in rows}
        lines = sorted(line for row in rows for line in row["lines"])[:20]
        left_out = 0 if self._add else int((await conn.execute(DROP_SAME_NAMES, timeout=LONG)).split()[-1])
        return SameNames(by_import, lines, left_out, same_rows)

    def _records(self, rows: Sequence[Record]) -> list[tuple[object, ...]]:
        records: list[tuple[object, ...]] = []
        for row in rows:
            texts = self._texts(row)
            if row["kind"] == Kind.ORGANIZATION:
                name = self._organization(row["name_en"], row["name_ru"])
            else:
                name = self.person(texts["name"] or "") if texts.get("name") else None
            if name in self._staged:
                numbers = (row["import"], row["id"], row["import_key"], row["digest"], row["signed_at"], row["country"])
                records.append((name, *numbers, self._details(texts.get("affiliation"), texts.get("city"))))
        return records

    def _texts(self, row: Record) -> Mapping[str, str | None]:
        if row["private"] is not None:
            try:
                return self._keys.reveal(row["private"])
            except KeyDestroyed:
                return {}
        return {"name": row["name"], "affiliation": row["affiliation"], "city": row["city"]}

    def person(self, name: str) -> bytes:
        """Return the digest of a name, whichever part of it stands first."""
        return self._keys.digest("name " + (" ".join(sorted(fold(name).split())) or name))

    def _organization(self, english: str | None, russian: str | None) -> bytes | None:
        names = [organization_key(name) if name else "" for name in (english, russian)]
        return self._keys.digest(json.dumps(["names", *names], ensure_ascii=False)) if any(names) else None

    def _details(self, *texts: str | None) -> list[bytes]:
        return [self._keys.digest("detail " + fold(text)) if text else NOTHING for text in texts]


async def compares(conn: Connection, letter_id: LetterId) -> bool:
    """Return whether a letter has imported rows to compare with."""
    return bool(await conn.fetchval(HAS_IMPORTS, letter_id))
