"""The installation's Ed25519 key: it signs mirrors and the checkpoints of count logs, each a note of its own kind."""

from petition.core import encryption
from petition.core.database import Connection
from petition.core.encryption import Wrapper
from petition.core.signed_notes import NoteSigner

STORED = "SELECT wrapped FROM signing_key"

ADD = "INSERT INTO signing_key (wrapped) VALUES ($1) ON CONFLICT DO NOTHING"


async def signer(conn: Connection, wrapper: Wrapper, name: str) -> NoteSigner:
    """Return what signs under ``name`` (the installation's host, or an address below it) with the one key.

    The key is made when it is first needed: several processes may need it at once, and whichever row went in is read
    by all. Raises ``SettingsError`` if ``SECRET_KEY`` does not fit.
    """
    wrapped = await conn.fetchval(STORED)
    if wrapped is None:
        await conn.execute(ADD, wrapper.wrap(encryption.new_key()))
        wrapped = await conn.fetchval(STORED)
    return NoteSigner(name, wrapper.unwrap(wrapped))


async def public_key(conn: Connection, wrapper: Wrapper) -> bytes:
    """Return the 32 bytes that verify what the installation has signed."""
    return (await signer(conn, wrapper, "public")).key.public
