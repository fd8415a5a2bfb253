"""Where a letter stands after publication: closing, reopening, archiving. Moves begin where they were seen to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.errors import Gone, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId
from petition.letters import lifecycle_queries as queries
from petition.letters.model import State

KEYS_GONE = N_(
    "This letter cannot be opened again. 30 days after it closed, the key that shows who has "
    "signed was destroyed, so the same mailbox could sign twice."
)
NAMES_GONE = N_("This letter cannot be opened again: its names have been deleted, as it had promised.")
CHANGED = N_("Someone else changed this first. This is how it is now.")


class StateChange(StrEnum):
    """What an organizer does with a published letter."""

    CLOSE = "close"
    REOPEN = "reopen"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


@dataclass(frozen=True, slots=True)
class Way:
    """From where to where a move leads, and what leads back."""

    before: State
    after: State
    back: StateChange
    statement: str


WAYS: Mapping[StateChange, Way] = {
    StateChange.CLOSE: Way(State.OPEN, State.CLOSED, StateChange.REOPEN, queries.CLOSE),
    StateChange.REOPEN: Way(State.CLOSED, State.OPEN, StateChange.CLOSE, queries.REOPEN),
    StateChange.ARCHIVE: Way(State.CLOSED, State.ARCHIVED, StateChange.UNARCHIVE, queries.ARCHIVE),
    StateChange.UNARCHIVE: Way(State.ARCHIVED, State.CLOSED, StateChange.ARCHIVE, queries.UNARCHIVE),
}


async def move(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, what: StateChange) -> None:
    """Move a letter, in this transaction. Raises ``Refused`` if it does not stand where the move begins, ``Gone``."""
    way = WAYS[what]
    if not await queries.move(conn, way.statement, letter_id):
        now = await queries.state(conn, letter_id)
        if now and now["state"] == State.GONE:
            raise Gone("the letter was taken down")
        if what is StateChange.REOPEN and now and now["state"] == State.CLOSED and not now["has_digest_key"]:
            raise Refused(KEYS_GONE)
        if what is StateChange.REOPEN and now and now["names_have_ended"]:
            raise Refused(NAMES_GONE)
        raise Refused(CHANGED, "first")
    await audit_log.record(conn, actor_id, letter_id, f"letter.{what}", before=way.before, after=way.after)
