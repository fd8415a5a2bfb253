"""Reading what a mirror shows, with the statements that the public pages use; no list of signatories is among them."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId, PictureId, ResponseId
from petition.count_log import reading, witnesses
from petition.count_log.reading import LogHead
from petition.count_report import reading as count_reading
from petition.drafts import draft_queries
from petition.letters import addressee_queries, queries, update_queries
from petition.letters.model import Text
from petition.letters.published import PublishedLetter
from petition.mirrors import queries as queries_of_mirrors
from petition.mirrors.model import LetterSnapshot, StoredFile

MAX_NEWS = 200  # the newest
MAX_DOCUMENTS = 100  # the newest answers
MAX_LOG = 1_000_000  # entries
MAX_FILE = 8 * 1024 * 1024  # bytes of one document or picture

_PICTURE = re.compile(r'"/[a-z]{2,3}/[a-z0-9-]{3,64}/picture/([1-9][0-9]{0,18})"')

ReadPart = Callable[[int, int], Awaitable[Record | None]]  # from a start, so many bytes


async def read_snapshot(
    database: Database, wrapper: Wrapper, published: PublishedLetter, *, with_documents: bool = True
) -> LetterSnapshot:
    """Return the letter with everything that its public pages show beside names. Raises ``Unavailable``."""
    letter = published.letter
    async with database.connection() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        log = await reading.head(conn, letter.id)
        if with_documents and log is not None:
            published = await _counted(conn, published)
        report = await count_reading.read(conn, published)
        versions = await queries.versions(conn, letter.id)
        news = await update_queries.published(conn, letter.id, 0, MAX_NEWS)
        texts = [*letter.version.texts.values(), *(text for _, by_lang in news for text in by_lang.values())]
        return LetterSnapshot(
            published=report.published,
            report=report,
            versions=versions,
            news=news,
            documents=await _documents(conn, published) if with_documents else {},
            pictures=await _pictures(conn, letter.slug, texts),
            log=await _log(conn, wrapper, log) if with_documents and log is not None else {},
            log_state=await log_state(conn, letter.id),
        )


async def _counted(conn: Connection, published: PublishedLetter) -> PublishedLetter:
    """Return the letter with the count of this moment: a mirror's count and log are compared."""
    row = await queries_of_mirrors.shown_count(conn, published.letter.id)
    if row is None:
        return published
    counts = queries.counts_in(row)
    visible = counts.with_all_hidden() if published.letter.conceals_names else counts
    return replace(published, counts=visible, counted_at=row["counted_at"] or datetime.now(UTC))


async def _log(conn: Connection, wrapper: Wrapper, log: LogHead) -> dict[str, bytes]:
    """Return the files of the count log, and what is needed to check it; nothing if a folder would have too many."""
    if log.size > MAX_LOG:
        return {}
    files = {path: content async for path, content in reading.files(conn, log)}
    return files | await witnesses.files_beside(conn, wrapper, log)


async def log_state(conn: Connection, letter_id: LetterId) -> str:
    """Return what changes with everything that a mirror has of the letter's log."""
    return (await reading.log_states(conn, [letter_id])).get(letter_id, "")


async def _documents(conn: Connection, published: PublishedLetter) -> dict[ResponseId, StoredFile]:
    letter = published.letter
    ids = sorted(row.id for addressee in letter.addressees for row in addressee.responses if row.has_file)
    files: dict[ResponseId, StoredFile] = {}
    for response_id in ids[-MAX_DOCUMENTS:]:
        row = await addressee_queries.document(conn, letter.slug, response_id, 0, MAX_FILE)
        if row is not None and row["size"] <= MAX_FILE:
            files[response_id] = StoredFile(row["type"], row["part"])
    return files


async def _pictures(conn: Connection, slug: str, texts: Iterable[Text]) -> dict[PictureId, StoredFile]:
    """Return the pictures that stand in the texts; of this letter's, as others may not be public."""
    ids = {PictureId(int(match[1])) for text in texts for match in _PICTURE.finditer(text.html)}
    files: dict[PictureId, StoredFile] = {}
    for picture_id in sorted(ids):
        row = await draft_queries.public_picture(conn, slug, picture_id, 0, MAX_FILE)
        if row is not None and row["size"] <= MAX_FILE:
            files[picture_id] = StoredFile(row["type"], row["part"])
    return files
