"""Who takes the mail of which of our domains, however it came in."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.core.database import Database
from petition.core.keeper import KeeperClient
from petition.core.settings import Settings
from petition.incoming_mail import mime_parts
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.listener import listening
from petition.incoming_mail.model import MailReceiver, Outcome
from petition.incoming_mail.signing_by_mail import SigningByMail
from petition.mail.return_path import ReturnPaths

RECIPIENT_FIELDS = ("delivered-to", "x-original-to", "to")
MAX_RECIPIENTS = 50
BOUNCES = ("bounce", "complaints")  # local parts, before a "+"; where one domain serves both


class SharedDomain:
    """Tells bounces and letters apart where ``BOUNCE_DOMAIN`` and ``MAIL_IN`` are the same."""

    def __init__(self, domain: str, bounces: MailReceiver, letters: MailReceiver) -> None:
        self._domain = domain
        self._bounces = bounces
        self._letters = letters

    async def receive(self, envelope_from: str, recipient: str, message: bytes) -> Outcome:
        is_bounce = any(map(self._takes_bounces, [recipient] if recipient else _recipients(message)))
        return await (self._bounces if is_bounce else self._letters).receive(envelope_from, recipient, message)

    def _takes_bounces(self, address: str) -> bool:
        local, _, domain = address.lower().rpartition("@")
        return domain == self._domain and local.partition("+")[0] in BOUNCES


def _recipients(message: bytes) -> list[str]:
    """Return the addresses in a message's header, for one out of a Maildir, which has no envelope."""
    parsed = mime_parts.parse(message)
    fields = mime_parts.fields(parsed) if parsed is not None else ()
    text = " ".join(value for name, value in fields if name in RECIPIENT_FIELDS)
    return [word for word in re.split(r"[<>\s,;]+", text) if "@" in word][:MAX_RECIPIENTS]


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
        receivers[settings.mail_in] = letters if bounces is None else SharedDomain(settings.mail_in, bounces, letters)
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
