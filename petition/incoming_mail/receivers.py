"""Who takes the mail of which of our domains, however it came in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.core.database import Database
from petition.core.keeper import KeeperClient
from petition.core.settings import Settings
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.listener import listening
from petition.incoming_mail.model import MailReceiver, Outcome
from petition.incoming_mail.signing_by_mail import SigningByMail
from petition.mail.return_path import ReturnPaths

BOUNCES = ("bounce", "complaints")  # local parts, before a "+"; where one domain serves both


class SharedDomain:
    """Tells bounces and letters apart where ``BOUNCE_DOMAIN`` and ``MAIL_IN`` are the same."""

    def __init__(self, bounces: MailReceiver, letters: MailReceiver) -> None:
        self._bounces = bounces
        self._letters = letters

    async def receive(self, envelope_from: str, recipient: str, message: bytes) -> Outcome:
        name = recipient.rpartition("@")[0].partition("+")[0].lower()
        receiver = self._bounces if name in BOUNCES else self._letters
        return await receiver.receive(envelope_from, recipient, message)


def receivers_of(
    settings: Settings, database: Database, languages: tuple[str, ...], keeper: KeeperClient | None = None
) -> dict[str, MailReceiver]:
    """Return the receivers by domain; none where the installation takes no mail."""
    receivers: dict[str, MailReceiver] = {}
    if settings.bounce_domain is not None:
        receivers[settings.bounce_domain] = bounce_receiver(settings, database, keeper)
    if settings.mail_in is not None:
        letters = SigningByMail(settings, database, languages, keeper)
        bounces = receivers.get(settings.mail_in)
        receivers[settings.mail_in] = letters if bounces is None else SharedDomain(bounces, letters)
    return receivers


def bounce_receiver(settings: Settings, database: Database, keeper: KeeperClient | None = None) -> BounceReceiver:
    """Return the receiver of bounces; tokens are read without ``BOUNCE_DOMAIN`` too."""
    return BounceReceiver(database, ReturnPaths(settings.secret_keys, settings.bounce_domain), keeper)


@asynccontextmanager
async def taking_mail(
    settings: Settings, database: Database, languages: tuple[str, ...], keeper: KeeperClient | None = None
) -> AsyncIterator[dict[str, MailReceiver]]:
    """Speak LMTP, if it is asked for, and give the receivers. Raises ``SettingsError``."""
    receivers = receivers_of(settings, database, languages, keeper)
    if settings.mail_listen is None:
        yield receivers
        return
    async with listening(settings.mail_listen, receivers):
        yield receivers
