"""Partners: who may have signatures counted under a name of their own. Every act is in the log.

A name is in links on other sites, so it never changes and is never given away again; what does change is
how the partner is called, whether anyone may read its count, and whether the name is in use.
"""

import re

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId, PartnerId
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.letters import partner_queries as queries

MAX_PARTNERS = 200  # of one letter: each may have four cached pages in every language
MAX_TITLE = 120

BAD_NAME = N_("Use 2 to 32 lower-case letters a–z, digits and hyphens.")
BAD_TITLE = N_("Enter the partner’s name, up to 120 characters.")
TAKEN = N_("Another partner already has this link name.")
TOO_MANY = N_("A letter can have at most 200 partners.")
CHANGED = N_("This has changed in the meantime. The page shows how it is now.")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")


def name_of(typed: str) -> str:
    """Return a name that may stand in addresses. Raises ``Refused``."""
    name = typed.strip()
    if not _NAME.fullmatch(name):
        raise Refused(BAD_NAME, "name")
    return name


def title_of(typed: str) -> str:
    """Return how a partner is called. Raises ``Refused``."""
    title = clean(typed)
    if not 1 <= len(title) <= MAX_TITLE or has_hidden(title) or has_direction_mark(title):
        raise Refused(BAD_TITLE, "title")
    return title


async def add(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, name: str, title: str, in_api: bool
) -> PartnerId:
    """Register a partner; return its id. Raises ``Refused``."""
    if await queries.lock_letter(conn, letter_id) >= MAX_PARTNERS:
        raise Refused(TOO_MANY)
    partner = await queries.add(conn, letter_id, name, title, in_api)
    if partner is None:
        raise Refused(TAKEN, "name")
    await queries.move_revision(conn, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "partner.add", ids=[partner], after=_standing(in_api))
    return partner


async def change(
    conn: Connection,
    actor_id: OrganizerId,
    letter_id: LetterId,
    partner_id: PartnerId,
    before: tuple[str, bool],
    after: tuple[str, bool],
) -> None:
    """Change what a partner is called, and whether its count is in the API. Raises ``Refused``."""
    if before == after:
        return
    await queries.lock_letter(conn, letter_id)
    if not await queries.change(conn, letter_id, partner_id, before, after):
        raise Refused(CHANGED)
    await queries.move_revision(conn, letter_id)
    states = _standing(before[1]), _standing(after[1])
    await audit_log.record(
        conn, actor_id, letter_id, "partner.change", ids=[partner_id], before=states[0], after=states[1]
    )


async def retire(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, partner_id: PartnerId) -> None:
    """Have links with this name lead to the letter as if it were not there; a second time is harmless."""
    await _use(conn, actor_id, letter_id, partner_id, in_use=False)


async def restore(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, partner_id: PartnerId) -> None:
    """Undo that; a second time is harmless."""
    await _use(conn, actor_id, letter_id, partner_id, in_use=True)


async def _use(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, partner_id: PartnerId, *, in_use: bool
) -> None:
    await queries.lock_letter(conn, letter_id)
    if await (queries.restore if in_use else queries.retire)(conn, letter_id, partner_id):
        await queries.move_revision(conn, letter_id)
        await audit_log.record(
            conn, actor_id, letter_id, f"partner.{'restore' if in_use else 'retire'}", ids=[partner_id]
        )


def _standing(in_api: bool) -> str:
    return "public" if in_api else "desk"
