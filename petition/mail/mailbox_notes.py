"""What is noted of a mailbox before its link is mailed: digests of its domain and mail host, its provider's class.

Only the worker can: it opens the address. The digests are under a key of the day (docs/decisions/forgery.md).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from petition.core import mail_domains
from petition.core.batching import Batcher
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress, Domains
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, SignatureId
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.mail_domains import ProviderClass
from petition.core.quotas import DayKey, DayKeys
from petition.mail import queries
from petition.mail.mail_hosts import MailHost, MailHosts
from petition.mail.model import ChosenMail, MailboxNote


class MailboxNotes:
    """Writes the notes into the pending rows that links lead to, many at once; the first time only."""

    def __init__(
        self, database: Database, wrapper: Wrapper, hosts: MailHosts, keeper: KeeperClient | None = None
    ) -> None:
        self._database = database
        self._wrapper = wrapper
        self._days = DayKeys(database, wrapper)
        self._hosts = hosts
        self._keeper = keeper or KeeperClient(None)
        self._domains = Domains()
        self._notes: Batcher[MailboxNote, None] = Batcher(self._store)

    async def add_known(self, mails: Sequence[ChosenMail]) -> set[SignatureId]:
        """Note the mails with a link whose domains need no look-up, in one statement; return the ids of their rows.

        Raises ``Unavailable``.
        """
        day, notes = await self._days.today(), list[MailboxNote]()
        for mail in mails:
            with contextlib.suppress(BadAddress):
                domain = self._domains.parse(mail.address).domain
                if (host := self._known_host(domain)) is not None:
                    notes.append(
                        self._note(day, mail.letter_id, mail.refs[0].id, domain, host, mail.letter.wrapped_digest_key)
                    )
        if notes:
            await self._store(notes)
        return {note.pending_id for note in notes}

    async def add(self, mail: ChosenMail) -> None:
        """Note what ceilings need to know of a mail with a link. Raises ``Unavailable``, ``BadAddress``."""
        await self.note(mail.letter_id, mail.refs[0].id, mail.address, mail.letter.wrapped_digest_key)

    async def note(
        self, letter_id: LetterId, pending_id: SignatureId, address: str, wrapped_digest_key: bytes | None
    ) -> None:
        """Note what ceilings need to know of the pending row of ``address``. Raises ``Unavailable``, ``BadAddress``."""
        domain = self._domains.parse(address).domain
        host = self._known_host(domain) or await self._hosts.look_up(domain)
        day = await self._days.today()
        await self._notes.submit(self._note(day, letter_id, pending_id, domain, host, wrapped_digest_key))

    def _known_host(self, domain: str) -> MailHost | None:
        """Return the host of a domain, or any where none is needed; None: it must be looked up."""
        return self._hosts.known(domain) if _needs_host(domain) else MailHost()

    def _note(
        self,
        day: DayKey,
        letter_id: LetterId,
        pending_id: SignatureId,
        domain: str,
        host: MailHost,
        wrapped_digest_key: bytes | None,
    ) -> MailboxNote:
        provider = mail_domains.class_of(domain)
        keys: tuple[bytes | None, bytes | None] = None, None
        if provider is ProviderClass.ALIAS:
            keys = None, day.mail_host(letter_id, mail_domains.registrable(domain))
        elif _needs_host(domain):
            provider = host.provider or provider if provider is ProviderClass.OWN else provider
            keys = _digests(day, letter_id, domain, host.name)
        trust = self._trust_digests(wrapped_digest_key, domain) if any(keys) else []
        return MailboxNote(letter_id, pending_id, *keys, provider.value, trust)

    async def _store(self, notes: Sequence[MailboxNote]) -> list[None]:
        async with self._database.connection() as conn:
            await queries.note_mailboxes(conn, await self._by_keeper(conn, notes))
        return [None] * len(notes)

    async def _by_keeper(self, conn: Connection, notes: Sequence[MailboxNote]) -> list[MailboxNote]:
        """Return the notes as they are stored, where there is a keeper."""
        known = [key for note in notes for key in (note.domain, note.mail_host) if key is not None]
        stored = dict(zip(known, await self._keeper.of_installation(conn, known, KeeperPurpose.MAIL), strict=True))
        return [
            replace(
                note,
                domain=note.domain and stored[note.domain],
                mail_host=note.mail_host and stored[note.mail_host],
            )
            for note in notes
        ]

    def _trust_digests(self, wrapped: bytes | None, domain: str) -> list[bytes]:
        keys = LetterKeys(None if wrapped is None else self._wrapper.unwrap(wrapped), None)
        try:
            return [keys.digest(mail_domains.TRUSTED + name) for name in mail_domains.parents(domain)]
        except KeyDestroyed:
            return []


def _needs_host(domain: str) -> bool:
    provider = mail_domains.class_of(domain)
    return provider in {ProviderClass.OWN, ProviderClass.DISPOSABLE} and not mail_domains.is_special(domain)


def _digests(day: DayKey, letter_id: LetterId, domain: str, host: str | None) -> tuple[bytes, bytes | None]:
    own = day.mail_domain(letter_id, mail_domains.registrable(domain))
    return own, None if host is None else day.mail_host(letter_id, host)
