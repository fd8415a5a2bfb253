"""Tallies: people who signed elsewhere, of whom only the number is known, with who counted them and when.

They count among the people and as imported; readers are told of each. Nothing is deleted: a correction is a new row in
place of the old one, and what was taken back can be brought back.
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
from petition.signatures import paper_tally_queries as queries
from petition.signatures.counting import CountChange

MAX_PEOPLE = 100_000_000
MAX_SOURCE = 200  # characters

NO_NUMBER = N_("Enter how many people signed, as a number.")
NO_DATE = N_("Choose the day they were counted: today or earlier.")
NO_SOURCE = N_("Tell readers where the number comes from.")
LONG_SOURCE = N_("Too long: use at most 200 characters.")


@dataclass(frozen=True, slots=True)
class RecordedTally:
    """A tally as organizers see it."""

    id: TallyId
    tally: Tally
    who: str | None
    at: datetime
    ended_at: datetime | None
    corrected: bool  # another one stands in its place


async def all_of(conn: Connection, letter_id: LetterId) -> list[RecordedTally]:
    """Return every tally of a letter, the newest first, those that were taken back too."""
    return [
        RecordedTally(row["id"], tally_in(row), row["who"], row["at"], row["ended_at"], row["corrected"])
        for row in await queries.every(conn, letter_id)
    ]


def tally_of(form: Mapping[str, str], languages: Sequence[str], today: date) -> Tally:
    """Return what a form tells. Raises ``Refused``."""
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


async def add(conn: Connection, actor: Actor, tally: Tally) -> TallyId:
    """Count people who signed elsewhere; return the tally's id."""
    added = await queries.add(conn, actor.letter_id, tally.people, tally.counted_on, tally.source, actor.organizer_id)
    await audit_log.record_by(conn, actor, "tally.add", ids=[added], after=f"people:{tally.people}")
    await _count(conn, actor.letter_id, tally.people)
    return added


async def correct(conn: Connection, actor: Actor, replaced: TallyId, tally: Tally) -> TallyId:
    """Put another tally in the place of one that stands; return the new one's id. Raises ``Refused``, ``NotFound``."""
    before = await _one(conn, actor.letter_id, replaced)
    if not await queries.end(conn, actor.letter_id, replaced):
        raise Refused(TOO_LATE)
    added = await queries.add(
        conn, actor.letter_id, tally.people, tally.counted_on, tally.source, actor.organizer_id, replaced
    )
    await audit_log.record_by(
        conn,
        actor,
        "tally.correct",
        ids=[replaced, added],
        before=f"people:{before.people}",
        after=f"people:{tally.people}",
    )
    await _count(conn, actor.letter_id, tally.people - before.people)
    return added


async def undo(conn: Connection, actor: Actor, tally_id: TallyId) -> None:
    """Take a tally back. Raises ``Refused`` the second time, ``NotFound``."""
    await _turn(conn, actor, tally_id, "tally.undo")


async def redo(conn: Connection, actor: Actor, tally_id: TallyId) -> None:
    """Bring a tally back that was taken back and not corrected. Raises ``Refused`` the second time, ``NotFound``."""
    await _turn(conn, actor, tally_id, "tally.redo")


async def _turn(conn: Connection, actor: Actor, tally_id: TallyId, act: str) -> None:
    one = await _one(conn, actor.letter_id, tally_id)
    ends = act == "tally.undo"
    if not await (queries.end if ends else queries.stand_again)(conn, actor.letter_id, tally_id):
        raise Refused(TOO_LATE)
    number = f"people:{one.people}"
    await audit_log.record_by(
        conn, actor, act, ids=[tally_id], before=number if ends else "", after="" if ends else number
    )
    await _count(conn, actor.letter_id, -one.people if ends else one.people)


async def _one(conn: Connection, letter_id: LetterId, tally_id: TallyId) -> Tally:
    row = await queries.one(conn, letter_id, tally_id)
    if row is None:
        raise NotFound("there is no such tally")
    return tally_in(row)


async def _count(conn: Connection, letter_id: LetterId, people: int) -> None:
    await counting.apply(conn, letter_id, CountChange.of_list(people), revision=True)
