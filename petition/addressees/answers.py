"""What an addressee sends by its link: received, looked at by an organizer, published or declined; and objections."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from petition.addressees import deliveries, files, queries
from petition.addressees.files import File
from petition.addressees.model import TypedEvent, link_in, plain_text
from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import AddresseeId, AnswerId, LetterId
from petition.core.tokens import Tokens
from petition.signatures import queries as signature_queries

MAX_TEXT = 10_000  # characters
MAX_LINE = 200
MAX_A_DAY = 10
MAX_IN_ALL = 100
HAS_OBJECTED = 1  # in addressee_event.failed, as no reply code is

NO_NAME = N_("Enter the name of who answers.")
LONG_LINE = N_("Too long: use at most 200 characters.")
NO_TEXT = N_("Write your answer, or add a link or a file.")
LONG_TEXT = N_("Too long: use at most 10,000 characters.")
ENOUGH = N_("You have sent many answers today. Send the next one tomorrow.")


@dataclass(frozen=True, slots=True)
class AnswerLink:
    """A link to answer that works: its letter and addressee; ``mailed`` if it is the one in the addressee's mailbox."""

    letter_id: LetterId
    addressee_id: AddresseeId
    names: Mapping[str, str]
    has_objected: bool
    mailed: bool


@dataclass(frozen=True, slots=True)
class TypedAnswer:
    """An answer as it was typed."""

    name: str = field(repr=False)
    role: str = field(repr=False)
    text: str = field(repr=False)
    url: str = field(repr=False)

    @property
    def fields(self) -> dict[str, str]:
        return {"name": self.name, "role": self.role, "text": self.text, "url": self.url}


async def opened(conn: Connection, tokens: Tokens, slug: str, letter_id: LetterId, token: str) -> AnswerLink:
    """Return the link in an address of the letter. Raises ``BadToken``; ``NotFound`` if it was revoked or is too old.

    The token is compared in constant time, before the database is asked.
    """
    of_letter, addressee_id, link, mailed = tokens.read_answer(token)
    row = await queries.by_link(conn, letter_id, addressee_id) if of_letter == letter_id else None
    if row is None or not row["works"] or row["link"] != link:
        raise NotFound(f"there is no such link to answer {slug}")
    return AnswerLink(letter_id, addressee_id, row["names"], row["objected_at"] is not None, mailed)


def parse(form: Mapping[str, str], *, has_file: bool) -> TypedAnswer:
    """Return what an addressee typed. Raises ``Refused``."""
    name = plain_text(form, "name", MAX_LINE, LONG_LINE).replace("\n", " ")
    role = plain_text(form, "role", MAX_LINE, LONG_LINE).replace("\n", " ")
    text = plain_text(form, "text", MAX_TEXT, LONG_TEXT)
    url = link_in(form.get("url", "")) or ""
    if not name:
        raise Refused(NO_NAME, "name")
    if not (text or url or has_file):
        raise Refused(NO_TEXT, "text")
    return TypedAnswer(name, role, text, url)


async def receive(
    conn: Connection, keys: LetterKeys, link: AnswerLink, answer: TypedAnswer, file: File | None, lang: str
) -> None:
    """Store an answer for the organizers to look at. The same again changes nothing. Raises ``Refused``, ``Gone``."""
    # lock order: see docs/decisions/lock-order.md
    await audit_log.hold_letter(conn, link.letter_id)
    await queries.lock(conn, link.letter_id, link.addressee_id)
    today, total = await queries.sent_by_link(conn, link.letter_id, link.addressee_id)
    if today >= MAX_A_DAY or total >= MAX_IN_ALL:
        raise Refused(ENOUGH)
    file_id = None if file is None else await files.add(conn, link.letter_id, keys, file, hidden=True)
    answer_id = await queries.add_answer(
        conn,
        link.letter_id,
        link.addressee_id,
        private=keys.hide(answer.fields),
        digest=_digest(answer, file),
        lang=lang,
        file_id=file_id,
    )
    if answer_id is not None:
        await audit_log.record(conn, None, link.letter_id, "addressee.answer", ids=[link.addressee_id, answer_id])


def _digest(answer: TypedAnswer, file: File | None) -> bytes:
    content = json.dumps(answer.fields, sort_keys=True).encode() + (file[1] if file else b"")
    return hashlib.sha256(content).digest()


async def publish(
    conn: Connection, actor: Actor, keys: LetterKeys, addressee_id: AddresseeId, answer_id: AnswerId, event: TypedEvent
) -> None:
    """Show readers an answer of a locked addressee, in the organizer's words, with its file. Raises ``Refused``."""
    answer = next((row for row in await queries.answers(conn, actor.letter_id, keys) if row.id == answer_id), None)
    if answer is None or answer.state != "waiting" or answer.addressee_id != addressee_id:
        raise Refused(deliveries.CHANGED, "first")
    if answer.file_id is not None:
        await files.show(conn, actor.letter_id, keys, answer.file_id)
    event_id = await queries.add_event(conn, actor, addressee_id, event, private=None, file_id=answer.file_id)
    await queries.set_answer(conn, actor.letter_id, answer_id, "waiting", "published", event_id)
    await audit_log.record_by(
        conn, actor, "addressee.publish", ids=[addressee_id, answer_id, event_id], after=event.state.value
    )
    await queries.move_revision(conn, actor.letter_id)


async def decline(
    conn: Connection, actor: Actor, addressee_id: AddresseeId, answer_id: AnswerId, *, back: bool = False
) -> None:
    """Decline to publish an answer of a locked addressee, or let it wait again. Raises ``Refused``."""
    before, after = ("declined", "waiting") if back else ("waiting", "declined")
    if await queries.set_answer(conn, actor.letter_id, answer_id, before, after) != addressee_id:
        raise Refused(deliveries.CHANGED, "first")
    act = "addressee.wait" if back else "addressee.decline"
    await audit_log.record_by(conn, actor, act, ids=[addressee_id, answer_id])


async def object_to_mail(conn: Connection, link: AnswerLink, *, objects: bool) -> None:
    """Note that the addressee wants no mail from here, or takes that back. A second time changes nothing.

    Its sealed address goes, the digests stay: typing the address again leads to no mail. Only the link in its mailbox
    takes an objection back, since organizers have the others. Raises ``Refused``, ``Gone``.
    """
    # lock order: see docs/decisions/lock-order.md
    await audit_log.hold_letter(conn, link.letter_id)
    if not objects and not link.mailed:
        raise NotFound("only the mailed link takes an objection back")
    is_new, never = await queries.set_objection(conn, link.letter_id, link.addressee_id, objects=objects)
    if not is_new:
        return
    if objects:
        await queries.fail_jobs(conn, link.letter_id, link.addressee_id, HAS_OBJECTED)
    if never is not None:
        change = signature_queries.suppress_mailbox if objects else signature_queries.allow_mailbox
        await change(conn, never)
    act = "addressee.object" if objects else "addressee.allow"
    await audit_log.record(conn, None, link.letter_id, act, ids=[link.addressee_id])


async def waiting(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return (id, addressee, at, names) of the answers that wait for an organizer."""
    return await queries.waiting(conn, letter_id)
