"""The page after confirming: which signature it was, and a count that contains it.

What one signatory reads there comes in a ticket in the address, which says nothing in a log or to others: see
docs/decisions/thank-you-ticket.md. Without a ticket the page claims nothing about its reader.
"""

import base64
import binascii
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from babel import Locale
from starlette.responses import Response

from petition.core.errors import Unavailable
from petition.core.i18n import N_, SOURCE_LANGUAGE, Language
from petition.core.ids import LetterId, SignatureId
from petition.count_log import own_entries
from petition.count_log.own_entries import OwnEntry
from petition.letters.published import PublishedLetter
from petition.signatures.confirming import Confirmation, ConfirmResult
from petition.signatures.model import Counts, Kind
from petition.web.page_cache import list_group
from petition.web.public.visit import Visit

LIFETIME = 600  # seconds in which a ticket is read
# Seconds after which a poll contains the signature for certain, also if the clocks of web and database differ a little.
POLL_MARGIN = 10

REPLACED, STAYS = "replaced", "stays"  # the earlier form of a mailbox
WAITING = "waiting"  # a person's signature, while the letter holds all of them

# By the form that a number takes in English when it counts (CLDR): a language with one form translates all alike.
ORDINALS = {
    "one": N_("You are the %(number)sst to sign."),
    "two": N_("You are the %(number)snd to sign."),
    "few": N_("You are the %(number)srd to sign."),
    "other": N_("You are the %(number)sth to sign."),
}

_FIELDS = struct.Struct(">iB4qd")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a signatory may read after confirming. ``counts`` contain the signature, and are those of ``issued_at``.

    ``counts`` and ``number`` are 0 if the signature waits, ``number`` also if it is not known or not to be said.
    """

    letter_id: LetterId
    is_held: bool
    counts: Counts
    number: int
    signature_id: SignatureId
    issued_at: float  # seconds since the epoch

    def pack(self) -> bytes:
        counts = self.counts
        numbers = (counts.people, counts.organizations, self.number, self.signature_id)
        return _FIELDS.pack(self.letter_id, self.is_held, *numbers, self.issued_at)

    @classmethod
    def unpack(cls, content: bytes) -> "Ticket":
        letter_id, is_held, people, organizations, number, signature_id, issued_at = _FIELDS.unpack(content)
        return cls(
            LetterId(letter_id),
            bool(is_held),
            Counts(people, organizations),
            number,
            SignatureId(signature_id),
            issued_at,
        )


async def redirect(
    visit: Visit,
    published: PublishedLetter,
    confirmation: Confirmation,
    signature_id: SignatureId,
    *,
    again: str = "",
) -> Response:
    """Redirect a confirmed signature to its page: with ``as`` if it waits, and with its ticket.

    ``again`` (``REPLACED`` or ``STAYS``) says what became of another form of a mailbox that has signed.
    """
    await visit.note_act(published.letter.slug)
    params: dict[str, str] = {}
    is_held = confirmation.result is ConfirmResult.HELD
    if is_held:
        params["as"] = Kind.ORGANIZATION.value if confirmation.kind is Kind.ORGANIZATION else WAITING
    if again:
        params["again"] = again
    # While the list is hidden no number is said either: with the time it would tell two signatories apart.
    number = 0 if published.letter.conceals_names else confirmation.number or 0
    counts = confirmation.counts or Counts()
    if published.is_stepped:  # also to the signatory: a page that is passed on must not tell when it was
        number, counts = 0, published.counts
    visit.services.pages.invalidate_in_turn(list_group(published.letter.slug))  # who has signed looks for the name
    ticket = Ticket(published.letter.id, is_held, counts, number, signature_id, time.time())
    with suppress(Unavailable):  # the day's key cannot be fetched: the page then says less
        content = (await visit.services.day_keys.today()).encrypt(ticket.pack())
        params["ticket"] = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return visit.redirect(f"/{published.letter.slug}/signed" + (f"?{urlencode(params)}" if params else ""))


async def signed(visit: Visit) -> Response:
    """Say that the signature counts and which one it is, or that it waits."""
    published = await visit.published()
    ticket = await _read_ticket(visit, published)
    if ticket is None:
        visit.services.throttle.allow_render(visit.network)  # never cached, so that the count is of this moment
        with suppress(Unavailable):
            await visit.services.letters.refresh_now()
            published = await visit.published()
    param = visit.request.query_params.get("as")
    entry = await _entry(visit, ticket)
    return visit.page(
        "signatures/signed.html",
        entry=entry,
        letter=published.letter,
        counts=_counts(published, ticket),
        signed_as=param if param in {Kind.ORGANIZATION.value, WAITING} else Kind.PERSON.value,
        again=visit.request.query_params.get("again") if ticket is not None else None,
        waits_for_step=_waits_for_step(published, ticket),
        is_confirmed=ticket is not None and ticket.is_held == (param is not None),
        ordinal=_ordinal(visit.language, ticket.number) if ticket is not None and ticket.number else "",
    )


async def _entry(visit: Visit, ticket: Ticket | None) -> OwnEntry | None:
    """Return what proves that the signature counts; the page does without while the database is away."""
    if ticket is None or ticket.is_held:
        return None
    with suppress(Unavailable):
        async with visit.services.database.connection() as conn:
            return await own_entries.load(conn, visit.services.wrapper, ticket.letter_id, ticket.signature_id)
    return None


def _waits_for_step(published: PublishedLetter, ticket: Ticket | None) -> bool:
    is_newer = ticket is not None and published.counted_at.timestamp() < ticket.issued_at
    return published.is_stepped and is_newer


def _ordinal(language: Language, number: int) -> str:
    form = Locale.parse(SOURCE_LANGUAGE).ordinal_form(number)
    return language.gettext(ORDINALS[form]) % {"number": language.number(number)}


async def _read_ticket(visit: Visit, published: PublishedLetter) -> Ticket | None:
    try:
        content = base64.urlsafe_b64decode(visit.request.query_params["ticket"] + "==")
        keys = await visit.services.day_keys.recent()
    except (KeyError, ValueError, binascii.Error, Unavailable):
        return None
    packed = next((packed for key in keys if (packed := key.decrypt(content)) is not None), None)
    if packed is None or len(packed) != _FIELDS.size:
        return None
    ticket = Ticket.unpack(packed)
    is_valid = ticket.letter_id == published.letter.id and abs(time.time() - ticket.issued_at) < LIFETIME
    return ticket if is_valid else None


def _counts(published: PublishedLetter, ticket: Ticket | None) -> Counts:
    """Return the newest count that contains the signature: other processes confirm, this one polls."""
    if ticket is None or ticket.is_held or published.is_stepped:
        return published.counts
    is_newer = published.counted_at.timestamp() > ticket.issued_at + POLL_MARGIN
    return published.counts if is_newer else ticket.counts
