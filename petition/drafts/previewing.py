"""A draft as the letter that readers would see."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.drafts.store import Draft
from petition.letters import addressee_queries, markdown, switch_queries
from petition.letters import queries as letter_queries
from petition.letters.addressees import Addressee
from petition.letters.model import Counts, Letter, State, Tally, Text, Version, digest_of
from petition.letters.parties import Party
from petition.letters.published import PublishedLetter
from petition.letters.switches import Switches
from petition.organizers import queries


@dataclass(frozen=True, slots=True)
class PreviewFigures:
    """What readers see on a letter's page that is no part of its draft."""

    counts: Counts
    tallies: tuple[Tally, ...]
    switches: Switches
    addressees: tuple[Addressee, ...] = ()


async def load_figures(conn: Connection, letter_id: LetterId) -> PreviewFigures:
    counted = await queries.letter_counts(conn, letter_id)
    counts = letter_queries.counts_in(counted) if counted else Counts()
    switches = await switch_queries.of_letter(conn, letter_id)
    tallies = await letter_queries.tallies(conn, letter_id)
    return PreviewFigures(counts, tallies, switches, await addressee_queries.load(conn, letter_id))


async def as_published(figures: PreviewFigures, row: Record, draft: Draft, lang: str) -> PublishedLetter:
    """Return the letter in ``row`` as it would stand if ``draft`` were published now; ``lang`` if nothing is written.

    A letter that was never published is shown open. Keys are not in it.
    """
    now = datetime.now(UTC)
    # Formatting a text that was made to hurt takes many seconds: others are to be answered meanwhile.
    return PublishedLetter(await asyncio.to_thread(_letter, figures, row, draft, lang, now), figures.counts, now)


def _letter(figures: PreviewFigures, row: Record, draft: Draft, lang: str, now: datetime) -> Letter:
    frame, written = draft.frame, draft.texts or {lang: ("", "")}
    texts = {lang: Text(title or "…", source, markdown.to_html(source)) for lang, (title, source) in written.items()}
    state = State.OPEN if row["version"] is None else State(row["effective_state"])
    return Letter(
        id=row["id"],
        slug=row["slug"],
        state=state,
        goal=frame.goal,
        opened_at=_opened_at(frame.opened_at) or row["opened_at"],
        closes_at=frame.closes_at,
        closed_at=row["closed_at"],
        names_in_search=frame.names_in_search,
        publish_at_number=frame.publish_at_number,
        publish_at_date=frame.publish_at_date,
        names_until=frame.names_until,
        names_days=frame.names_days,
        rules_version=row["rules_version"],
        revision=row["revision"],
        initiators=frame.initiators,
        addressees=tuple(_with_responses(party, figures.addressees) for party in frame.addressees),
        version=Version((row["version"] or 0) + 1, digest_of(written), now, texts, {}, 0),
        keys=LetterKeys(None, None),
        tallies=figures.tallies,
        switches=figures.switches,
        next_goals=frame.next_goals,
        sharing=frame.sharing,
    )


def _with_responses(party: Party, known: tuple[Addressee, ...]) -> Addressee:
    """Return an addressee of the draft with what is known of it, if readers see it under the same name."""
    same = next((row for row in known if (row.names, row.url) == (party.names, party.url)), None)
    return same or Addressee(party.names, party.url)


def _opened_at(day: date | None) -> datetime | None:
    return day if day is None or isinstance(day, datetime) else datetime.combine(day, time.min, UTC)
