"""Tallies at the desk: adding one, correcting it, taking it back."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from petition.core.audit_log import Actor
from petition.core.errors import Refused
from petition.core.form_values import id_of
from petition.core.ids import TallyId
from petition.imports.steering import WHAT
from petition.signatures import paper_tallies
from petition.web import http
from petition.web.desk import imports_page
from petition.web.desk.visit import DeskVisit


async def act(request: Request, who: DeskVisit) -> Response:
    """Add a tally, correct one, take one back, bring one back."""
    form = await http.form_of(request)
    services, actor = http.services_of(request), Actor(who.organizer.id, who.this.id)
    tally_id, step = TallyId((id_of(form.get("tally", ""), int) or 0) % 2**31), form.get("step", "")
    try:
        async with services.database.transaction() as conn:
            if step in {"add", "correct"}:
                tally = paper_tallies.tally_of(form, tuple(services.renderer.languages), datetime.now(UTC).date())
                if step == "add":
                    await paper_tallies.add(conn, actor, tally)
                else:
                    await paper_tallies.correct(conn, actor, tally_id, tally)
            elif step in {"undo", "redo"}:
                await (paper_tallies.undo if step == "undo" else paper_tallies.redo)(conn, actor, tally_id)
            else:
                raise Refused(WHAT)
    except Refused as refused:
        return await imports_page.imports_page(request, who, refused=refused, form=form)
    return http.redirect(f"/organizer/{who.this.slug}/import#tallies")
