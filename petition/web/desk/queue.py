"""The queue: the signatures that match the filter in the address, and acts on the ticked ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId
from petition.letters.keys import keys_for
from petition.moderation import decisions, filters, labels, log_queries, queue, queue_queries, undoing
from petition.moderation.model import Action, Filter, Sort, Wait
from petition.moderation.queue import Position, QueuePage
from petition.web import http
from petition.web.desk import names_read, queue_links
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

NOTHING_TO_UNDO = N_("There is nothing left to undo.")
ASK = "ask"  # a button that asks for the reason of a removal: of its row, or of what is ticked


@dataclass(frozen=True, slots=True)
class _QueueView:
    """What the address asks for."""

    params: Mapping[str, str]
    filter: Filter
    sort: Sort
    after: Position | None

    @classmethod
    def of(cls, params: Mapping[str, str]) -> "_QueueView":
        """Raises ``UnknownFilter``, ``BadCursor``."""
        filter, after = queue_links.queue_filter(params), params.get("after")
        return cls(params, filter, queue_links.sort_of(params, filter), Position.decode(after) if after else None)

    @property
    def back(self) -> str:
        """The query of this page."""
        after = self.after.encode() if self.after else ""
        return queue_links.filter_query(self.filter, sort=self._sort, after=after)

    @property
    def _sort(self) -> str:
        return self.sort.value if self.sort is not queue.default_sort(self.filter) else ""

    def query(self, **changes: Any) -> str:
        """Return the query of the first page with other conditions, or another order."""
        sort = changes.pop("sort", self._sort)
        return queue_links.filter_query(replace(self.filter, **changes), sort=sort)

    def chips(self) -> list[tuple[str, str, str]]:
        """Return (name, value, query without it) of each condition other than what waits."""
        empty = {name: getattr(Filter(), name) for name in self.filter.as_fields()}
        return [
            (name, value, self.query(**{name: empty[name]}))
            for name, value in self.filter.as_fields().items()
            if name != "wait"
        ]

    def following(self, page: QueuePage) -> str | None:
        """Return the query of the page after this one; None if there is none."""
        return queue_links.filter_query(self.filter, sort=self._sort, after=page.next.encode()) if page.next else None


async def show(visit: DeskVisit) -> Response:
    try:
        return await _page(visit, filters.single_values(visit.query.multi_items()))
    except filters.UnknownFilter as unknown:
        return desk_page(visit, "desk/moderation/unknown_filter.html", status=400, unknown=unknown.items)


async def _show_refusal(visit: DeskVisit, form: Form, errors: Errors) -> Response:
    return await _page(visit, dict(parse_qsl(queue_links.return_query(form))), form, errors)


async def _page(
    visit: DeskVisit, params: Mapping[str, str], form: Form = NO_FIELDS, errors: Errors = NO_FIELDS
) -> Response:
    view = _QueueView.of(params)
    context = await visit.read(lambda conn: _read(conn, visit, view))
    await names_read.note(visit, context["page"].items, context["own_named"].values(), context["named"].values())
    return desk_page(
        visit,
        "desk/moderation/queue.html",
        errors=errors,
        view=view,
        fields=view.filter.as_fields(),
        waits={wait.value: view.query(wait=wait) for wait in Wait} | {"": view.query(wait=None)},
        sorts=[sort.value for sort in Sort if sort is not Sort.WAITING or queue.default_sort(view.filter) is sort],
        ticked=_ticked(form),
        asked=_asked(form, errors),
        words=labels.WORDS,
        langs=visit.languages,
        **context,
    )


async def _read(conn: Connection, visit: DeskVisit, view: _QueueView) -> Mapping[str, Any]:
    letter_id = visit.letter.id
    keys = await keys_for(conn, letter_id, visit.services.wrapper)
    page = await queue.load_page(conn, letter_id, keys, view.filter, view.after, view.sort)
    numbers = await queue_queries.waiting(conn, letter_id)
    total, is_exact = await _total(conn, visit, view, page)
    return {
        "page": page,
        "following": view.following(page),
        "first": view.after.offset + 1 if view.after else 1,
        "total": total,
        "is_exact": is_exact,
        "numbers": {wait.value: number for wait, number in numbers.items()},
        "max_counted": queue_queries.MAX_COUNTED,
        "countries": await queue_queries.countries(conn, letter_id),
        "partners": await queue_queries.partners(conn, letter_id),
        "reports": await queue_queries.open_reports(conn, letter_id, [item.id for item in page.items]),
        **await _own_last_act(conn, visit, keys),
        **await queue_links.act_notice(visit, conn, view.params),
    }


async def _total(conn: Connection, visit: DeskVisit, view: _QueueView, page: QueuePage) -> tuple[int, bool]:
    """Return how many a bulk act or an export finds, and whether that is the exact number and no lower bound."""
    offset = view.after.offset if view.after else 0
    if page.next is None and not view.filter.q:
        return offset + len(page.items), not page.is_cut
    return await queue.total(conn, visit.letter.id, view.filter)


async def _own_last_act(conn: Connection, visit: DeskVisit, keys: LetterKeys) -> Mapping[str, Any]:
    line = await log_queries.last_of(conn, visit.letter.id, visit.organizer.id)
    items = await queue_links.items_of(conn, visit.letter.id, keys, [line]) if line else {}
    return {"own_last_act": line, "own_named": items}


def _ticked(form: Form) -> set[str]:
    """Return the names of the boxes to tick again; the row whose own button was pressed counts as ticked."""
    row = form.get("one", "").split(":")[1:2]
    return {name for name in (row if row and not form.get("one", "").startswith(ASK) else form) if _is_box(name)}


def _is_box(name: str) -> bool:
    return name.startswith(filters.PICK) and name[1:].isdecimal()


def _asked(form: Form, errors: Errors) -> str:
    """Return the box of the row whose removal needs a reason, "ticked" for what is ticked, or ""."""
    act, _, rest = form.get("one", "").partition(":")
    if act in {ASK, Action.REMOVE}:
        return rest.partition(":")[0]
    return "ticked" if form.get("act") in {ASK, Action.REMOVE} or "reason" in errors else ""


@form_view(_show_refusal)
async def decide(visit: DeskVisit, form: dict[str, str]) -> Response:
    """Approve, remove or bring back the ticked signatures, or the one whose own button was pressed.

    ``one`` is ``act:box:last act:reason`` of a row's own button; ``why`` the reason with which the ticked are removed.
    """
    if ASK in {form.get("act"), form.get("one", "").partition(":")[0]}:
        return await _show_refusal(visit, form, NO_FIELDS)
    if form.get("why"):
        form |= {"act": Action.REMOVE.value, "reason": form["why"]}
    back, row = queue_links.return_query(form), form.get("one", "").split(":")  # the way back is read before acting
    own = {"act": row[0], "reason": row[3] if len(row) > 3 else form.get("reason", "")} if len(row) > 1 else {}
    action, reason = filters.action_of(form | own)
    last_acts = filters.last_seen_acts({row[1]: row[2]} if len(row) > 2 else form)
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await decisions.decide(conn, visit.actor, keys, action, last_acts, reason)
    query = queue_links.outcome_query(back, outcome)
    return http.redirect(visit.letter_path(f"queue?{query}{queue_links.next_row(form, last_acts)}"))


@form_view(_show_refusal)
async def undo_act(visit: DeskVisit, form: Form) -> Response:
    """Undo an act of the log; redirect to the page of the button."""
    back, log_id = queue_links.return_query(form), id_of(form.get("log", ""), LogId)
    if log_id is None:
        raise NotFound("there is no such act")
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        outcome = await undoing.undo(conn, visit.actor, keys, log_id)
    if not outcome.changed:
        raise Refused(NOTHING_TO_UNDO)
    query, origin = queue_links.outcome_query(back, outcome), _origin(form)
    fragment = f"#n{min(outcome.changed)}" if origin == "queue" else ""
    return http.redirect(visit.letter_path(f"{origin}?{query}{fragment}"))


def _origin(form: Form) -> str:
    """Return the path of the page that an undo button stood on, below the letter's."""
    origin = form.get("from", "queue")
    known = origin == "log" or origin.startswith(("signatures/", "campaigns/"))
    return origin if known and origin.replace("/", "").isalnum() else "queue"
