"""One message from standard input, as a mail server's pipe hands it over. The exit code says what became of it."""

import logging
from typing import BinaryIO

from petition.incoming_mail.model import MAX_MESSAGE, MailReceiver, Outcome

log = logging.getLogger(__name__)


async def receive(receiver: MailReceiver, stream: BinaryIO, *, envelope_from: str, recipient: str) -> Outcome:
    """Take one message; what cannot be handled now comes again. Raises nothing of what is in it."""
    content = stream.read(MAX_MESSAGE + 1)
    while stream.read(64 * 1024):  # a mail server whose pipe breaks takes that for a failure
        pass
    try:
        return await receiver.receive(envelope_from, recipient, content)
    except Exception:
        log.exception("an incoming mail could not be handled")
        return Outcome.LATER
