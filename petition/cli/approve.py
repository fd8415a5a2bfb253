"""Letting organizations in from the command line: the same decision as at the desk, written down as a command's."""

from collections.abc import Sequence
from itertools import groupby

from petition.core.audit_log import Actor
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound
from petition.core.ids import LetterId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import decisions, queries
from petition.moderation.model import Action
from petition.signatures.model import SignatureState


async def approve(conn: Connection, wrapper: Wrapper, ids: Sequence[int]) -> list[SignatureId]:
    """Approve those of ``ids`` that wait, of any letter, in this transaction; return them.

    The others have been decided. Raises ``NotFound`` if one of them is no signature's, ``KeyDestroyed`` if the names
    cannot be read any more; then nothing is changed.
    """
    known_rows = await queries.states(conn, [id for id in ids if 0 <= id < 2**63])
    known = {row["id"] for row in known_rows}
    if unknown := [str(id) for id in ids if id not in known]:
        raise NotFound(f"nothing approved: there is no signature {', '.join(unknown)}")
    waiting = [row for row in known_rows if row["state"] == SignatureState.HELD]
    approved: list[SignatureId] = []
    for letter_id, rows in groupby(waiting, key=lambda row: LetterId(row["letter"])):
        seen = {row["id"]: decisions.ANY_ACT for row in rows}
        actor, keys = Actor(None, letter_id, command=True), await keys_for(conn, letter_id, wrapper)
        outcome = await decisions.decide(conn, actor, keys, Action.APPROVE, seen)
        approved += outcome.changed
    return approved


async def approve_and_say(database: Database, wrapper: Wrapper, ids: Sequence[int]) -> None:
    """Approve organizations and print which. Those that do not wait any more are named, and harmless.

    Raises ``NotFound``, ``KeyDestroyed``.
    """
    async with database.transaction() as conn:
        approved = await approve(conn, wrapper, ids)
    for id in ids:
        print(f"{id}: approved" if id in approved else f"{id}: is not waiting for approval")
