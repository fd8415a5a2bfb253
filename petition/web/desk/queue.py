"""The queue: the signatures that match the filter in the address, and acts on the ticked ones."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId
from petition.letters.keys import keys_for
from petition.moderation import decisions, filters, labels, log_queries, queue, queue_queries, undoing
from petition.moderation.model import Filter, Wait
from petition.signatures.listing import Cursor
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.queue_links import PAGE_PARAMETERS, act_notice, outcome_query, return_query
from petition.web.desk.visit import DeskVisit

NOTHING_TO_UNDO = N_("There is nothing left to undo.")


async def show(visit: DeskVisit) -> Response:
    return await _page(visit, filters.single_values(visit.query.multi_items()))


async def _show_refusal(visit: DeskVisit, form: Form, errors: Errors) -> Response:
    return await _page(visit, dict(parse_qsl(return_query(form))), form, errors)


async def _page(
    visit: DeskVisit, params: Mapping[str, str], form: Form = NO_FIELDS, errors: Errors = NO_FIELDS
) -> Response:
    filter = filters.filter_of(params, PAGE_PARAMETERS)
    after = Cursor.decode(params["after"]) if params.get("after") else None
    context = await _read(visit, filter, after, params)
    return desk_page(
        visit,
        "desk/moderation/queue.html",
        errors=errors,
        back=urlencode(filter.as_fields() | ({"after": params["after"]} if after else {})),
        fields=filter.as_fields(),
        first_page=after is None,
        ticked=_ticked(form),
        words=labels.WORDS,
        max_counted=queue_queries.MAX_COUNTED,
        langs=visit.languages,
        **context,
    )


async def _read(visit: DeskVisit, filter: Filter, after: Cursor | None, params: Mapping[str, str]) -> Mapping[str, Any]:
    letter_id = visit.letter.id
    async with visit.database.connection() as conn:
        keys = await keys_for(conn, letter_id, visit.services.wrapper)
        page = await queue.load_page(conn, letter_id, keys, filter, after)
        numbers = await queue_queries.waiting(conn, letter_id)
        return {
            "page": page,
            "held": numbers[Wait.HELD],
            "flagged": numbers[Wait.FLAGGED] + numbers[Wait.REPORTED],
            "countries": await queue_queries.countries(conn, letter_id),
            "partners": await queue_queries.partners(conn, letter_id),
            "reports": await queue_queries.open_reports(conn, letter_id, [item.id for item in page.items]),
            "own_last_act": await log_queries.last_of(conn, letter_id, visit.organizer.id),
            **await act_notice(conn, letter_id, params),
        }


def _ticked(form: Form) -> set[str]:
    """Return the names of the boxes to tick again; the row whose own button was pressed counts as ticked."""
    row = form.get("one", "").split(":")[1:2]
    return {name for name in row or form if name.startswith(filters.PICK)}


@form_view(_show_refusal)
async def decide(visit: DeskVisit, form: dict[str, str]) -> Response:
    """Approve, remove or bring back the ticked signatures, or the one whose own button was pressed."""
    act, _, row = form.get("one", "").partition(":")
    action, reason = filters.action_of(form | ({"act": act} if row else {}))
    seen = filters.last_seen_acts(dict([row.split(":")]) if row.count(":") == 1 else form)
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await decisions.decide(conn, visit.actor, keys, action, seen, reason)
    return http.redirect(visit.letter_path(f"queue?{outcome_query(return_query(form), outcome)}"))


@form_view(_show_refusal)
async def undo_act(visit: DeskVisit, form: Form) -> Response:
    """Undo an act of the log; redirect to the page of the button."""
    log_id = id_of(form.get("log", ""), LogId)
    if log_id is None:
        raise NotFound("there is no such act")
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await undoing.undo(conn, visit.actor, keys, log_id)
    if not outcome.changed:
        raise Refused(NOTHING_TO_UNDO)
    return http.redirect(visit.letter_path(f"{_origin(form)}?{outcome_query(return_query(form), outcome)}"))


def _origin(form: Form) -> str:
    """Return the path of the page that an undo button stood on, below the letter's."""
    origin = form.get("from", "queue")
    known = origin == "log" or origin.startswith(("signatures/", "campaigns/"))
    return origin if known and origin.replace("/", "").isalnum() else "queue"
