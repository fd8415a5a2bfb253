"""A letter that opens by itself at a time that an organizer has set."""

import logging
from datetime import UTC, datetime

from petition.core import audit_log, time_zones
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database, Record
from petition.core.errors import PetitionError, Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId
from petition.drafts import checklist, draft_fields, draft_queries, publishing, store
from petition.letters import queries

NO_TIME = N_("Enter the day and time at which the letter is to open.")
PAST = N_("This time has passed. Enter a later one, or publish now.")
OPEN_ALREADY = N_("The letter is published already.")

log = logging.getLogger(__name__)


def read_time(value: str, zone: str, now: datetime) -> datetime:
    """Return the time, UTC, typed into a field ``publish_at`` as the clock of a zone shows it.

    Raises ``Refused`` if it is none, or has passed.
    """
    try:
        moment = draft_fields.checked("closes_at", value)
    except Refused as refused:
        raise Refused(refused.message, "publish_at") from None
    if not moment:
        raise Refused(NO_TIME, "publish_at")
    at = time_zones.moments_of(datetime.fromisoformat(moment), zone)[0]
    if at <= now:
        raise Refused(PAST, "publish_at")
    return at


async def schedule(conn: Connection, actor: Actor, at: datetime | None) -> None:
    """Have the letter open at ``at``, with the draft as it is then; None cancels. Raises ``Refused``, ``Gone``."""
    if not await draft_queries.schedule(conn, actor.letter_id, at, actor.organizer_id):
        raise Refused(OPEN_ALREADY)
    await audit_log.record_by(conn, actor, "letter.schedule" if at else "letter.unschedule", ids=[])


async def open_due(database: Database) -> int:
    """Publish the drafts whose time has come; return how many. What cannot be published is taken off the schedule."""
    async with database.connection() as conn:
        slugs = await draft_queries.due_letters(conn)
    return sum([await _open(database, slug) for slug in slugs])


async def _open(database: Database, slug: str) -> bool:
    try:
        async with database.transaction() as conn:
            row = await queries.by_slug(conn, slug, lock=True)
            if row is None or row["publish_at"] is None or row["publish_at"] > datetime.now(UTC):
                return False  # another worker has opened it, or an organizer has changed the time
            await _publish(conn, row, row["publish_by"])
            return True
    except PetitionError as error:
        log.warning("a scheduled letter cannot open", extra={"error": type(error).__name__})
    async with database.transaction() as conn:
        row = await queries.by_slug(conn, slug, lock=True)
        if row is not None and row["publish_at"] is not None and row["publish_at"] <= datetime.now(UTC):
            await draft_queries.schedule(conn, row["id"], None, None)
            await audit_log.record(conn, None, row["id"], "letter.not_opened")
    return False


async def _publish(conn: Connection, row: Record, actor_id: OrganizerId | None) -> None:
    draft = await store.load(conn, row)
    if any(finding.blocks for finding in checklist.findings(draft, datetime.now(UTC))):
        raise Refused("the draft is not complete")
    await publishing.publish_draft(conn, row, draft, {}, actor_id)
