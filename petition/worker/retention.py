"""What is deleted when, and what becomes of a letter by itself. Each act is short and idempotent.

Rows locked by another transaction are skipped; the next round, a minute later, has them.
"""

from collections.abc import Mapping, Sequence

from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.errors import SettingsError
from petition.core.stored_keys import WRAPPED_COLUMNS

BATCH = 5000  # rows a transaction, so that no other waits long for one


def _batch(act: str, table: str, key: str, condition: str) -> str:
    """Return SQL that applies ``act`` to up to $1 rows of ``table`` with ``condition``."""
    rows = f"SELECT {key} FROM {table} WHERE {condition} LIMIT $1 FOR UPDATE SKIP LOCKED"  # noqa: S608 - constants
    return f"{act} WHERE ({key}) IN ({rows})"


def _delete(table: str, key: str, condition: str) -> str:
    return _batch(f"DELETE FROM {table}", table, key, condition)  # noqa: S608 - constants


_BEFORE_YESTERDAY = "((now() AT TIME ZONE 'UTC')::date - 1)"


def _forget_networks(table: str, time: str) -> str:
    # The last condition limits the search through all rows to once a day.
    condition = f"""(network IS NOT NULL OR domain IS NOT NULL OR mail_host IS NOT NULL)
      AND {time} < {_BEFORE_YESTERDAY}::timestamp AT TIME ZONE 'UTC'
      AND EXISTS (SELECT FROM day_key WHERE day < {_BEFORE_YESTERDAY})"""
    update = f"UPDATE {table} SET network = NULL, domain = NULL, mail_host = NULL"  # noqa: S608 - constants
    return _batch(update, table, "letter, id", condition)


# By table, in this order; statements that each take the size of a batch and are repeated until one is not full.
EXPIRED: Mapping[str, Sequence[str]] = {
    "pending": (
        _delete("pending", "letter, id", "created_at <= now() - interval '7 days'"),
        # These can no longer be confirmed: what was typed in them is deleted at once.
        _delete(
            "pending",
            "letter, id",
            "letter IN (SELECT l.id FROM letter l WHERE l.state <> 'draft' AND NOT l.takes_confirmations)",
        ),
    ),
    "contact": (_delete("contact", "letter, signature, purpose", "until <= now()"),),
    # An hour later than the web refuses them as expired: its clock may be behind the database's, and a challenge that
    # is forgotten too early could be used once more.
    "used_challenge": (_delete("used_challenge", "nonce", "expires_at <= now() - interval '1 hour'"),),
    "limit_use": (_delete("limit_use", "key", "expires_at <= now()"),),
    # The digests of networks and mail domains go before the key of their day: without the key they say nothing about
    # them, yet they would still show who signed from the same one.
    "day_key": (
        _forget_networks("pending", "created_at"),
        _forget_networks("signature", "signed_at"),
        _delete("day_key", "day", f"day < {_BEFORE_YESTERDAY}"),
    ),
    "access_journal": (
        _delete("access_journal", "hour, kind, organizer, letter", "hour <= now() - interval '90 days'"),
    ),
    "decryption": (
        _delete("decryption", "letter, day, purpose, content", "day <= (now() AT TIME ZONE 'UTC')::date - 90"),
    ),
    "name_reading": (_delete("name_reading", "organizer, signature", "at <= now() - interval '1 day'"),),
    # Of a package only its digest and its numbers stay: the document has names.
    "package": (
        "UPDATE package SET content = NULL, person_ids = NULL, organization_ids = NULL WHERE (letter, id) IN ("
        "SELECT letter, id FROM package WHERE content IS NOT NULL AND made_at <= now() - interval '60 days' LIMIT $1)",
    ),
    "relay_hour": (_delete("relay_hour", "relay, hour, outcome, reason", "hour <= now() - interval '30 days'"),),
    "relay_test": (_delete("relay_test", "id", "asked_at <= now() - interval '7 days'"),),
    "entry": (_delete("entry", "digest", "expires_at <= now()"),),
    "sign_in_ask": (_delete("sign_in_ask", "digest", "expires_at <= now()"),),
    "remembered_device": (_delete("remembered_device", "digest", "expires_at <= now()"),),
    "invitation": (_delete("invitation", "id", "expires_at <= now()"),),
    "preview_link": (_delete("preview_link", "id", "expires_at <= now()"),),
    # The same times as in ``organizers.queries.LIVE``.
    "session": (
        _delete(
            "session",
            "id",
            "seen_at <= now() - interval '12 hours' OR created_at <= now() - interval '7 days'"
            " OR (proved_at IS NULL AND created_at <= now() - interval '1 hour')",
        ),
    ),
}

CLOSE_LETTERS = """
UPDATE letter SET state = 'closed', closed_at = closes_at, revision = revision + 1
WHERE state = 'open' AND closes_at <= now()
"""

# The revision moves so that every web process drops the key from its memory as well.
DESTROY_DIGEST_KEYS = """
UPDATE letter SET wrapped_digest_key = NULL, revision = revision + 1
WHERE wrapped_digest_key IS NOT NULL AND state IN ('closed', 'archived') AND closed_at <= now() - interval '30 days'
"""


async def close_letters(database: Database) -> int:
    """Close letters past their closing time; return how many."""
    return await _execute(database, CLOSE_LETTERS)


async def destroy_digest_keys(database: Database) -> int:
    """Destroy the digest keys of letters closed for 30 days, which makes their digests meaningless; return how many."""
    return await _execute(database, DESTROY_DIGEST_KEYS)


async def drop_expired(database: Database, table: str) -> int:
    """Delete what has expired in ``table``, in batches; return how many rows. Raises ``Unavailable``."""
    total = 0
    for statement in EXPIRED[table]:
        dropped = BATCH
        while dropped == BATCH:
            dropped = await _execute(database, statement, BATCH)
            total += dropped
    return total


async def _execute(database: Database, statement: str, *arguments: object) -> int:
    async with database.transaction() as conn:
        status = await conn.execute(statement, *arguments)
    return int(status.split()[-1])


def _wrapped(table: str, key: str, key_type: str, column: str) -> tuple[str, str]:
    """Return SQL that reads a column of wrapped keys, and SQL that replaces one ($1) if it is still $2."""
    return (
        f"SELECT {key}::text, {column} FROM {table} WHERE {column} IS NOT NULL",  # noqa: S608 - constants
        f"UPDATE {table} SET {column} = $3 WHERE {key} = $1::text::{key_type} AND {column} = $2",  # noqa: S608
    )


WRAPPED = tuple(_wrapped(*column) for column in WRAPPED_COLUMNS)


async def rewrap(database: Database, secrets_newest_first: Sequence[str]) -> int:
    """Wrap every stored key under the newest ``SECRET_KEY``, so that the older ones can be dropped; return how many.

    Raises ``SettingsError`` if a key was wrapped under a secret that is not among them.
    """
    if len(secrets_newest_first) < 2:
        return 0
    newest, all_secrets = Wrapper(secrets_newest_first[:1]), Wrapper(secrets_newest_first)
    total = 0
    for read, replace in WRAPPED:
        async with database.transaction() as conn:
            for key, wrapped in await conn.fetch(read):
                if not _can_unwrap(newest, wrapped):
                    await conn.execute(replace, key, wrapped, newest.wrap(all_secrets.unwrap(wrapped)))
                    total += 1
    return total


def _can_unwrap(wrapper: Wrapper, wrapped: bytes) -> bool:
    try:
        wrapper.unwrap(wrapped)
    except SettingsError:
        return False
    return True
