"""Who asked for no more mail: mailboxes known by a keyed digest, the same for all letters.

Mailed links hold the digest as this key makes it; what is stored has gone through the keeper, where there is one.
"""

from collections.abc import Callable, Sequence
from functools import partial

from petition.core import encryption
from petition.core.database import Connection
from petition.core.email_addresses import Domains, canonical
from petition.core.encryption import Wrapper
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.mail import queries

# Frozen: the addresses behind older digests are gone, so these cannot be made again under newer rules.
RULES = 1


class Suppression:
    """Digests under the installation's suppression key, which is made when it is first needed."""

    def __init__(self, wrapper: Wrapper, keeper: KeeperClient | None = None) -> None:
        self._wrapper = wrapper
        self._keeper = keeper or KeeperClient(None)
        self._key: bytes | None = None
        self._domains = Domains()

    async def digest(self, conn: Connection, address: str) -> bytes:
        """Return the digest of ``address``, as mailed links hold it; ``stored`` returns how it is remembered.

        Raises ``PetitionError`` if it is no address or ``SECRET_KEY`` does not fit.
        """
        return (await self.digester(conn))(address)

    async def stored(self, conn: Connection, digests: Sequence[bytes]) -> list[bytes]:
        """Return what the table has in place of these digests. Raises ``Unavailable``."""
        return await self._keeper.of_installation(conn, digests, KeeperPurpose.MAIL)

    async def digester(self, conn: Connection) -> Callable[[str], bytes]:
        """Return the function that makes these digests, for many at once; it raises ``PetitionError`` as well."""
        if self._key is None:
            self._key = await self._read_or_make(conn)
        return partial(self._digest, self._key)

    async def _read_or_make(self, conn: Connection) -> bytes:
        """Several workers may need it first at once: whichever row went in is read by all."""
        wrapped = await queries.suppression_key(conn)
        if wrapped is None:
            await queries.add_suppression_key(conn, self._wrapper.wrap(encryption.new_key()))
            wrapped = await queries.suppression_key(conn)
        if wrapped is None:
            raise LookupError("the suppression key is missing")
        return self._wrapper.unwrap(wrapped)

    def _digest(self, key: bytes, address: str) -> bytes:
        return encryption.digest(key, canonical(self._domains.parse(address), RULES))
