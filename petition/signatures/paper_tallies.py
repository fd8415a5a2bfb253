"""Tallies: people who signed elsewhere, known only by their number, with who counted them and when.

They count among the people and as imported; the letter's page lists them. Nothing is deleted: a correction is a new row
in place of the old one, and an undone tally can be restored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from petition.core import audit_log
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, TallyId
from petition.core.text_cleaning import clean, is_blank
from petition.letters.model import Tally
from petition.letters.queries import tally_in
from petition.signatures import counting, names
from petition.signatures.counting import CountChange

MAX_PEOPLE = 100_000_000
MAX_SOURCE = 200  # characters

NO_NUMBER = N_("Enter how many people signed, as a number.")
NO_DATE = N_("Choose the day they were counted: today or earlier.")
NO_SOURCE = N_("Tell readers where the number comes from.")
LONG_SOURCE = N_("Too long: use at most 200 characters.")

REPEATED = N_("This number of this day and source is counted already. If these are others, tick the box below.")
COUNTED = N_("This number of this day and source is counted already. If these are others, add another number.")

# Two presses of one button: the second waits here, and then finds the first one's tally.
LOCK_LETTER = "SELECT FROM letter WHERE id = $1 FOR NO KEY UPDATE"

SAME = """
SELECT id, source FROM tally WHERE letter = $1 AND people = $2 AND counted_on = $3 AND ended_at IS NULL AND id <> $4
"""

NEWEST = """
SELECT t.*, coalesce(nullif(o.name, ''), '#' || o.id) AS who,
       EXISTS (SELECT FROM tally n WHERE n.letter = t.letter AND n.replaces = t.id) AS corrected
FROM tally t LEFT JOIN organizer o ON o.id = t.organizer WHERE t.letter = $1 ORDER BY t.id DESC LIMIT 200
"""

ONE = "SELECT people, counted_on, source FROM tally WHERE letter = $1 AND id = $2"

ADD = """
INSERT INTO tally (letter, people, counted_on, source, organizer, replaces) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""

# Compare and set: a second time changes nothing.
END = "UPDATE tally SET ended_at = now() WHERE letter = $1 AND id = $2 AND ended_at IS NULL"

RESTORE = """
UPDATE tally t SET ended_at = NULL WHERE t.letter = $1 AND t.id = $2 AND t.ended_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM tally n WHERE n.letter = t.letter AND n.replaces = t.id)
"""


@dataclass(frozen=True, slots=True)
class RecordedTally:
    """A tally as organizers see it."""

    id: TallyId
    tally: Tally
    organizer: str | None  # name, or "#" and number
    recorded_at: datetime
    ended_at: datetime | None
    corrected: bool  # another one replaces it


async def load_newest(conn: Connection, letter_id: LetterId) -> list[RecordedTally]:
    """Return the newest 200 tallies of a letter, newest first, undone ones as well."""
    return [
        RecordedTally(
            id=row["id"],
            tally=tally_in(row),
            organizer=row["who"],
            recorded_at=row["at"],
            ended_at=row["ended_at"],
            corrected=row["corrected"],
        )
        for row in await conn.fetch(NEWEST, letter_id)
    ]


def parse(form: Mapping[str, str], languages: Sequence[str], today: date) -> Tally:
    """Return the tally in a form. Raises ``Refused``."""
    number = "".join(form.get("people", "").split()).replace(",", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 12 and 0 < int(number) <= MAX_PEOPLE):
        raise Refused(NO_NUMBER, "people")
    try:
        day = date.fromisoformat(form.get("counted_on", ""))
    except ValueError:
        raise Refused(NO_DATE, "counted_on") from None
    if not date(1900, 1, 1) <= day <= today:
        raise Refused(NO_DATE, "counted_on")
    source = {lang: text for lang in languages if (text := _source(form, lang))}
    if not source:
        raise Refused(NO_SOURCE, f"source_{languages[0]}")
    return Tally(int(number), day, source)


def _source(form: Mapping[str, str], lang: str) -> str:
    text = clean(form.get(f"source_{lang}", ""))
    if len(text) > MAX_SOURCE:
        raise Refused(LONG_SOURCE, f"source_{lang}")
    if problem := names.problem_of_detail(text):
        raise Refused(problem, f"source_{lang}")
    return "" if is_blank(text) else text


async def add(conn: Connection, actor: Actor, tally: Tally, *, repeat: bool = False) -> TallyId:
    """Count people who signed elsewhere; return the tally's id.

    Raises ``Refused`` if the same number, day and source counts already, unless ``repeat``.
    """
    await _check_new(conn, actor.letter_id, tally, repeat=repeat)
    tally_id = await _insert(conn, actor, tally)
    await audit_log.record_by(conn, actor, "tally.add", ids=[tally_id], after=f"people:{tally.people}")
    await _count(conn, actor.letter_id, CountChange.of_tally(tally_id, tally.people, tally.counted_on))
    return tally_id


async def correct(
    conn: Connection, actor: Actor, replaced_id: TallyId, tally: Tally, *, repeat: bool = False
) -> TallyId:
    """Replace a tally that counts by another; return the new one's id. Raises ``Refused``, ``NotFound``."""
    before = await _load(conn, actor.letter_id, replaced_id)
    await _check_new(conn, actor.letter_id, tally, replaced_id, repeat=repeat)
    if not await _is_changed_by(conn, END, actor.letter_id, replaced_id):
        raise Refused(TOO_LATE)
    tally_id = await _insert(conn, actor, tally, replaced_id)
    await audit_log.record_by(
        conn,
        actor,
        "tally.correct",
        ids=[replaced_id, tally_id],
        before=f"people:{before.people}",
        after=f"people:{tally.people}",
    )
    taken_back = CountChange.of_tally(replaced_id, -before.people, before.counted_on)
    await _count(conn, actor.letter_id, taken_back + CountChange.of_tally(tally_id, tally.people, tally.counted_on))
    return tally_id


async def undo(conn: Connection, actor: Actor, tally_id: TallyId) -> None:
    """Take a tally out of the count. Raises ``Refused`` the second time, ``NotFound``."""
    tally = await _load(conn, actor.letter_id, tally_id)
    if not await _is_changed_by(conn, END, actor.letter_id, tally_id):
        raise Refused(TOO_LATE)
    await audit_log.record_by(conn, actor, "tally.undo", ids=[tally_id], before=f"people:{tally.people}")
    await _count(conn, actor.letter_id, CountChange.of_tally(tally_id, -tally.people, tally.counted_on))


async def redo(conn: Connection, actor: Actor, tally_id: TallyId) -> None:
    """Count a tally again that was undone and not corrected. Raises ``Refused`` the second time, ``NotFound``."""
    tally = await _load(conn, actor.letter_id, tally_id)
    try:
        await _check_new(conn, actor.letter_id, tally, tally_id)
    except Refused:
        raise Refused(COUNTED) from None  # at a button, without a box to tick
    if not await _is_changed_by(conn, RESTORE, actor.letter_id, tally_id):
        raise Refused(TOO_LATE)
    await audit_log.record_by(conn, actor, "tally.redo", ids=[tally_id], after=f"people:{tally.people}")
    await _count(conn, actor.letter_id, CountChange.of_tally(tally_id, tally.people, tally.counted_on))


async def _check_new(
    conn: Connection, letter_id: LetterId, tally: Tally, tally_id: TallyId | None = None, *, repeat: bool = False
) -> None:
    """Raise ``Refused`` if another tally says the same: the number, the day, and the source in one language or more."""
    # lock order: see docs/decisions/lock-order.md
    await conn.execute(LOCK_LETTER, letter_id)
    if repeat:
        return
    source = _comparable(tally.source)
    for row in await conn.fetch(SAME, letter_id, tally.people, tally.counted_on, tally_id or 0):
        if source & _comparable(row["source"]):
            raise Refused(REPEATED, "repeat")


def _comparable(source: Mapping[str, str]) -> set[str]:
    return {" ".join(text.casefold().split()) for text in source.values()}


async def _insert(conn: Connection, actor: Actor, tally: Tally, replaces: TallyId | None = None) -> TallyId:
    source = dict(tally.source)
    columns = actor.letter_id, tally.people, tally.counted_on, source, actor.organizer_id, replaces
    return TallyId(await conn.fetchval(ADD, *columns))


async def _is_changed_by(conn: Connection, statement: str, letter_id: LetterId, tally_id: TallyId) -> bool:
    return (await conn.execute(statement, letter_id, tally_id)).endswith(" 1")


async def _load(conn: Connection, letter_id: LetterId, tally_id: TallyId) -> Tally:
    row = await conn.fetchrow(ONE, letter_id, tally_id)
    if row is None:
        raise NotFound("there is no such tally")
    return tally_in(row)


async def _count(conn: Connection, letter_id: LetterId, change: CountChange) -> None:
    await counting.apply(conn, letter_id, change, revision=True)
