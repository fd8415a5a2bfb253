"""Files that are sent in pieces: each piece only while the organizer may still have it.

A long download must end when its organizer is removed, gets a lower role, or the session is ended.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from petition.core.access_journal import JournalKind
from petition.core.errors import PetitionError
from petition.organizers import queries
from petition.organizers.model import Role
from petition.web.desk import access_page
from petition.web.desk.visit import DeskVisit

Piece = TypeVar("Piece", bytes, str)


class AccessEnded(PetitionError):
    """The organizer's role or session ended while a file was being sent. The connection is closed without its end."""


async def while_admitted(visit: DeskVisit, role: Role, pieces: AsyncGenerator[Piece, None]) -> AsyncIterator[Piece]:
    """Yield ``pieces`` while the session lives and has ``role`` in the letter. Raises ``AccessEnded``."""
    async with aclosing(pieces):
        async for piece in pieces:
            if not await _is_admitted(visit, role):
                await access_page.note(visit, JournalKind.NO_ROLE)
                raise AccessEnded("the organizer may not have this file any more")
            yield piece


async def _is_admitted(visit: DeskVisit, role: Role) -> bool:
    async with visit.database.connection() as conn:
        now = await queries.role_of_session(conn, visit.session.id, visit.letter.id)
    return now is not None and now.covers(role)
