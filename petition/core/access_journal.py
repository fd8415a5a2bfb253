"""The journal of access: who read or exported names, signed in or failed to, in counts by the hour.

One row for each hour, kind, organizer and letter, so that strangers cannot fill the table. No address, network, browser
or typed text is in it. Rows are deleted after ``DAYS`` (``worker.retention``).
"""

from enum import StrEnum

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId

DAYS = 90
MAX_ROWS = 500  # on a page


class JournalKind(StrEnum):
    """What is counted."""

    NAMES_READ = "names.read"  # one for each signature on a page of the desk
    NAMES_EXPORTED = "names.export"  # one for each row of a file
    BY_APP = "proof.app"  # second factors shown, at the door or before an act
    BY_PASSKEY = "proof.passkey"
    BY_RECOVERY = "proof.recovery"
    WRONG_FACTOR = "failed.factor"
    OLD_LINK = "failed.link"
    WRONG_CODE = "failed.code"  # of a sign-in link that was opened in another browser
    OTHER_SITE = "failed.site"  # a form that another site had an organizer's browser send
    NO_LETTER = "failed.letter"  # an organizer who is no member asked for a letter, or for one that there is not
    NO_ROLE = "failed.role"
    OVER_LIMIT = "failed.limit"


ADD = """
INSERT INTO access_journal AS j (hour, kind, organizer, letter, uses)
VALUES (date_trunc('hour', now()), $1, $2, $3, $4)
ON CONFLICT (hour, kind, organizer, letter) DO UPDATE SET uses = least(j.uses::bigint + excluded.uses, 2000000000)
RETURNING uses
"""

# Sign-ins are about no letter: a letter's owners see those of its members.
OF_LETTER = """
SELECT j.hour, j.kind, j.organizer, o.name, j.uses, NULL::text AS slug
FROM access_journal j LEFT JOIN organizer o ON o.id = j.organizer
WHERE j.kind NOT LIKE 'mail.%'
  AND (j.letter = $1 OR j.letter = 0 AND j.organizer IN (SELECT m.organizer FROM member m WHERE m.letter = $1))
ORDER BY j.hour DESC, j.kind, j.organizer LIMIT $2
"""

OF_INSTALLATION = """
SELECT j.hour, j.kind, j.organizer, o.name, j.uses, l.slug
FROM access_journal j LEFT JOIN organizer o ON o.id = j.organizer LEFT JOIN letter l ON l.id = j.letter
WHERE j.kind NOT LIKE 'mail.%' ORDER BY j.hour DESC, j.kind, j.organizer, j.letter LIMIT $1
"""


async def add(
    conn: Connection, kind: str, organizer_id: OrganizerId | None, letter_id: LetterId | None, uses: int = 1
) -> int:
    """Count ``uses`` in this hour; return how many there are now. Locks the row of that hour."""
    count: int = await conn.fetchval(ADD, kind, organizer_id or 0, letter_id or 0, uses)
    return count


async def of_letter(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the newest rows about a letter and its members' sign-ins."""
    return await conn.fetch(OF_LETTER, letter_id, MAX_ROWS)


async def of_installation(conn: Connection) -> list[Record]:
    """Return the newest rows of all letters, and of strangers."""
    return await conn.fetch(OF_INSTALLATION, MAX_ROWS)
