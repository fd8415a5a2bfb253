"""Partners who cosign a letter's checkpoints: an owner registers the key of each, and what they sign is stored.

Of each witness the newest cosignature is stored. What was cosigned is checked with the log itself: a witness that is
behind is no reason to refuse, one that has seen another log is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from petition.core import audit_log, signed_notes, signing_key
from petition.core.database import Connection, Record
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId, WitnessId
from petition.core.signed_notes import BadNote, NoteSigner
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.count_log import queries, reading
from petition.count_log.checkpoints import Checkpoint, open_checkpoint
from petition.count_log.cosignatures import WitnessKey
from petition.count_log.reading import LogHead

KEY, COUNT, WITNESSES, COSIGNED = "key", "count", "witnesses", "cosigned"  # files of a copy, below the log's address
MAX_WITNESSES = 20  # of one letter
MAX_TITLE = 120
MAX_NOTE = 8192  # bytes
FUTURE = timedelta(minutes=10)  # a witness's clock may be ahead by

BAD_TITLE = N_("Enter the partner’s name, up to 120 characters.")
BAD_KEY = N_("A witness’s key is one line with two plus signs, as the program printed it.")
TAKEN = N_("This key is registered already.")
TOO_MANY = N_("A letter can have at most 20 witnesses.")


class BadCosignature(PetitionError):
    """What came is no cosigned checkpoint of this log; the text says why, in English."""


class UnknownWitness(BadCosignature):
    """No witness that is registered for this letter has signed."""


class OtherLog(BadCosignature):
    """The installation has signed a checkpoint that does not fit its log of now."""


@dataclass(frozen=True, slots=True)
class SeenCosignature:
    """That a partner has checked the log: ``size`` entries of it, when its clock said ``at``."""

    title: str
    key: str  # name+hash+key
    size: int
    at: datetime
    is_newest: bool  # of the checkpoint that is served now


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """The newest checkpoint of a letter's log, and the newest cosignature of each partner, newest first."""

    size: int
    root: bytes  # 32 bytes
    signed_at: datetime
    cosignatures: tuple[SeenCosignature, ...]


async def witnessed(conn: Connection, letter_id: LetterId) -> WitnessedLog | None:
    """Return what a page says of a letter's log and its witnesses; None until the log has begun."""
    log = await reading.head(conn, letter_id)
    if log is None:
        return None
    rows = await conn.fetch(queries.COSIGNED_BY, letter_id, log.checkpoint)
    root = Checkpoint.parse(log.checkpoint).root
    return WitnessedLog(log.size, root, log.signed_at, tuple(SeenCosignature(*row) for row in rows))


async def all_witnesses(conn: Connection, letter_id: LetterId) -> Sequence[Record]:
    """Return every registered witness, those in use first."""
    return await conn.fetch(queries.WITNESSES, letter_id)


async def newest_cosigned(conn: Connection, letter_id: LetterId) -> str | None:
    """Return the newest checkpoint that a witness has cosigned, with the lines of all that cosigned this one."""
    rows = await conn.fetch(queries.NEWEST_COSIGNED, letter_id)
    return None if not rows else rows[0]["checkpoint"] + "".join(row["cosignature"] for row in rows)


async def files_beside(conn: Connection, wrapper: Wrapper, log: LogHead) -> dict[str, bytes]:
    """Return what a copy of a log has beside its files: its key, the count, who cosigns, what was cosigned last."""
    signer = await signing_key.signer(conn, wrapper, Checkpoint.parse(log.checkpoint).origin)
    rows = await conn.fetch(queries.WITNESSES_IN_USE, log.letter_id)
    names = [{"name": row["title"], "key": row["verifier_key"]} for row in rows]
    files = {KEY: f"{signer.key}\n".encode(), WITNESSES: json.dumps(names, ensure_ascii=False).encode()}
    visible, cosigned = await reading.shown_count(conn, log.letter_id), await newest_cosigned(conn, log.letter_id)
    files |= {} if visible is None else {COUNT: visible.as_json()}
    return files | ({} if cosigned is None else {COSIGNED: cosigned.encode()})


async def add(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, title: str, key: str) -> WitnessId:
    """Register a witness. Raises ``Refused``."""
    title, key = _title_of(title), _key_of(key)
    await conn.execute(queries.LOCK_LETTER, letter_id)
    if await conn.fetchval(queries.WITNESSES_NUMBER, letter_id) >= MAX_WITNESSES:
        raise Refused(TOO_MANY)
    witness_id: WitnessId | None = await conn.fetchval(queries.ADD_WITNESS, letter_id, title, key)
    if witness_id is None:
        raise Refused(TAKEN, "key")
    await audit_log.record(conn, actor_id, letter_id, "witness.add", ids=[witness_id])
    return witness_id


async def retire(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, witness_id: WitnessId) -> None:
    """Take no more of this witness, and show it no longer; a second time is harmless."""
    if await conn.fetchval(queries.RETIRE_WITNESS, letter_id, witness_id) is not None:
        await audit_log.record(conn, actor_id, letter_id, "witness.retire", ids=[witness_id])


async def restore(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, witness_id: WitnessId) -> None:
    """Undo that; a second time is harmless."""
    if await conn.fetchval(queries.RESTORE_WITNESS, letter_id, witness_id) is not None:
        await audit_log.record(conn, actor_id, letter_id, "witness.restore", ids=[witness_id])


def _title_of(typed: str) -> str:
    title = clean(typed)
    if not 1 <= len(title) <= MAX_TITLE or has_hidden(title) or has_direction_mark(title):
        raise Refused(BAD_TITLE, "title")
    return title


def _key_of(typed: str) -> str:
    try:
        return str(WitnessKey.parse(typed))
    except BadNote:
        raise Refused(BAD_KEY, "key") from None


async def take(conn: Connection, wrapper: Wrapper, log: LogHead, note: str) -> list[str]:
    """Store the cosignatures of registered witnesses under a checkpoint of this log; return their names.

    An older one than is stored changes nothing. Raises ``BadCosignature``.
    """
    signer = await signing_key.signer(conn, wrapper, Checkpoint.parse(log.checkpoint).origin)
    checkpoint = await _checkpoint_of(conn, signer, log, note)
    text, _ = signed_notes.split(note)
    titles = []
    for row in await conn.fetch(queries.WITNESSES_IN_USE, log.letter_id):
        key = WitnessKey.parse(row["verifier_key"])
        moment = _signed_at(key, note)
        if moment is not None:
            values = checkpoint.size, signer.sign(text), signed_notes.line_of(note, key.name, key.hash), moment
            await conn.execute(queries.STORE_COSIGNATURE, row["id"], *values)
            titles.append(row["title"])
    if not titles:
        raise UnknownWitness("no witness that is registered for this letter has signed this checkpoint")
    return titles


async def _checkpoint_of(conn: Connection, signer: NoteSigner, log: LogHead, note: str) -> Checkpoint:
    """Return the checkpoint that was cosigned: one that we have signed, of the log as it is."""
    try:
        checkpoint = open_checkpoint(note, signer.key)
    except BadNote as bad:
        raise BadCosignature(f"this is no checkpoint of this log: {bad}") from None
    if checkpoint.size > log.size or checkpoint.root != await reading.root_at(conn, log, checkpoint.size):
        raise OtherLog(f"the log does not have these {checkpoint.size} entries")
    return checkpoint


def _signed_at(key: WitnessKey, note: str) -> datetime | None:
    """Return when a witness signed; None if it did not. Raises ``BadCosignature``."""
    try:
        seconds = key.signed_at(note)
        moment = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (BadNote, ValueError, OverflowError, OSError):
        raise BadCosignature("the cosignature cannot be read") from None
    if moment is not None and moment > datetime.now(UTC) + FUTURE:
        raise BadCosignature("the cosignature is dated in the future: is the clock right?")
    return moment
