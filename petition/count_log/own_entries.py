"""The entry of one signature, for its signatory: the receipt, and where it stands in the log."""

from dataclasses import dataclass
from datetime import datetime

from petition.core import encryption
from petition.core.database import Connection
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId, SignatureId
from petition.count_log import queries, reading, receipts
from petition.count_log.entries import EntryKind, token_of
from petition.count_log.reading import PlacedEntry


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """What proves that a signature was counted. ``placed`` are its entries and exits in the log, in order."""

    receipt: str
    text_digest: str | None  # of the version that was signed, hexadecimal
    signed_at: datetime
    placed: tuple[PlacedEntry, ...] = ()

    @property
    def number(self) -> int | None:
        """Return the number of the entry that counts, or counted last; None until it is in the log."""
        return next((one.number for one in reversed(self.placed) if not one.entry.exit), None)

    @property
    def is_cancelled(self) -> bool:
        return bool(self.placed and self.placed[-1].entry.exit)

    def as_json(self) -> dict[str, object]:
        """Return it for the signatory to download; the time as ISO 8601 in UTC."""
        return {
            "receipt": self.receipt,
            "number": self.number,
            "cancelled": self.is_cancelled,
            "text_digest": self.text_digest,
            "time": self.signed_at.isoformat().replace("+00:00", "Z"),
        }


async def load(conn: Connection, wrapper: Wrapper, letter_id: LetterId, signature_id: SignatureId) -> OwnEntry | None:
    """Return the entry of a signature that counts or was withdrawn.

    None for one that waits or was never counted, and for a person on a list: the file has one entry for all.
    """
    row = await conn.fetchrow(queries.OWN_SUBJECT, letter_id, signature_id)
    subject = None if row is None else _subject(row["kind"], signature_id, row["organization"], row["import"])
    if row is None or subject is None:
        return None
    receipt = receipts.receipt_of(await _key(conn, wrapper, letter_id), *subject)
    log = await reading.head(conn, letter_id)
    placed = [] if log is None else await reading.find(conn, log, token_of(receipt))
    is_known = placed or row["state"] == "confirmed"
    signed_at = row["signed_at"] or row["listed_at"]
    return OwnEntry(receipts.as_text(receipt), row["digest"], signed_at, tuple(placed)) if is_known else None


def _subject(
    kind: str, signature_id: SignatureId, organization: int | None, import_number: int | None
) -> tuple[EntryKind, int] | None:
    if kind == "organization":
        return None if organization is None else (EntryKind.ORGANIZATION, organization)
    return (EntryKind.PERSON, signature_id) if import_number is None else None


async def _key(conn: Connection, wrapper: Wrapper, letter_id: LetterId) -> bytes:
    """Return the letter's receipt key, which is made when it is first needed."""
    wrapped = await conn.fetchval(queries.RECEIPT_KEY, letter_id)
    if wrapped is None:
        await conn.execute(queries.ADD_LOG, letter_id, wrapper.wrap(encryption.new_key()))
        wrapped = await conn.fetchval(queries.RECEIPT_KEY, letter_id)
    return wrapper.unwrap(wrapped)
