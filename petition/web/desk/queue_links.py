"""What the pages of moderation share: words for what the code only numbers, and what became of the last act."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from petition.core import text_cleaning
from petition.core.audit_log import By
from petition.core.database import Connection
from petition.moderation import filters, log_queries
from petition.moderation.model import LogLine, Outcome
from petition.web.desk.visit import Desk


def by(who: Desk) -> By:
    """Return who acts, for the log."""
    return By(who.organizer.id, who.this.id)


def address(who: Desk, path: str) -> str:
    """Return an address below the letter's."""
    return f"/organizer/{who.this.slug}/{path}"


def back_of(form: Mapping[str, str]) -> str:
    """Return the query that leads back to the page a form stood on: a filter and a place, nothing else."""
    given = dict(parse_qsl(form.get("back", "")))
    fields = filters.filter_of(given).as_fields()
    return urlencode(fields | ({"after": given["after"][:40]} if "after" in given else {}))


def told(back: str, outcome: Outcome) -> str:
    """Return ``back`` with what the next page is to tell of an act."""
    more = {"done": str(outcome.log)} if outcome.log else {}
    if outcome.missed:
        more |= {"missed": str(len(outcome.missed)), "other": str(outcome.missed[0])}
    return "&".join(filter(None, (back, urlencode(more))))


async def news(conn: Connection, letter: int, given: Mapping[str, str]) -> dict[str, object]:
    """Return what an address says of the act before: the log's row, how many were missed, who was first with one."""
    done, other = text_cleaning.id_of(given.get("done", "")), text_cleaning.id_of(given.get("other", ""))
    lines = await log_queries.of_signature(conn, letter, other) if other else []
    first: LogLine | None = lines[0] if lines else None
    return {
        "done": await log_queries.one(conn, letter, done) if done else None,
        "other": first,
        "missed": text_cleaning.id_of(given.get("missed", "")) or 0,
    }
