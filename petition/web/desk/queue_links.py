"""What the pages of moderation share: words for what the code only numbers, and what became of the last act."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.form_values import id_of
from petition.core.ids import LetterId, LogId, SignatureId
from petition.moderation import filters, log_queries
from petition.moderation.model import ActOutcome, LogLine
from petition.web.desk.visit import DeskVisit


def actor_of(who: DeskVisit) -> Actor:
    """Return who acts, for the log."""
    return Actor(who.organizer.id, who.this.id)


def address(who: DeskVisit, path: str) -> str:
    """Return an address below the letter's."""
    return f"/organizer/{who.this.slug}/{path}"


def return_query(form: Mapping[str, str]) -> str:
    """Return the query that leads back to the page a form stood on: a filter and a place, nothing else."""
    given = dict(parse_qsl(form.get("back", "")))
    fields = filters.filter_of(given).as_fields()
    return urlencode(fields | ({"after": given["after"][:40]} if "after" in given else {}))


def outcome_query(back: str, outcome: ActOutcome) -> str:
    """Return ``back`` with what the next page is to tell of an act."""
    more = {"done": str(outcome.log_id)} if outcome.log_id else {}
    if outcome.missed:
        more |= {"missed": str(len(outcome.missed)), "other": str(outcome.missed[0])}
    return "&".join(filter(None, (back, urlencode(more))))


async def act_notice(conn: Connection, letter_id: LetterId, given: Mapping[str, str]) -> dict[str, object]:
    """Return what an address says of the act before: the log's row, how many were missed, who was first with one."""
    done, other = id_of(given.get("done", ""), LogId), id_of(given.get("other", ""), SignatureId)
    lines = await log_queries.of_signature(conn, letter_id, other) if other else []
    first: LogLine | None = lines[0] if lines else None
    return {
        "done": await log_queries.one(conn, letter_id, done) if done else None,
        "other": first,
        "missed": id_of(given.get("missed", ""), int) or 0,
    }
