"""Mails to an address that was typed at the desk: a sign-in link, an invitation, a moderator's message.

The package that asks for one adds an outbox row with the sealed address and ``details``, and defines a ``MailWriter``
that says what to write, without knowing how mail is sent. The worker brings the two together.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.core.letter_facts import NO_NAMES, LetterFacts, SignatoryNames

ENQUEUE = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details, priority) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


@dataclass(frozen=True, slots=True)
class DirectMailJob:
    """What a writer may know of the outbox row; the address stays with the worker."""

    letter_id: LetterId | None
    digest: bytes = field(repr=False)
    lang: str
    details: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailContent:
    """A mail: a folder below ``templates/email`` and the context of its templates.

    ``base_url``, ``lang``, ``controller``, ``never_link`` (None where ``heeds_never`` is False), ``about`` (of
    ``letter``; None if that is None or sensitive) and ``names`` are added to it.
    """

    template: str
    context: Mapping[str, object] = field(repr=False)
    lang: str | None = None  # None: the job's
    heeds_never: bool = True  # is it withheld from addresses that asked for no more mail?
    letter: LetterFacts | None = None
    names: SignatoryNames = field(default=NO_NAMES, repr=False)
    # Called with the address's suppression digest, and whether it is suppressed, before the mail goes or is withheld.
    note_recipient: "RecipientNote | None" = field(default=None, repr=False)
    reply_to: str | None = None  # where answers are read; the mail is itself one to a mail that came in


RecipientNote = Callable[[Connection, bytes, bool], Awaitable[None]]

# Called at every attempt, outside a transaction. None: no mail is due any more.
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
    bulk: bool = False,
) -> None:
    """Ask the worker for a mail to a sealed address; it decides whether one goes out.

    Mail in ``bulk``, one of very many at once, goes out behind all other mail.
    """
    await conn.execute(ENQUEUE, letter_id, purpose, digest, sealed, lang, details, int(bulk))
