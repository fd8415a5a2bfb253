"""The desk's own key: organizers' mailboxes, recovery codes and sign-in codes are known by digests under it."""

import base64
import hashlib
import hmac

from petition.core import encryption
from petition.core.database import Connection
from petition.core.email_addresses import Mailbox, canonical
from petition.core.encryption import Wrapper
from petition.core.ids import OrganizerId
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.organizers import queries, short_codes

# Frozen: digests made under older rules could not be made again from what is stored by the web.
RULES = 1


class DeskKey:
    """Digests under the desk's key, which is created at first use."""

    def __init__(self, wrapper: Wrapper, keeper: KeeperClient | None = None) -> None:
        self._wrapper = wrapper
        self._keeper = keeper or KeeperClient(None)
        self._key: bytes | None = None

    async def of_mailbox(self, conn: Connection, mailbox: Mailbox) -> bytes:
        """Return the digest under which an organizer's mailbox is known, however it is spelt.

        Raises ``Unavailable``.
        """
        digest = encryption.digest(await self._read(conn), f"mailbox|{canonical(mailbox, RULES)}")
        return (await self._keeper.of_installation(conn, [digest], KeeperPurpose.DESK))[0]

    async def of_code(self, conn: Connection, organizer_id: OrganizerId, code: str) -> bytes:
        """Return the digest under which one recovery code of an organizer is stored."""
        return encryption.digest(await self._read(conn), f"recovery|{organizer_id}|{code}")

    async def short_code(self, conn: Connection, ask_token: str) -> str:
        """Return the code that the browser with this cookie displays."""
        return short_codes.from_digest(encryption.digest(await self._read(conn), f"short code|{ask_token}"))

    async def of_short_code(self, conn: Connection, code: str) -> bytes:
        """Return the digest under which a displayed code is stored."""
        return encryption.digest(await self._read(conn), f"typed code|{code}")

    async def link_token(self, conn: Connection, nonce: bytes) -> str:
        """Return the token of the mailed link with this nonce, as often as it is mailed."""
        mac = hmac.digest(await self._read(conn), b"sign-in link|" + nonce, hashlib.sha256)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    async def _read(self, conn: Connection) -> bytes:
        """Several processes may need it first at once: whichever row went in is read by all."""
        if self._key is None:
            wrapped = await queries.desk_key(conn)
            if wrapped is None:
                await queries.add_desk_key(conn, self._wrapper.wrap(encryption.new_key()))
                wrapped = await queries.desk_key(conn)
            if wrapped is None:
                raise LookupError("the desk's key is missing")
            self._key = self._wrapper.unwrap(wrapped)
        return self._key
