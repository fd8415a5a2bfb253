"""A Maildir into which the mail server delivers, emptied by the workers.

A worker claims a message by moving it from ``new`` to ``cur``: of two, one succeeds. What a worker that died had
claimed goes back after ten minutes; the same mail twice counts once.
"""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from petition.incoming_mail.model import MAX_MESSAGE, MailReceiver, Outcome

POLL = 2.0  # seconds between two looks
BATCH = 50  # messages a look
CLAIM = 600.0  # seconds
UNKNOWN_SENDER = "unknown"  # of the envelope: a Maildir has none; "Return-Path" says if it was empty

log = logging.getLogger(__name__)


class Maildir:
    """One folder with ``new`` and ``cur``, below which nothing else is touched."""

    def __init__(self, folder: Path, receiver: MailReceiver) -> None:
        self._new = folder / "new"
        self._cur = folder / "cur"
        self._receiver = receiver

    async def step(self) -> bool:
        """Take what is there; return whether there may be more at once. Raises ``OSError``."""
        names = await asyncio.to_thread(self._claim)
        outcomes = [await self._take(name) for name in names]
        return len(names) == BATCH and Outcome.LATER not in outcomes

    def _claim(self) -> list[str]:
        self._give_back_old()
        names = []
        for path in sorted(self._new.iterdir())[:BATCH]:
            with contextlib.suppress(FileNotFoundError):  # another worker has it
                path.rename(self._cur / path.name)
                names.append(path.name)
        return names

    def _give_back_old(self) -> None:
        for path in self._cur.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ctime < time.time() - CLAIM:
                    path.rename(self._new / path.name)

    async def _take(self, name: str) -> Outcome:
        path = self._cur / name
        content = await asyncio.to_thread(_beginning, path)
        try:
            outcome = await self._receiver.receive(UNKNOWN_SENDER, "", content)
        except Exception:  # one message must not stop the others; it comes again when its claim ends
            log.exception("an incoming mail could not be handled")
            return Outcome.DONE
        except asyncio.CancelledError:
            path.rename(self._new / name)
            raise
        if outcome is Outcome.LATER:
            path.rename(self._new / name)
        else:
            path.unlink()
        return outcome


def _beginning(path: Path) -> bytes:
    """Return a message, or so much that the receiver sees that it is too big."""
    with path.open("rb") as file:
        return file.read(MAX_MESSAGE + 1)
