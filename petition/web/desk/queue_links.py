"""Query strings between the pages of moderation: the way back to the queue, and the outcome of the last act."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from petition.core.database import Connection
from petition.core.form_values import id_of
from petition.core.ids import LetterId, LogId, SignatureId
from petition.moderation import filters, log_queries
from petition.moderation.model import ActOutcome

MAX_CURSOR = 40  # characters
PAGE_PARAMETERS = ("after", "done", "missed", "other")


def return_query(form: Mapping[str, str]) -> str:
    """Return the query of the queue's page that a form stood on: a filter and a cursor, nothing else.

    Raises ``UnknownFilter``.
    """
    params = filters.single_values(parse_qsl(form.get("back", "")))
    fields = filters.filter_of(params, PAGE_PARAMETERS).as_fields()
    return urlencode(fields | ({"after": params["after"][:MAX_CURSOR]} if "after" in params else {}))


def outcome_query(back: str, outcome: ActOutcome) -> str:
    """Return ``back`` with what the next page says about an act."""
    params = {"done": str(outcome.log_id)} if outcome.log_id else {}
    if outcome.missed:
        params |= {"missed": str(len(outcome.missed)), "other": str(outcome.missed[0])}
    return "&".join(filter(None, (back, urlencode(params))))


async def act_notice(conn: Connection, letter_id: LetterId, params: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the notice about the last act: its log row, how many it missed, who was first with one."""
    log_id, other_id = id_of(params.get("done", ""), LogId), id_of(params.get("other", ""), SignatureId)
    other_acts = await log_queries.of_signature(conn, letter_id, other_id) if other_id else []
    return {
        "last_act": await log_queries.one(conn, letter_id, log_id) if log_id else None,
        "other_act": other_acts[0] if other_acts else None,
        "missed": id_of(params.get("missed", ""), int) or 0,
    }
