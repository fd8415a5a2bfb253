"""Who takes the mail of which of our domains, however it came in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.core.database import Database
from petition.core.settings import Settings
from petition.incoming_mail.listener import listening
from petition.incoming_mail.model import MailReceiver
from petition.incoming_mail.signing_by_mail import SigningByMail


def receivers_of(settings: Settings, database: Database, languages: tuple[str, ...]) -> dict[str, MailReceiver]:
    """Return the receivers by domain; none where the installation takes no mail."""
    receivers: dict[str, MailReceiver] = {}
    if settings.mail_in is not None:
        receivers[settings.mail_in] = SigningByMail(settings, database, languages)
    return receivers


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
