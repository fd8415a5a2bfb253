"""What is noted of a mailbox before its link is mailed: digests of its domain and mail host, its provider's class.

Only the worker can: it opens the address. The digests are under a key of the day (docs/decisions/forgery.md).
"""

from petition.core import email_addresses, mail_domains
from petition.core.database import Database
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, SignatureId
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.mail_domains import ProviderClass
from petition.core.quotas import DayKey, DayKeys
from petition.mail import queries
from petition.mail.mail_hosts import MailHosts
from petition.mail.model import ChosenMail


class MailboxNotes:
    """Writes the notes into the pending row that a link leads to; the first time only."""

    def __init__(
        self, database: Database, wrapper: Wrapper, hosts: MailHosts, keeper: KeeperClient | None = None
    ) -> None:
        self._database = database
        self._wrapper = wrapper
        self._days = DayKeys(database, wrapper)
        self._hosts = hosts
        self._keeper = keeper or KeeperClient(None)

    async def add(self, mail: ChosenMail) -> None:
        """Note what ceilings need to know of a mail with a link. Raises ``Unavailable``."""
        await self.note(mail.letter_id, mail.refs[0].id, mail.address, mail.letter.wrapped_digest_key)

    async def note(
        self, letter_id: LetterId, pending_id: SignatureId, address: str, wrapped_digest_key: bytes | None
    ) -> None:
        """Note what ceilings need to know of the pending row of ``address``. Raises ``Unavailable``."""
        domain = email_addresses.parse(address).domain
        provider = mail_domains.class_of(domain)
        day = await self._days.today()
        keys: tuple[bytes | None, bytes | None] = None, None
        if provider is ProviderClass.ALIAS:
            keys = None, day.mail_host(letter_id, mail_domains.registrable(domain))
        elif provider in {ProviderClass.OWN, ProviderClass.DISPOSABLE} and not mail_domains.is_special(domain):
            host = await self._hosts.look_up(domain)
            provider = host.provider or provider if provider is ProviderClass.OWN else provider
            keys = _digests(day, letter_id, domain, host.name)
        trust = self._trust_digests(wrapped_digest_key, domain) if any(keys) else []
        async with self._database.connection() as conn:
            known = [key for key in keys if key is not None]
            stored = dict(zip(known, await self._keeper.of_installation(conn, known, KeeperPurpose.MAIL), strict=True))
            keys = keys[0] and stored[keys[0]], keys[1] and stored[keys[1]]
            await queries.note_mailbox(conn, letter_id, pending_id, keys, provider.value, trust)

    def _trust_digests(self, wrapped: bytes | None, domain: str) -> list[bytes]:
        keys = LetterKeys(None if wrapped is None else self._wrapper.unwrap(wrapped), None)
        try:
            return [keys.digest(mail_domains.TRUSTED + name) for name in mail_domains.parents(domain)]
        except KeyDestroyed:
            return []


def _digests(day: DayKey, letter_id: LetterId, domain: str, host: str | None) -> tuple[bytes, bytes | None]:
    own = day.mail_domain(letter_id, mail_domains.registrable(domain))
    return own, None if host is None else day.mail_host(letter_id, host)
