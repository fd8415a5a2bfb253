"""What receivers of mail take and answer, by every way in which mail comes."""

from enum import Enum
from typing import Protocol

MAX_MESSAGE = 256 * 1024  # bytes


class Outcome(Enum):
    """What became of a message; its value is the exit code of a pipe (sysexits.h)."""

    DONE = 0  # acted on, or ignored for good: the mail server forgets it
    UNREADABLE = 65  # refused for good
    LATER = 75  # the mail server keeps it and tries again


class MailReceiver(Protocol):
    """Takes messages for one of our domains. Never raises for what is in a message."""

    async def receive(self, envelope_from: str, recipient: str, message: bytes) -> Outcome:
        """Take one message, or the first ``MAX_MESSAGE`` + 1 bytes of a longer one.

        ``envelope_from`` is empty for bounces (a null sender), ``recipient`` the whole address as the mail server
        has it; neither is to be believed. ``Outcome.LATER`` where the database is away.
        """
        ...
