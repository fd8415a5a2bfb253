"""Recovery codes, for the day every other second factor is lost: ten of them, each opens the desk once.

What is stored is Argon2id over the code's keyed digest. Older versions stored the keyed digest itself; the worker
hashes those (``hash_old``) without knowing the codes. Why: docs/decisions/recovery-codes.md.
"""

import asyncio
import base64
import re
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from nacl.pwhash import argon2id

from petition.core import audit_log
from petition.core.database import Connection, Database
from petition.core.ids import OrganizerId
from petition.organizers import factor_queries as queries
from petition.organizers.desk_key import DeskKey

NUMBER = 10

# OWASP's first choice (Password Storage Cheat Sheet, 2025): 19 MiB, two passes, one lane. 30 ms on one core.
MEMORY = 19 * 1024 * 1024
PASSES = 2
HASH_BYTES = 32
SALT_BYTES = argon2id.SALTBYTES

# At most two hashes at once: a flood of attempts takes 38 MiB and two threads, and waits in a line.
_threads = ThreadPoolExecutor(2, thread_name_prefix="argon2id")


async def make(conn: Connection, key: DeskKey, organizer_id: OrganizerId) -> list[str]:
    """Replace the recovery codes; return the new ones, which cannot be displayed again."""
    codes = [_new_code() for _ in range(NUMBER)]
    salt = secrets.token_bytes(SALT_BYTES)  # one for all: an attempt is hashed once, and no two codes are alike
    digests = [await key.of_code(conn, organizer_id, plain(code)) for code in codes]
    await queries.set_codes(conn, organizer_id, await _hash_all(digests, salt), salt)
    await audit_log.record(conn, organizer_id, None, "factor.codes")
    return codes


async def make_first(conn: Connection, key: DeskKey, organizer_id: OrganizerId) -> list[str]:
    """Return new recovery codes if the organizer has none left, else nothing."""
    return [] if await queries.codes(conn, organizer_id) else await make(conn, key, organizer_id)


async def stored_forms(database: Database, key: DeskKey, organizer_id: OrganizerId, typed: str) -> list[bytes]:
    """Return every form in which the code that was typed may be stored, for ``use``.

    Called before a transaction begins: hashing may wait for its turn, and a connection must not wait with it.
    """
    async with database.connection() as conn:
        digest = await key.of_code(conn, organizer_id, plain(typed))
        salts = await queries.salts(conn, organizer_id)
    hashes = [await _hash(digest, salt) for salt in salts if salt is not None]
    return [digest, *hashes] if None in salts else hashes


async def use(conn: Connection, organizer_id: OrganizerId, forms: Iterable[bytes]) -> bool:
    """Use up the code with one of the ``stored_forms``; return whether there was one."""
    if not await queries.use_code(conn, organizer_id, list(forms)):
        return False
    await audit_log.record(conn, organizer_id, None, "factor.recovery")
    return True


async def hash_old(database: Database) -> int:
    """Hash the keyed digests that older versions stored, of some organizers; return how many codes.

    A code that is used in this very moment is refused once and passes at the next attempt.
    """
    async with database.connection() as conn:
        rows = await queries.unhashed_codes(conn)
    total = 0
    for organizer_id in sorted({row["organizer"] for row in rows}):
        old, salt = [row["digest"] for row in rows if row["organizer"] == organizer_id], secrets.token_bytes(SALT_BYTES)
        new = await _hash_all(old, salt)
        async with database.transaction() as conn:
            total += await queries.hash_codes(conn, organizer_id, old, new, salt)
    return total


def plain(code: str) -> str:
    """Return a recovery code as it is digested, however it was typed."""
    return re.sub(r"[^a-z2-7]", "", code.lower())[:40]


def _new_code() -> str:
    """Return 60 random bits in letters and digits that cannot be taken for each other (RFC 4648, base 32)."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()[:12]
    return "-".join((text[:4], text[4:8], text[8:]))


async def _hash_all(digests: Iterable[bytes], salt: bytes) -> list[bytes]:
    return list(await asyncio.gather(*(_hash(digest, salt) for digest in digests)))


async def _hash(digest: bytes, salt: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _argon2id, digest, salt)


def _argon2id(digest: bytes, salt: bytes) -> bytes:
    return argon2id.kdf(HASH_BYTES, digest, salt, opslimit=PASSES, memlimit=MEMORY)
