"""A later form of a mailbox that has signed: confirming it puts right what the earlier form said.

Two forms may wait at once, the second with the name corrected. Both links come to the same mailbox, so the one who
confirms the second may replace the first. Afterwards both links lead to the one signature of the mailbox.
"""

from petition.audits import queries as audit_queries
from petition.core.database import Database, Record
from petition.core.ids import LetterId, SignatureId
from petition.letters.model import Letter
from petition.signatures import sealed_names, self_service, self_service_queries
from petition.signatures.forms import LEFT_OUT
from petition.signatures.model import Kind, SignatureState, Visibility


async def own_id(database: Database, letter_id: LetterId, link_id: SignatureId) -> SignatureId:
    """Return the signature that a link leads to: its own, or the one of its mailbox if it was of another form."""
    async with database.connection() as conn:
        return await self_service_queries.load_other_link(conn, letter_id, link_id) or link_id


async def replace_by(
    database: Database,
    letter: Letter,
    signature_id: SignatureId,
    pending_id: SignatureId,
    *,
    agrees_to_audit: bool = False,
) -> bool | None:
    """Store what the pending form says in the signature of its mailbox, if that form is the later one.

    Return whether it is; None if the form was used before, which changes nothing. The names of an approved
    organization stay, since the organizers approved them. Raises ``Refused``, ``NotFound``.
    """
    async with database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md
        pending = await self_service_queries.lock_pending(conn, letter.id, pending_id)
        row = await self_service.lock(conn, letter, signature_id)
        if pending is None or (pending["kind"], pending["digest"]) != (row["kind"], row["digest"]):
            return None
        await self_service_queries.use_pending(conn, letter.id, pending_id, signature_id)
        if agrees_to_audit:
            await audit_queries.add_consent(conn, letter.id, signature_id, pending["sealed"])
        signed_at = row["signed_at"]
        if signed_at is None or pending["created_at"] <= signed_at:
            return False
        typed = letter.keys.reveal(pending["fields"])
        typed.pop(LEFT_OUT, None)
        sealed = sealed_names.take(typed)
        visibility = Visibility(typed["visibility"])
        await self_service.store(
            conn, letter, row, _fields(row, letter, typed), visibility, sealed, _employer_id(typed)
        )
        # After the visibility: the earlier form may have been counted only, and such a row has no country.
        if row["kind"] == Kind.PERSON and visibility is not Visibility.COUNTED:
            await self_service_queries.set_country(conn, letter.id, signature_id, typed.get("country"))
        return True


def _employer_id(typed: dict[str, str]) -> int | None:
    return int(typed["employer"]) if "employer" in typed else None


def _fields(row: Record, letter: Letter, typed: dict[str, str]) -> dict[str, str]:
    if row["kind"] == Kind.PERSON or row["state"] == SignatureState.HELD:
        return typed
    own = {key: typed[key] for key in ("name", "position") if typed.get(key)}
    return self_service.fields_of(row, letter.keys) | own
