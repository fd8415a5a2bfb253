"""Who takes the mail of which of our domains, however it came in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.core.database import Connection, Database
from petition.core.ids import LetterId, SignatureId
from petition.core.settings import Settings
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.listener import listening
from petition.incoming_mail.model import MailReceiver
from petition.mail.return_path import ReturnPaths


def receivers_of(settings: Settings, database: Database, languages: tuple[str, ...]) -> dict[str, MailReceiver]:
    """Return the receivers by domain; none where the installation takes no mail."""
    receivers: dict[str, MailReceiver] = {}
    if settings.bounce_domain is not None:
        receivers[settings.bounce_domain] = bounce_receiver(settings, database)
    return receivers


def bounce_receiver(settings: Settings, database: Database) -> BounceReceiver:
    """Return who takes bounces; tokens are read without ``BOUNCE_DOMAIN`` too."""
    return BounceReceiver(database, ReturnPaths(settings.secret_keys, settings.bounce_domain), _note_mailing_bounce)


async def _note_mailing_bounce(
    conn: Connection, letter_id: LetterId, mailing_id: int, signature_id: SignatureId
) -> None:
    """Mailings have no table yet."""


@asynccontextmanager
async def taking_mail(
    settings: Settings, database: Database, languages: tuple[str, ...]
) -> AsyncIterator[dict[str, MailReceiver]]:
    """Speak LMTP, if it is asked for, and give the receivers. Raises ``SettingsError``."""
    receivers = receivers_of(settings, database, languages)
    if settings.mail_listen is None:
        yield receivers
        return
    async with listening(settings.mail_listen, receivers):
        yield receivers
