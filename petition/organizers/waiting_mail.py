"""The mail that says that something waits at the desk: each morning or at once, as each organizer chooses.

It also says once that a letter has reached a goal, and to admins that a relay takes no mail. It holds no names. It is
asked for once a morning, and at once only when more waits than the last one reported, with a pause between two; in
the same transaction as the note that it was, so a worker that is killed neither loses nor doubles one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from petition.core import outbox, relay_report, time_zones
from petition.core.database import Connection, Database, Record
from petition.core.errors import Refused
from petition.core.i18n import N_, pick_language
from petition.core.ids import LetterId, OrganizerId
from petition.core.outbox import DirectMailJob, MailContent
from petition.organizers import waiting_mail_queries as queries

PURPOSE = "waiting"
KINDS = ("held", "reported", "flagged", "imports", "answers")
NEWEST = ("newest_held", "newest_answer")  # ids, by which another one is known where as many wait as before
RELAYS = "relays"
MORNING, EVENING = 9, 21  # hours in the organizer's zone, between which the day's mail is asked for
PAUSE = timedelta(minutes=15)  # between two mails at once

NO_ZONE = N_("Choose one of the time zones.")
NO_FREQUENCY = N_("Choose when to be told.")


class WaitingMail(StrEnum):
    """When an organizer is mailed that something waits."""

    OFF = "off"
    DAILY = "daily"
    SOON = "soon"


async def set_preferences(conn: Connection, organizer_id: OrganizerId, zone: str, waiting_mail: str) -> None:
    """Store an organizer's choices. Raises ``Refused``."""
    if zone != time_zones.UTC and zone not in time_zones.names():
        raise Refused(NO_ZONE, "zone")
    if waiting_mail not in set(WaitingMail):
        raise Refused(NO_FREQUENCY, "waiting_mail")
    await queries.set_preferences(conn, organizer_id, zone, waiting_mail)


async def note_goals(database: Database) -> int:
    """Note goals that have been reached, for the mail to come; return how many. Raises ``Unavailable``."""
    count = 0
    async with database.connection() as conn:
        reached = await queries.load_reached(conn)
    for row in reached:
        async with database.transaction() as conn:
            count += await queries.note_reached(conn, row["id"], row["goal"])
    return count


async def enqueue_due(database: Database, now: datetime | None = None) -> int:
    """Ask for the mails that are due; return how many. Raises ``Unavailable``."""
    now, count = now or datetime.now(UTC), 0
    async with database.connection() as conn:
        subscribers = await queries.load_subscribers(conn)
    for row in subscribers:
        local = time_zones.local_time(now, row["zone"])
        if row["waiting_mail"] == WaitingMail.SOON:
            count += await _enqueue_soon(database, row["id"])
        elif MORNING <= local.hour < EVENING and row["waiting_mail_on"] < local.date():
            count += await _enqueue_daily(database, row["id"], local)
    return count


async def _enqueue_daily(database: Database, organizer_id: OrganizerId, local: datetime) -> bool:
    async with database.transaction() as conn:
        organizer = await queries.claim_day(conn, organizer_id, local.date())
        if organizer is None:
            return False
        if not (organizer["waiting_goals"] or await _load_numbers(conn, organizer_id, is_admin=organizer["admin"])):
            return False
        await _enqueue(conn, organizer_id, organizer)
    return True


async def _enqueue_soon(database: Database, organizer_id: OrganizerId) -> bool:
    async with database.transaction() as conn:
        organizer = await queries.lock(conn, organizer_id, PAUSE)
        if organizer is None:
            return False
        before: Mapping[str, int] = organizer["waiting_mailed"]
        numbers = await _load_numbers(conn, organizer_id, is_admin=organizer["admin"])
        is_more = any(number > before.get(key, 0) for key, number in numbers.items())
        is_due = organizer["has_rested"] and bool(is_more or organizer["waiting_goals"])
        if is_due:
            await _enqueue(conn, organizer_id, organizer)
            await queries.set_mailed(conn, organizer_id, numbers, organizer["now"])
        elif lower := {key: number for key, number in before.items() if numbers.get(key, 0) < number}:
            # What has been decided is forgotten, so that the next one of its kind is more again.
            known = {**before, **{key: numbers.get(key, 0) for key in lower}}
            await queries.set_mailed(conn, organizer_id, {key: number for key, number in known.items() if number}, None)
    return bool(is_due)


async def _load_numbers(conn: Connection, organizer_id: OrganizerId, *, is_admin: bool) -> dict[str, int]:
    """Return what waits by letter and kind, and for admins the relays in trouble; without zeros."""
    rows = await queries.load_waits(conn, organizer_id)
    numbers = {f"{row['id']}:{kind}": row[kind] for row in rows for kind in (*KINDS, *NEWEST) if row[kind]}
    relays = await relay_report.count_in_lasting_trouble(conn) if is_admin else 0
    return {**numbers, RELAYS: relays} if relays else numbers


async def _enqueue(conn: Connection, organizer_id: OrganizerId, organizer: Record) -> None:
    details: dict[str, object] = {"organizer": organizer_id, "goals": organizer["waiting_goals"]}
    await outbox.enqueue(conn, PURPOSE, organizer["digest"], organizer["sealed"], organizer["lang"], details=details)


async def write_mail(conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Return the mail, with the numbers of this moment; None if nothing waits or it was turned off meanwhile."""
    organizer_id = OrganizerId(int(str(job.details["organizer"])))
    organizer = await queries.load_recipient(conn, organizer_id)
    if organizer is None or organizer["waiting_mail"] == WaitingMail.OFF:
        return None
    goals, lang = _goals_in(job), organizer["lang"]
    letters = [
        {**row, "title": pick_language(row["titles"] or {}, lang)[1] or row["slug"], "goals": goals.get(row["id"], ())}
        for row in await queries.load_waits(conn, organizer_id)
    ]
    letters = [row for row in letters if row["goals"] or any(row[kind] for kind in KINDS)]
    relays = await relay_report.count_in_lasting_trouble(conn) if organizer["admin"] else 0
    if not (letters or relays):
        return None
    has_work = any(row[kind] for row in letters for kind in KINDS)
    return MailContent(PURPOSE, {"letters": letters, "relays": relays, "has_work": has_work}, lang=lang)


def _goals_in(job: DirectMailJob) -> dict[LetterId, list[int]]:
    """Return the goals that a mail reports, by letter."""
    goals: dict[LetterId, list[int]] = {}
    stored = job.details.get("goals")
    for letter_id, goal in stored if isinstance(stored, list) else ():
        goals.setdefault(LetterId(int(letter_id)), []).append(int(goal))
    return goals
