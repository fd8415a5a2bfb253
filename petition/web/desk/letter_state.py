"""A letter's state at the desk: closing, reopening, archiving, and, for owners, taking it down."""

import contextlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused, Unavailable
from petition.letters import lifecycle, lifecycle_queries, taking_down
from petition.letters.lifecycle import WAYS, StateChange
from petition.web import http
from petition.web.desk import page
from petition.web.desk.visit import ROOT, DeskVisit


async def show(request: Request, who: DeskVisit) -> Response:
    """Show where the letter stands, and what leads where."""
    return await _page(request, who)


async def change(request: Request, who: DeskVisit) -> Response:
    """Close, reopen, archive, bring back from the archive."""
    form = await http.form_of(request)
    move = form.get("move", "")
    if move not in set(StateChange):
        raise HTTPException(400)
    services = http.services_of(request)
    try:
        async with services.database.transaction() as conn:
            await lifecycle.move(conn, who.organizer.id, who.this.id, StateChange(move))
    except Refused as refused:
        return await _page(request, who, refused=refused, status=409)
    await _look(request)
    return http.redirect(f"/organizer/{who.this.slug}/state?done={move}")


async def take_down(request: Request, who: DeskVisit) -> Response:
    """Take the letter down: the one act of the desk that cannot be undone."""
    form = await http.form_of(request)
    database, letter = http.services_of(request).database, who.this.id
    try:
        async with database.transaction() as conn:
            await taking_down.take_down(conn, who.organizer.id, letter, form.get("slug", ""))
    except Refused as refused:
        return await _page(request, who, refused=refused, status=422)
    await _look(request)
    with contextlib.suppress(Unavailable):  # the worker goes on with it
        await taking_down.delete_rows(database, letter)
    return http.redirect(f"{ROOT}?done=down")


async def _look(request: Request) -> None:
    """Have this process know at once; the others follow within a second."""
    with contextlib.suppress(Unavailable):
        await http.services_of(request).letters.refresh_now()


async def _page(request: Request, who: DeskVisit, *, refused: Refused | None = None, status: int = 200) -> Response:
    language = http.language_of(request)
    async with http.services_of(request).database.connection() as conn:
        now = await lifecycle_queries.state(conn, who.this.id)
        last = await lifecycle_queries.last_moved(conn, who.this.id)
    who = who.where_now(now["state"], has_digest_key=now["has_digest_key"]) if now else who
    done = request.query_params.get("done")
    moved = (
        StateChange(done)
        if done in set(StateChange) and WAYS[StateChange(done)].after == who.this.state and not refused
        else None
    )
    return page.desk_page(
        request,
        who,
        "desk/state.html",
        status,
        moved=moved,
        back=moved and WAYS[moved].back,
        errors={refused.field: language.gettext(refused.message)} if refused else {},
        last=last,
    )
