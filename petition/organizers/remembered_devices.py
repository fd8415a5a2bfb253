"""Browsers in which an organizer has signed in with both factors: what strangers do at the desk's door does not hold
them up.

The cookie is random and opens nothing; its row names the organizer. Ending the session that it came from forgets it.
"""

from datetime import timedelta

from petition.core.database import Connection
from petition.core.email_addresses import Mailbox
from petition.core.ids import OrganizerId
from petition.organizers import device_queries as queries
from petition.organizers import sessions
from petition.organizers.desk_key import DeskKey

LENGTH = timedelta(days=180)
MAX_NUMBER = 10  # per organizer; the oldest go


async def remember(conn: Connection, organizer_id: OrganizerId, session_id: int) -> str | None:
    """Remember the browser of a session that has proved its factor; return its cookie, or None if it is remembered."""
    token = sessions.new_token()
    is_new = await queries.add(conn, sessions.digest_of(token), organizer_id, session_id, LENGTH, MAX_NUMBER)
    return token if is_new else None


async def adopt(conn: Connection, token: str, organizer_id: OrganizerId, session_id: int) -> bool:
    """Let a new session run in the device with this cookie; return whether it is one of the organizer's."""
    return await queries.adopt(conn, sessions.digest_of(token), organizer_id, session_id, LENGTH)


async def knows(conn: Connection, key: DeskKey, token: str, mailbox: Mailbox) -> bool:
    """Return whether the organizer with this mailbox has signed in from the device with this cookie."""
    return await queries.knows(conn, sessions.digest_of(token), await key.of_mailbox(conn, mailbox))
