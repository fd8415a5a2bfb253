"""What organizers do about an addressee: how the letter reaches it, deliveries, what came back, and undoing each."""

from datetime import UTC, datetime, timedelta

from petition.addressees import files, queries
from petition.addressees.files import File
from petition.addressees.model import REMINDED, DeliveryWay, DeskAddressee, TypedEvent
from petition.core import audit_log, email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.email_addresses import BadAddress
from petition.core.encryption import LetterKeys, Sealer
from petition.core.errors import Gone, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import AddresseeId, ResponseId
from petition.core.keeper import NO_KEEPER, KeeperClient, KeeperPurpose
from petition.letters.addressees import AddresseeState

LINK_LENGTH = timedelta(days=365)
REMIND_AFTER = timedelta(days=7)

CHANGED = N_("Someone else changed this first. This is how it is now.")
OBJECTED = N_("They asked not to be written to. No mail goes to them; deliver the letter in another way.")
NO_ADDRESS = N_("Enter an e-mail address first.")
MAILED = N_("The letter has been mailed to them already. Send a reminder instead.")
NOT_PUBLISHED = N_("Publish the letter first: there is nothing to deliver yet.")
NOT_YET = N_("There is nothing to remind them of: the letter is not delivered, or they have answered.")
TOO_SOON = N_("Less than a week has passed since the last mail. Remind them later.")
ON_ITS_WAY = N_("This mail is being sent right now. Try again in a moment.")


async def locked(conn: Connection, actor: Actor, addressee_id: AddresseeId, revision: int) -> None:
    """Lock the letter and the addressee for one act.

    Raises ``Gone``, ``NotFound``, and ``Refused`` if someone else was faster.
    """
    # lock order: see docs/decisions/lock-order.md
    letter = await queries.lock_letter(conn, actor.letter_id)
    if letter is None or letter["state"] == "gone":
        raise Gone("the letter was taken down")
    stored = await queries.lock(conn, actor.letter_id, addressee_id)
    if stored is None:
        raise NotFound("there is no such addressee")
    if stored != revision:
        raise Refused(CHANGED, "first")
    await queries.touch(conn, actor.letter_id, addressee_id)


async def set_contact(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    addressee: DeskAddressee,
    *,
    sealer: Sealer,
    way: str,
    lang: str,
    typed: str,
    keeper: KeeperClient = NO_KEEPER,
) -> None:
    """Store how the letter reaches a locked addressee; its address, if one was typed, is sealed. Raises ``Refused``."""
    if way not in set(DeliveryWay):
        raise Refused(CHANGED, "way")
    digest = sealed = None
    if typed.strip():
        if addressee.has_objected:
            raise Refused(OBJECTED, "email")
        try:
            mailbox = email_addresses.parse(typed)
        except BadAddress as error:
            raise Refused(error.message, "email") from None
        canonical = email_addresses.canonical(mailbox, email_addresses.NEWEST)
        digest = await keeper.digest(keys, canonical, KeeperPurpose.DESK)
        if await queries.has_objected(conn, actor.letter_id, digest):
            raise Refused(OBJECTED, "email")
        sealed = sealer.seal(mailbox.address)
    elif way == DeliveryWay.MAIL and not addressee.has_address:
        raise Refused(OBJECTED if addressee.has_objected else NO_ADDRESS, "email")
    await queries.set_contact(conn, actor.letter_id, addressee.id, DeliveryWay(way), lang, digest=digest, sealed=sealed)
    await audit_log.record_by(conn, actor, "addressee.contact", ids=[addressee.id], after=way)


async def mail(conn: Connection, actor: Actor, addressee: DeskAddressee) -> None:
    """Have the letter mailed to a locked addressee, once. Raises ``Refused``."""
    if addressee.was_mailed:
        raise Refused(MAILED)
    await _enqueue(conn, actor, addressee, AddresseeState.DELIVERED, "addressee.mail")


async def remind(conn: Connection, actor: Actor, addressee: DeskAddressee) -> None:
    """Have a silent addressee reminded, once a week at most. Raises ``Refused``."""
    done = [event for event in addressee.events if event.is_public]
    if not done or any(event.state != AddresseeState.DELIVERED for event in done):
        raise Refused(NOT_YET)
    mails = [event.at for event in addressee.events if event.way is DeliveryWay.MAIL and event.failed is None]
    if mails and datetime.now(UTC) - max(mails) < REMIND_AFTER:
        raise Refused(TOO_SOON)
    await _enqueue(conn, actor, addressee, REMINDED, "addressee.remind")


async def _enqueue(conn: Connection, actor: Actor, addressee: DeskAddressee, state: str, act: str) -> None:
    letter = await queries.lock_letter(conn, actor.letter_id)
    if letter is None or not letter["is_published"]:
        raise Refused(NOT_PUBLISHED)
    if addressee.has_objected:
        raise Refused(OBJECTED)
    event_id = await queries.enqueue(conn, actor, addressee.id, state)
    if event_id is None:
        raise Refused(NO_ADDRESS)
    await queries.extend_link(conn, actor.letter_id, addressee.id, LINK_LENGTH)
    await audit_log.record_by(conn, actor, act, ids=[addressee.id, event_id])


async def record(
    conn: Connection, actor: Actor, keys: LetterKeys, addressee_id: AddresseeId, event: TypedEvent, file: File | None
) -> ResponseId:
    """Record a delivery by hand or what a locked addressee did; return the event. Raises ``KeyDestroyed``.

    Note and receipt of a delivery are encrypted; the document of an answer is for readers.
    """
    is_delivery = event.state is AddresseeState.DELIVERED
    file_id = None if file is None else await files.add(conn, actor.letter_id, keys, file, hidden=is_delivery)
    private = keys.hide({"note": event.note}) if event.note else None
    event_id = await queries.add_event(conn, actor, addressee_id, event, private=private, file_id=file_id)
    act = "addressee.deliver" if is_delivery else "addressee.respond"
    await audit_log.record_by(conn, actor, act, ids=[addressee_id, event_id], after=event.state.value)
    await queries.move_revision(conn, actor.letter_id)
    return event_id


async def undo(conn: Connection, actor: Actor, addressee_id: AddresseeId, event_id: ResponseId) -> None:
    """Take back an event of a locked addressee; a mail that waits does not go. Raises ``Refused``."""
    row = await queries.set_undone(conn, actor.letter_id, addressee_id, event_id, undone=True)
    if row is None:
        raise Refused(CHANGED, "first")
    if row["job"] is not None and not await queries.call_back(conn, row["job"]):
        raise Refused(ON_ITS_WAY)
    await queries.answer_waits_again(conn, actor.letter_id, event_id)
    await audit_log.record_by(conn, actor, "addressee.undo", ids=[addressee_id, event_id], before=row["state"])
    await queries.move_revision(conn, actor.letter_id, purge=True)


async def redo(conn: Connection, actor: Actor, addressee_id: AddresseeId, event_id: ResponseId) -> None:
    """Bring back an event that was taken back. Raises ``Refused``."""
    row = await queries.set_undone(conn, actor.letter_id, addressee_id, event_id, undone=False)
    if row is None:
        raise Refused(CHANGED, "first")
    await audit_log.record_by(conn, actor, "addressee.redo", ids=[addressee_id, event_id], after=row["state"])
    await queries.move_revision(conn, actor.letter_id)


async def set_link(conn: Connection, actor: Actor, addressee_id: AddresseeId, *, works: bool) -> None:
    """Make a new link to answer for a locked addressee, or revoke it; the former ones work no more."""
    until = datetime.now(UTC) + LINK_LENGTH if works else None
    await queries.set_link(conn, actor.letter_id, addressee_id, until, renew=True)
    await audit_log.record_by(conn, actor, "addressee.link" if works else "addressee.revoke", ids=[addressee_id])
