"""Whether the secrets in the settings are those that this database was written with.

A wrong ``SECRET_KEY`` shows nowhere until a letter is read, a wrong contact key until a mail is written: so commands,
start-up and readiness try the newest stored key of each kind.
"""

from petition.core.database import Connection
from petition.core.decryptions import DecryptionPurpose
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import KeyDestroyed, SettingsError

# Every column of keys wrapped under ``SECRET_KEY``: table, primary key, its type, column.
WRAPPED_COLUMNS = (
    ("letter", "id", "integer", "wrapped_digest_key"),
    ("letter", "id", "integer", "wrapped_name_key"),
    ("installation", "one", "boolean", "wrapped_suppression_key"),
    ("day_key", "day", "date", "wrapped"),
    ("desk_key", "one", "boolean", "wrapped"),
    ("signing_key", "one", "boolean", "wrapped"),
    ("totp", "organizer", "integer", "wrapped_secret"),
    ("session", "id", "bigint", "wrapped_totp"),
    ("count_log", "letter", "integer", "wrapped_receipt_key"),
)

NEWEST_KEYS = " UNION ALL ".join(
    f"(SELECT {column} AS wrapped FROM {table} WHERE {column} IS NOT NULL ORDER BY {key} DESC LIMIT 1)"  # noqa: S608
    for table, key, _, column in WRAPPED_COLUMNS
)
ALL_LETTER_KEYS = """
SELECT slug, wrapped_name_key, wrapped_digest_key FROM letter
WHERE wrapped_name_key IS NOT NULL OR wrapped_digest_key IS NOT NULL ORDER BY id
"""
# Of mails that wait, and of addresses stored for later.
NEWEST_WAITING = """
SELECT coalesce(o.sealed, p.sealed), o.letter
FROM outbox o LEFT JOIN pending p ON p.letter = o.letter AND p.id = o.pending
WHERE coalesce(o.sealed, p.sealed) IS NOT NULL ORDER BY o.id DESC LIMIT 5
"""
NEWEST_CONTACTS = "SELECT sealed, letter FROM contact ORDER BY letter DESC, signature DESC LIMIT 5"
NEWEST_SEALED_NAMES = (
    "SELECT sealed, letter FROM signature WHERE sealed IS NOT NULL ORDER BY letter DESC, id DESC LIMIT 5"
)

OTHER_PAIR = (
    "CONTACT_PRIVATE_KEY is not the one that {what} were encrypted to: put the former pair back, or"
    " look for a web process with another CONTACT_PUBLIC_KEY"
)


async def check_secret(conn: Connection, wrapper: Wrapper) -> None:
    """Unwrap the newest stored key of each kind. Raises ``SettingsError`` if no configured ``SECRET_KEY`` fits."""
    for row in await conn.fetch(NEWEST_KEYS):
        wrapper.unwrap(row["wrapped"])


async def letters_with_other_keys(conn: Connection, wrapper: Wrapper) -> list[str]:
    """Return the short names of the letters whose keys are wrapped under a secret that is not configured."""
    rows = await conn.fetch(ALL_LETTER_KEYS)
    return [slug for slug, *keys in rows if not all(_unwraps(wrapper, key) for key in keys if key is not None)]


async def other_pair(conn: Connection, opener: Opener) -> str | None:
    """Return what is wrong with the contact pair if it opens none of the newest addresses or names; else None."""
    for statement, what in (
        (NEWEST_WAITING, "the addresses of mails that wait"),
        (NEWEST_CONTACTS, "the addresses of people who asked for updates"),
        (NEWEST_SEALED_NAMES, "names that wait to be shown"),
    ):
        rows = await conn.fetch(statement)
        if rows and not any(_opens(opener, sealed, letter_id) for sealed, letter_id in rows):
            return OTHER_PAIR.format(what=what)
    return None


def _unwraps(wrapper: Wrapper, key: bytes) -> bool:
    try:
        wrapper.unwrap(key)
    except SettingsError:
        return False
    return True


def _opens(opener: Opener, sealed: bytes, letter_id: int | None) -> bool:
    try:
        opener.open(sealed, letter_id, DecryptionPurpose.KEY_CHECK)
    except KeyDestroyed:
        return False
    return True
