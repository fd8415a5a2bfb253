"""Rows on their way into the table ``staged``: lines of text as COPY reads them, many at a time.

PostgreSQL reads them faster than its driver writes values, and they are kept as they are from the trial to the import.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from itertools import islice

BATCH = 1000  # rows a thread reads at once
NULL = "\\N"
NO_NAMES = "\t".join([NULL] * 5)  # in place of name, affiliation, city, name_key, private

StagedRow = tuple[str, str]  # the line that is staged, and the one that is kept; "" if none is
Block = tuple[bytes, bytes]  # lines that are staged, and those that are kept

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def as_text(value: object) -> str:
    """Return a value as COPY reads it: text, bytes, a number, a time, a list of bytes, or none."""
    if value is None:
        return NULL
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    if isinstance(value, list):  # the backslash is escaped once for the array and once for the line
        return "{" + ",".join(f'"\\\\\\\\x{item.hex()}"' for item in value) + "}"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).translate(_ESCAPES)


def line_of(values: Iterable[object]) -> str:
    return "\t".join(map(as_text, values)) + "\n"


async def blocks(rows: Iterator[StagedRow]) -> AsyncIterator[Block]:
    """Yield rows, read in a thread, some at a time; the next are read while a block is in use."""

    def read() -> Block | None:
        batch = list(islice(rows, BATCH))
        if not batch:
            return None
        staged, whole = zip(*batch, strict=True)
        return "".join(staged).encode(), "".join(whole).encode()

    following = asyncio.create_task(asyncio.to_thread(read))
    try:
        while (block := await following) is not None:
            following = asyncio.create_task(asyncio.to_thread(read))
            yield block
    finally:  # two threads must not read one file
        with contextlib.suppress(Exception):
            await following
