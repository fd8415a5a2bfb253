"""Mails to an address that somebody gave the desk: an entry link, an invitation, a moderator's message.

The slice that asks for one writes an outbox row with the sealed address and ``details``. Here is how it then tells the
worker what to write, without knowing how mail is sent; ``worker`` brings the two together.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from petition.core.database import Connection
from petition.core.ids import LetterId

ENQUEUE = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details) VALUES ($1, $2, $3, $4, $5, $6)
"""


@dataclass(frozen=True, slots=True)
class DirectMailJob:
    """What a writer is told of the outbox row; the address stays with the worker."""

    letter_id: LetterId | None
    digest: bytes = field(repr=False)
    lang: str
    details: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailContent:
    """What a mail is made of: a folder below ``templates/email`` and what its templates are given.

    ``base_url``, ``lang``, ``controller`` and ``never_link`` (None where ``heeds_never`` is False) are given as well.
    """

    template: str
    context: Mapping[str, object] = field(repr=False)
    lang: str | None = None  # None: the job's
    heeds_never: bool = True  # is it kept from those who never want mail again?


# Asked anew each time the mail is tried, outside a transaction. None: no mail is due (any more).
MailWriter = Callable[[Connection, DirectMailJob], Awaitable[MailContent | None]]


async def enqueue(
    conn: Connection,
    purpose: str,
    digest: bytes,
    sealed: bytes,
    lang: str,
    *,
    letter_id: LetterId | None = None,
    details: dict[str, object] | None = None,
) -> None:
    """Ask the worker for a mail to a sealed address; it decides whether one goes out."""
    await conn.execute(ENQUEUE, letter_id, purpose, digest, sealed, lang, details)
