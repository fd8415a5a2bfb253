"""Tallies at the desk: adding one, correcting it, taking it back."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from petition.core.audit_log import Whose
from petition.core.errors import Refused
from petition.core.text_cleaning import id_of
from petition.imports.steering import WHAT
from petition.signatures import paper_tallies
from petition.web import http
from petition.web.desk import imports_page
from petition.web.desk.visit import Desk


async def act(request: Request, who: Desk) -> Response:
    """Add a tally, correct one, take one back, bring one back."""
    form = await http.form_of(request)
    site, whose = http.site_of(request), Whose(who.organizer.id, who.this.id)
    given, step = id_of(form.get("tally", "")) or 0, form.get("step", "")
    try:
        async with site.database.transaction() as conn:
            if step in {"add", "correct"}:
                tally = paper_tallies.tally_of(form, tuple(site.renderer.languages), datetime.now(UTC).date())
                if step == "add":
                    await paper_tallies.add(conn, whose, tally)
                else:
                    await paper_tallies.correct(conn, whose, given % 2**31, tally)
            elif step in {"undo", "redo"}:
                await (paper_tallies.undo if step == "undo" else paper_tallies.redo)(conn, whose, given % 2**31)
            else:
                raise Refused(WHAT)
    except Refused as refused:
        return await imports_page.imports_page(request, who, refused=refused, form=form)
    return http.see_other(f"/organizer/{who.this.slug}/import#tallies")
