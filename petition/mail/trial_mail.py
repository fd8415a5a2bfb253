"""A mail that tells an operator whether a relay works, in a few words about nothing."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid
from urllib.parse import urlsplit

from petition.core import email_addresses
from petition.core.relay_urls import Relay
from petition.core.sender import parse_sender
from petition.core.settings import Settings
from petition.mail import dkim
from petition.mail.compose import OutgoingMail
from petition.mail.smtp_connection import SmtpConnection

BODY = """This is a test mail, sent by `petition check --mail` through {relay}.

If you read this, mail from {base_url} arrives. If it was among spam, check SPF, DKIM and DMARC of {domain}.
"""


async def send(settings: Settings, relay: Relay, address: str) -> None:
    """Have ``relay`` accept a test mail. Raises ``PetitionError`` that says why it did not, ``BadAddress``."""
    connection = SmtpConnection(relay, local_hostname(settings))
    try:
        await connection.send(_compose(settings, relay, address), _nothing)
    finally:
        await connection.hang_up()


def local_hostname(settings: Settings) -> str:
    """Return the name by which we greet relays."""
    return urlsplit(settings.base_url).hostname or "localhost"


def _compose(settings: Settings, relay: Relay, address: str) -> OutgoingMail:
    mailbox = email_addresses.parse(address)
    sender = parse_sender(settings.mail_from or "")
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = Address(username=mailbox.local, domain=mailbox.domain)
    message["Subject"] = f"Test mail from {local_hostname(settings)}"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        BODY.format(relay=f"{relay.host}:{relay.port}", base_url=settings.base_url, domain=sender.domain)
    )
    utf8 = not mailbox.address.isascii()
    content = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
    return OutgoingMail(sender.addr_spec, mailbox.address, dkim.signer(settings).sign(content), utf8)


async def _nothing() -> None:
    return None
