"""A signatory can have the name hidden from a date on. The worker does it at the beginning of that day, in UTC."""

import logging
from datetime import UTC, date, datetime

from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.letters import published
from petition.letters.model import Letter
from petition.signatures import names_end, self_service, self_service_queries
from petition.signatures.model import Kind, Visibility

log = logging.getLogger(__name__)

POLL = 1.0  # seconds between two looks: at its hour a name is gone within two
BATCH = 200
MAX_YEARS = 10

NOT_PUBLIC = N_("Your name is not public, so there is nothing to hide.")
BAD_DATE = N_("Choose a date from tomorrow on, within ten years.")
CHOOSE = N_("Choose who may see the name then.")

DUE = """
SELECT s.letter, s.id, (now() AT TIME ZONE 'UTC')::date AS today FROM signature s JOIN letter l ON l.id = s.letter
WHERE s.visible_until <= (now() AT TIME ZONE 'UTC')::date AND l.version IS NOT NULL ORDER BY s.letter, s.id LIMIT $1
"""

SET = "UPDATE signature SET visible_until = $3, hide_as = $4::visibility WHERE letter = $1 AND id = $2"

LOCK_NAMED = """
SELECT id, kind, state, removed_from, visibility, name_key FROM signature
WHERE letter = $1 AND id = $2 FOR UPDATE
"""


async def choose(database: Database, letter: Letter, signature_id: SignatureId, day: str, hide_as: str) -> None:
    """Have a public name hidden from ``day`` (ISO) on, or never if it is empty. Raises ``Refused``, ``NotFound``."""
    async with database.transaction() as conn:
        row = await self_service.lock(conn, letter, signature_id)
        if not day.strip():
            await conn.execute(SET, letter.id, signature_id, None, None)
            return
        if row["visibility"] != Visibility.PUBLIC:
            raise Refused(NOT_PUBLIC, "day")
        allowed = {Visibility.ORGANIZERS, *([Visibility.COUNTED] if row["kind"] == Kind.PERSON else [])}
        if hide_as not in allowed:
            raise Refused(CHOOSE, "hide_as")
        await conn.execute(SET, letter.id, signature_id, _day(day), hide_as)


def _day(typed: str) -> date:
    today = datetime.now(UTC).date()
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise Refused(BAD_DATE, "day") from None
    if not today < day <= today.replace(year=today.year + MAX_YEARS, day=min(today.day, 28)):
        raise Refused(BAD_DATE, "day")
    return day


async def step(database: Database, wrapper: Wrapper) -> bool:
    """Hide the names whose day has come; return whether more may be waiting."""
    async with database.connection() as conn:
        due = await conn.fetch(DUE, BATCH)
    letters: dict[LetterId, Letter] = {}
    for row in due:
        letter_id = LetterId(row["letter"])
        if letter_id not in letters:
            async with database.connection() as conn:
                letters[letter_id] = await published.read(conn, wrapper, letter_id)
        async with database.transaction() as conn:
            await _hide(conn, letters[letter_id], SignatureId(row["id"]), row["today"])
    if due:
        log.info("names hidden on their date", extra={"count": len(due)})
    return len(due) == BATCH


async def _hide(conn: Connection, letter: Letter, signature_id: SignatureId, today: date) -> None:
    row = await self_service_queries.load(conn, letter.id, signature_id, lock=True)
    if row is None or row["visible_until"] is None or row["visible_until"] > today:
        return
    try:
        fields = self_service.fields_of(row, letter.keys)
        await self_service.store(conn, letter, row, fields, Visibility(row["hide_as"]), row["sealed"])
    except (KeyDestroyed, Refused):  # nothing can be encrypted or read for the organizers any more
        await names_end.erase(conn, letter.id, await conn.fetch(LOCK_NAMED, letter.id, signature_id))
