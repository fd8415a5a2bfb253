"""Query strings between the pages of moderation: the way back to the queue, and the outcome of the last act."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.form_values import id_of
from petition.core.ids import LetterId, LogId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import filters, log_queries, queue, queue_queries
from petition.moderation.model import ActOutcome, Filter, LogLine, QueueItem, Sort, Wait
from petition.signatures.listing import BadCursor
from petition.web.desk.visit import DeskVisit

MAX_CURSOR = 80  # characters
PAGE_PARAMETERS = ("after", "sort", "done", "missed", "other")
ALL = "all"  # value of "wait": no condition, said in the address, as the bare address shows what waits
MAX_NAMED = 3  # signatures that an act is said of by name


def queue_filter(params: Mapping[str, str]) -> Filter:
    """Return the filter of a page of the queue: without any parameter what waits. Raises ``UnknownFilter``."""
    if params.keys() <= set(PAGE_PARAMETERS):
        return Filter(wait=Wait.ANY)
    return filters.filter_of(_without_all(params), PAGE_PARAMETERS)


def _without_all(params: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in params.items() if (name, value) != ("wait", ALL)}


def filter_query(filter: Filter, **more: str) -> str:
    """Return the query of the queue's page with a filter, which is never empty."""
    return urlencode((filter.as_fields() or {"wait": ALL}) | {name: value for name, value in more.items() if value})


def sort_of(params: Mapping[str, str], filter: Filter) -> Sort:
    """Return the order that an address asks for. Raises ``UnknownFilter``."""
    text = params.get("sort", "")
    if text and text not in set(Sort):
        raise filters.UnknownFilter([("sort", text)])
    return Sort(text) if text else queue.default_sort(filter)


def return_query(form: Mapping[str, str]) -> str:
    """Return the query of the queue's page that a form stood on: a filter, an order and a position, nothing else.

    Raises ``UnknownFilter``.
    """
    params = filters.single_values(parse_qsl(form.get("back", ""), keep_blank_values=True))
    if not params:
        return ""
    filter = queue_filter(params)
    after, sort = params.get("after", "")[:MAX_CURSOR], params.get("sort", "") and sort_of(params, filter).value
    if after and not _is_position(after):
        raise filters.UnknownFilter([("after", after)])
    return filter_query(filter, after=after, sort=sort)


def _is_position(text: str) -> bool:
    try:
        queue.Position.decode(text)
    except BadCursor:
        return False
    return True


def bulk_filter(form: Mapping[str, str]) -> Filter:
    """Return the filter of the page that a form stood on, for a bulk act or an export. Raises ``UnknownFilter``."""
    return filters.filter_of(
        _without_all(filters.single_values(parse_qsl(form.get("back", ""), keep_blank_values=True))), PAGE_PARAMETERS
    )


def outcome_query(back: str, outcome: ActOutcome) -> str:
    """Return ``back`` with what the next page says about an act."""
    params = {"done": str(outcome.log_id)} if outcome.log_id else {}
    if outcome.missed:
        params |= {"missed": str(len(outcome.missed)), "other": str(outcome.missed[0])}
    return "&".join(filter(None, (back, urlencode(params))))


def next_row(form: Mapping[str, str], acted: Iterable[int]) -> str:
    """Return the fragment of the link to go on with: of the row after the last one acted on, else of the one before."""
    order = [id for text in form.get("order", "").split()[: filters.MAX_PICKED] if (id := id_of(text, SignatureId))]
    ids = set(acted)
    last = max((index for index, id in enumerate(order) if id in ids), default=-1)
    rest = [id for id in order[last + 1 :] if id not in ids] or [id for id in order[:last][::-1] if id not in ids]
    return f"#n{rest[0]}" if rest and last >= 0 else ""


async def act_notice(visit: DeskVisit, conn: Connection, params: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the notice about the last act: its log row, how many it missed, who was first with one,
    and the signatures by id, as far as they are named."""
    letter_id = visit.letter.id
    log_id, other_id = id_of(params.get("done", ""), LogId), id_of(params.get("other", ""), SignatureId)
    other_acts = await log_queries.of_signature(conn, letter_id, other_id) if other_id else []
    last_act = await log_queries.one(conn, letter_id, log_id) if log_id else None
    keys = await keys_for(conn, letter_id, visit.services.wrapper)
    return {
        "last_act": last_act,
        "other_act": other_acts[0] if other_acts else None,
        "missed": id_of(params.get("missed", ""), int) or 0,
        "named": await items_of(conn, letter_id, keys, [last_act] if last_act else []),
    }


async def objects_of(visit: DeskVisit, conn: Connection, lines: Sequence[LogLine]) -> dict[str, Any]:
    """Return the context of a log's lines: the signatures and the entries that they name, as they are called now."""
    letter_id = visit.letter.id
    keys = await keys_for(conn, letter_id, visit.services.wrapper)
    entry_ids = {id for line in lines if line.act.startswith("organization.") for id in line.ids[:2]}
    return {
        "items": await items_of(conn, letter_id, keys, lines),
        "entries": await log_queries.organization_names(conn, letter_id, sorted(entry_ids)),
    }


async def items_of(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, lines: Sequence[LogLine]
) -> dict[SignatureId, QueueItem]:
    """Return the first signatures of each act, as they are now; those that were erased are missing."""
    about = ("signature.", "organization.", "note.", "message.")
    ids = {id for line in lines if line.act.startswith(about) for id in line.ids[:MAX_NAMED]}
    rows = await queue_queries.several(conn, letter_id, sorted(ids))
    return {row["id"]: queue.item_in(row, keys) for row in rows}
