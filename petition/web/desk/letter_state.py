"""A letter's state at the desk: closing, reopening, archiving, and, for owners, taking it down."""

import contextlib

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.errors import Unavailable
from petition.letters import lifecycle, lifecycle_queries, taking_down
from petition.letters.lifecycle import WAYS, StateChange
from petition.mirrors import queries as mirror_queries
from petition.organizers import act_notices
from petition.organizers.act_notices import NoticedAct
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit


async def show(visit: DeskVisit, _form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show the letter's state, and the changes it allows."""
    async with visit.database.connection() as conn:
        row = await lifecycle_queries.state(conn, visit.letter.id)
        last = await lifecycle_queries.last_moved(conn, visit.letter.id)
        mirror = await mirror_queries.of_letter(conn, visit.letter.id)
    if row:
        visit = visit.with_state(row["state"], has_digest_key=row["has_digest_key"])
    done = visit.query.get("done")
    change = StateChange(done) if done in set(StateChange) and not errors else None
    if change is not None and WAYS[change].after != visit.letter.state:
        change = None
    undo = change and WAYS[change].back
    return desk_page(visit, "desk/state.html", errors=errors, change=change, undo=undo, last=last, mirror=mirror)


@form_view(show, status=409)
async def change(visit: DeskVisit, form: Form) -> Response:
    """Close, reopen, archive, bring back from the archive."""
    move = form.get("move", "")
    if move not in set(StateChange):
        raise HTTPException(400)
    async with visit.database.transaction() as conn:
        await lifecycle.move(conn, visit.organizer.id, visit.letter.id, StateChange(move))
    return http.redirect(visit.letter_path(f"state?done={move}"))


@form_view(show)
async def take_down(visit: DeskVisit, form: Form) -> Response:
    """Take the letter down: the one act of the desk that cannot be undone."""
    letter_id = visit.letter.id
    async with visit.database.transaction() as conn:
        await taking_down.take_down(conn, visit.organizer.id, letter_id, form.get("slug", ""))
        await act_notices.notify(conn, NoticedAct.TAKE_DOWN, visit.organizer.id, letter_id)
    with contextlib.suppress(Unavailable):  # before its rows go, and the worker continues that
        await visit.services.letters.refresh_now()
        await taking_down.delete_rows(visit.database, letter_id)
    return http.redirect(f"{ROOT}?done=down")
