"""Reading a report in one snapshot."""

from dataclasses import replace

from petition.audits import published as audits
from petition.core.database import Connection, Record
from petition.core.errors import NotFound
from petition.count_log import reading as log_reading
from petition.count_log import witnesses
from petition.count_report import queries
from petition.count_report.model import (
    MIN_REMOVED,
    MIN_REMOVED_IF_SENSITIVE,
    ConfirmedShare,
    CountReport,
    evidence_in,
)
from petition.count_report.removals import Removals, removals
from petition.letters import queries as letter_queries
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.statistics import queries as statistics_queries


async def read(conn: Connection, published: PublishedLetter) -> CountReport:
    """Return the report with the count that the database has now, which may be newer than that of ``published``.

    To be called in a transaction that sees one snapshot (repeatable read). Raises ``NotFound``.
    """
    letter_id = published.letter.id
    row = await queries.counted(conn, letter_id)
    if row is None:
        raise NotFound("there is no such letter")
    letter = replace(
        published.letter,
        tallies=await letter_queries.tallies(conn, letter_id),
        listed_since=await letter_queries.listed_since(conn, letter_id),
    )
    counts = letter_queries.counts_in(row)
    return CountReport(
        published=PublishedLetter(
            letter,
            counts.with_all_hidden() if letter.conceals_names else counts,
            row["counted_at"],
            row["is_stepped"],
        ),
        evidence=evidence_in(row["evidence"] or {}, counts.organizations),
        removals=await _removals(conn, letter, row),
        share=await _share(conn, letter, row),
        log=await log_reading.head(conn, letter_id),
        audits=await audits.load_announced(conn, letter_id),
        witnesses=() if (log := await witnesses.witnessed(conn, letter_id)) is None else log.cosignatures,
    )


async def _removals(conn: Connection, letter: Letter, row: Record) -> Removals:
    return removals(
        await queries.removed(conn, letter.id),
        await queries.restored(conn, letter.id),
        row["this_week"].date(),
        MIN_REMOVED_IF_SENSITIVE if letter.sensitive else MIN_REMOVED,
        by_week=not letter.sensitive,
    )


async def _share(conn: Connection, letter: Letter, row: Record) -> ConfirmedShare:
    asked, confirmed = await statistics_queries.forms_until(conn, letter.id, row["today"])
    return ConfirmedShare(row["today"], asked, confirmed, is_rounded=letter.sensitive)
