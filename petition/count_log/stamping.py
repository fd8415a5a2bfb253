"""Has authorities (RFC 3161) sign that a checkpoint was there at a certain time; the worker's, if any are configured.

A stamp is for those who do not trust the installation, so it is they who verify the authority's signature. We see that
the answer is of our question: granted, of this checkpoint, with our nonce.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder, decode_timestamp_response

from petition.core.database import Database, Record
from petition.core.errors import PetitionError
from petition.count_log import queries

POLL = 60.0  # seconds
TIMEOUT = aiohttp.ClientTimeout(total=15)
MAX_BODY = 64 * 1024
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"

log = logging.getLogger(__name__)


class BadStamp(PetitionError):
    """An authority gave no answer, or one to another question."""


class Stamper:
    """Asks each authority for a stamp of every log that has grown, once an hour at most."""

    def __init__(self, database: Database, urls: Sequence[str]) -> None:
        self._database = database
        self._urls = urls

    async def step(self) -> bool:
        """Have checkpoints stamped that are due; return False: none needs another step at once.

        An authority that fails is asked again with the next step. Raises ``Unavailable``.
        """
        # Bodies are taken as they are: a few compressed bytes may be gigabytes.
        async with aiohttp.ClientSession(
            timeout=TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"accept-encoding": "identity"},
        ) as session:
            for url in self._urls:
                await self._stamp_by(session, url)
        async with self._database.transaction() as conn:
            await conn.execute(queries.THIN_STAMPS)
        return False

    async def _stamp_by(self, session: aiohttp.ClientSession, url: str) -> None:
        authority = urlsplit(url).hostname or ""
        async with self._database.connection() as conn:
            due = await conn.fetch(queries.STAMPS_DUE, authority)
        for row in due:
            try:
                response = await stamp(session, url, row["checkpoint"].encode())
            except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ValueError, BadStamp) as error:
                reason = str(error) if isinstance(error, BadStamp) else type(error).__name__
                log.warning("a time-stamping authority failed", extra={"authority": authority, "reason": reason})
                return
            await self._store(row, authority, response)

    async def _store(self, row: Record, authority: str, response: bytes) -> None:
        async with self._database.transaction() as conn:
            await conn.execute(queries.ADD_STAMP, row["letter"], authority, row["size"], row["checkpoint"], response)


async def stamp(session: aiohttp.ClientSession, url: str, content: bytes) -> bytes:
    """Return an authority's answer that ``content`` was there. Raises ``BadStamp``, ``aiohttp.ClientError``."""
    request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
    headers = {"content-type": QUERY, "accept": REPLY}
    async with session.post(url, data=request.as_bytes(), headers=headers, allow_redirects=False) as answer:
        if answer.status != 200:
            raise BadStamp(f"status {answer.status}")
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > MAX_BODY:
                raise BadStamp("too long")
    response = decode_timestamp_response(bytes(body))
    if response.status not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
        raise BadStamp("not granted")
    info = response.tst_info
    if info.nonce != request.nonce or info.message_imprint.message != hashlib.sha256(content).digest():
        raise BadStamp("an answer to another question")
    return bytes(body)
