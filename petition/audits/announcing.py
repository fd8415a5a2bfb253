"""The acts of owners and auditors: name an auditor, announce, give up, bring the key and the public value.

The owner fixes sample and source of randomness before the value exists; the auditor alone brings the value. Nothing
can be given up after the draw, and what is given up before it stays published.
"""

from datetime import UTC, date, datetime, time

from petition.audits import queries, randomness
from petition.audits.model import (
    MAX_NOTICE,
    MAX_SAMPLE,
    MIN_FRAME,
    MIN_SAMPLE,
    NOTICE,
    AbandonReason,
    AuditState,
)
from petition.audits.randomness import RandomSource
from petition.core import audit_log
from petition.core.age_keys import recipient_of
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection, Record
from petition.core.errors import NotFound, Refused
from petition.core.form_values import number_of
from petition.core.i18n import N_
from petition.core.ids import OrganizerId
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.organizers import act_notices
from petition.organizers.act_notices import NoticedAct

DRAW_HOUR = 12  # UTC, of the day of the draw
MAX_NAME, MAX_DESCRIPTION = 120, 300

BAD_NAME = N_("Enter the auditor’s public name, from 2 to 120 characters.")
SENSITIVE = N_("A sensitive letter stores no addresses for audits, so no one can be asked.")
NOT_NOW = N_("Publish the letter first.")
RUNNING = N_("An audit is announced already. The next one can be announced when it is over.")
NO_AUDITOR = N_("Name an auditor first: signatories agree to be asked by that one only.")
CHOOSE_AUDITOR = N_("Choose the member who audits.")
HAS_WORKED = N_("This member has worked on the letter with another role, so they cannot audit it.")
BAD_SAMPLE = N_("Ask at least 20 people, and at most 5,000.")
TOO_FEW = N_("Too few people have agreed to be asked: at least 50 are needed, and at least as many as are drawn.")
BAD_DAY = N_("Choose a day on which noon (UTC) is at least 24 hours away, within the next 60 days.")
NO_SOURCE = N_("Say exactly where the value will be published, up to 300 characters.")
NO_KEY_YET = N_("Enter your public key first: the addresses are encrypted to it when they are drawn.")
TOO_EARLY = N_("The value is not published yet.")


async def set_auditor(conn: Connection, actor: Actor, typed: str) -> None:
    """Ask signatories whether this auditor may ask them; "" asks no one. Another name ends what was agreed before.

    Raises ``Refused``.
    """
    name = clean(typed)
    if name and (not 2 <= len(name) <= MAX_NAME or has_hidden(name) or has_direction_mark(name)):
        raise Refused(BAD_NAME, "name")
    if await queries.has_active(conn, actor.letter_id):
        raise Refused(RUNNING, "name")
    letter = await queries.lock_letter(conn, actor.letter_id)
    if name and (letter["sensitive"] or letter["burnt"]):
        raise Refused(SENSITIVE, "name")
    if not name and await queries.drop_auditor(conn, actor.letter_id):
        await audit_log.record_by(conn, actor, "audit.no_auditor", ids=[])
    elif name and await queries.set_auditor(conn, actor.letter_id, name):
        await audit_log.record_by(conn, actor, "audit.auditor", ids=[])


async def announce(
    conn: Connection, actor: Actor, auditor_id: OrganizerId | None, sample: str, source: str, day: str, description: str
) -> int:
    """Announce an audit; return its number. The worker publishes the frame within seconds. Raises ``Refused``."""
    if await queries.has_active(conn, actor.letter_id):
        raise Refused(RUNNING)
    letter = await queries.lock_letter(conn, actor.letter_id)
    name = await queries.auditor(conn, actor.letter_id)
    _check_letter(letter, name)
    organizer_id = await _auditor_of(conn, actor, auditor_id)
    number = _sample_of(sample)
    if await queries.count_agreed(conn, actor.letter_id) < max(number, MIN_FRAME):
        raise Refused(TOO_FEW, "sample")
    where = _randomness_of(source, day, description)
    audit = await queries.add(conn, actor.letter_id, name or "", organizer_id, number, where)
    if audit is None:
        raise Refused(RUNNING)
    await audit_log.record_by(conn, actor, "audit.announce", ids=[audit, organizer_id], after=f"people:{number}")
    await act_notices.notify(conn, NoticedAct.AUDIT_ANNOUNCED, actor.organizer_id, actor.letter_id)
    return audit


def _check_letter(letter: Record, name: str | None) -> None:
    if letter["sensitive"] or letter["burnt"]:
        raise Refused(SENSITIVE)
    if not letter["published"]:
        raise Refused(NOT_NOW)
    if name is None:
        raise Refused(NO_AUDITOR)


async def _auditor_of(conn: Connection, actor: Actor, auditor_id: OrganizerId | None) -> OrganizerId:
    known = {row["id"] for row in await queries.auditors(conn, actor.letter_id)}
    if auditor_id is None or auditor_id not in known:
        raise Refused(CHOOSE_AUDITOR, "auditor")
    if await queries.has_worked(conn, actor.letter_id, auditor_id):
        raise Refused(HAS_WORKED, "auditor")
    return auditor_id


def _sample_of(typed: str) -> int:
    number = number_of(typed.strip())
    if number is None or not MIN_SAMPLE <= number <= MAX_SAMPLE:
        raise Refused(BAD_SAMPLE, "sample")
    return number


def _randomness_of(typed: str, day: str, description: str) -> tuple[RandomSource, int | None, str | None, datetime]:
    draw_at = _draw_time(day)
    if typed == RandomSource.DRAND:
        return RandomSource.DRAND, randomness.round_at(draw_at), None, draw_at
    text = clean(description)
    if not 10 <= len(text) <= MAX_DESCRIPTION or has_hidden(text) or has_direction_mark(text):
        raise Refused(NO_SOURCE, "description")
    return RandomSource.OTHER, None, text, draw_at


def _draw_time(day: str) -> datetime:
    try:
        moment = datetime.combine(date.fromisoformat(day.strip()), time(DRAW_HOUR, tzinfo=UTC))
    except ValueError:
        raise Refused(BAD_DAY, "day") from None
    if not NOTICE <= moment - datetime.now(UTC) <= MAX_NOTICE:
        raise Refused(BAD_DAY, "day")
    return moment


async def abandon(conn: Connection, actor: Actor, number: int, reason: AbandonReason) -> None:
    """Give an audit up before its value is there; it stays published as such. Raises ``NotFound``, ``Refused``."""
    row = await _locked(conn, actor, number)
    if row["state"] not in {AuditState.PREPARING, AuditState.ANNOUNCED} or row["draw_at"] <= datetime.now(UTC):
        raise Refused(TOO_LATE)
    if reason is AbandonReason.AUDITOR and row["organizer"] != actor.organizer_id:
        raise NotFound("there is no such audit")
    await queries.abandon(conn, actor.letter_id, number, reason)
    await audit_log.record_by(conn, actor, "audit.abandon", ids=[number])


async def set_key(conn: Connection, actor: Actor, number: int, typed: str) -> None:
    """Store the auditor's age key; it can be changed until the draw. Raises ``NotFound``, ``Refused``."""
    recipient = recipient_of(typed)
    await _own(conn, actor, number)
    await queries.set_recipient(conn, actor.letter_id, number, recipient)
    await audit_log.record_by(conn, actor, "audit.key", ids=[number])


async def draw(conn: Connection, actor: Actor, number: int, pasted: str) -> None:
    """Bring the public value; what it draws cannot be changed any more. Raises ``NotFound``, ``Refused``."""
    row = await _own(conn, actor, number)
    if row["state"] != AuditState.ANNOUNCED:
        raise Refused(TOO_LATE)
    if row["recipient"] is None:
        raise Refused(NO_KEY_YET, "recipient")
    if row["draw_at"] > datetime.now(UTC):
        raise Refused(TOO_EARLY, "value")
    value = randomness.read_value(RandomSource(row["source"]), row["round"], pasted)
    await queries.set_value(conn, actor.letter_id, number, value)
    await audit_log.record_by(conn, actor, "audit.draw", ids=[number])


async def _own(conn: Connection, actor: Actor, number: int) -> Record:
    """Return the auditor's own audit before its draw, locked. Raises ``NotFound``, ``Refused``."""
    row = await _locked(conn, actor, number)
    if row["organizer"] != actor.organizer_id:
        raise NotFound("there is no such audit")
    if row["state"] not in {AuditState.PREPARING, AuditState.ANNOUNCED}:
        raise Refused(TOO_LATE)
    return row


async def _locked(conn: Connection, actor: Actor, number: int) -> Record:
    row = await queries.lock(conn, actor.letter_id, number)
    if row is None:
        raise NotFound("there is no such audit")
    return row
