"""Today: what waits on a letter with its act in place, and the figures of a morning."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from petition.addressees import queries as addressee_queries
from petition.core import relay_report
from petition.core.database import Connection
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId
from petition.imports import labels as import_labels
from petition.letters.keys import keys_for
from petition.letters.model import goal_at
from petition.moderation import decisions, filters, labels, undoing, waiting
from petition.organizers import overview_queries, queries, today_queries
from petition.statistics import charts, reading
from petition.statistics.model import DAY, HOUR, Figures
from petition.web import http
from petition.web.desk import names_read, queue_links
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.statistics import change_of_a_day
from petition.web.desk.visit import DeskVisit

MAX_HOURLY_DAYS = 3  # a younger letter's growth is drawn by hours
NOTHING_TO_UNDO = N_("There is nothing left to undo.")


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show what needs an act of the organizer, by role, and the letter's figures."""
    letter_id, organizer_id = visit.letter.id, visit.organizer.id
    moderator, editor = visit.may("moderator"), visit.may("editor")

    async def load(conn: Connection) -> tuple[Figures, dict[str, Any]]:
        counts = await queries.letter_counts(conn, letter_id)
        total = counts["people"] + counts["organizations"] if counts else 0
        return await _figures(conn, visit), {
            "counts": counts,
            "goal": goal_at(visit.letter.goal, visit.letter.next_goals, total),
            "waiting": await overview_queries.waiting(conn, letter_id),
            "imports": await overview_queries.open_imports(conn, letter_id, organizer_id) if editor else [],
            "answers": await addressee_queries.waiting(conn, letter_id) if editor else [],
            "campaigns": await overview_queries.running_bulk_acts(conn, letter_id) if moderator else [],
            "mail": await today_queries.mail(conn, letter_id) if moderator else None,
            "relays_in_trouble": await relay_report.count_in_trouble(conn),
            "last_confirmed": await today_queries.last_confirmed(conn, letter_id),
            "last_decision": await today_queries.last_decision(conn, letter_id) if moderator else None,
            **await _waits(conn, visit),
        }

    figures, context = await visit.read(load)
    if visit.conceals_names:
        context |= {"items": {}, "named": {}}
    else:
        await names_read.note(visit, *context["items"].values(), context["named"].values())
    return desk_page(
        visit,
        "desk/overview.html",
        errors=errors,
        change=change_of_a_day(figures),
        chart=_chart(visit, figures),
        words=labels.WORDS,
        import_states=import_labels.STATES,
        max_counted=overview_queries.MAX_COUNTED,
        now=datetime.now(UTC),
        **context,
    )


async def _waits(conn: Connection, visit: DeskVisit) -> Mapping[str, Any]:
    """Return the number and the newest rows of each reason to wait, by its name; none for roles that cannot decide."""
    if not visit.may("moderator"):
        return {"numbers": {}, "items": {}, "named": {}, "last_act": None, "missed": 0}
    keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
    waits = await waiting.load(conn, visit.letter.id, keys)
    return {
        "numbers": {wait.value: number for wait, number in waits.numbers.items()},
        "items": {wait.value: items for wait, items in waits.items.items()},
        **await queue_links.act_notice(visit, conn, visit.query),
    }


async def _figures(conn: Connection, visit: DeskVisit) -> Figures:
    return await reading.read(conn, visit.letter.id, datetime.now(UTC) if visit.letter.state == "open" else None)


def _chart(visit: DeskVisit, figures: Figures) -> Mapping[str, Any] | None:
    """Return the curve of the count, with its first and last time and its last value; None without signatures."""
    if not figures.days:
        return None
    is_young = len(figures.days) <= MAX_HOURLY_DAYS
    periods, step = (figures.hours, HOUR) if is_young else (figures.days, DAY)
    values = [period.total for period in periods]
    drawing = charts.line(charts.SIZES[1], periods, values, step, visit.language)
    return {"name": "growth", "drawings": [drawing], "first": periods[0].start, "value": values[-1]}


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Decide on one row, or undo an act; back to Today.

    ``one`` is the action, the row's box as in the queue with the last act seen on it, and the reason of a removal:
    "remove:s12:345:fake".
    """
    if "log" in form:
        return await _undo(visit, id_of(form["log"], LogId))
    action, box, last_seen, reason = [*form.get("one", "").split(":"), "", "", "", ""][:4]
    decision, removed_for = filters.action_of({"act": action, "reason": reason})
    seen = filters.last_seen_acts({box: last_seen})
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await decisions.decide(conn, visit.actor, keys, decision, seen, removed_for)
    return http.redirect(visit.letter_path(f"?{queue_links.outcome_query('', outcome)}"))


async def _undo(visit: DeskVisit, log_id: LogId | None) -> Response:
    if log_id is None:
        raise NotFound("there is no such act")
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await undoing.undo(conn, visit.actor, keys, log_id)
    if not outcome.changed:
        raise Refused(NOTHING_TO_UNDO)
    return http.redirect(visit.letter_path(f"?{queue_links.outcome_query('', outcome)}"))
