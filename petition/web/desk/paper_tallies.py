"""Paper tallies at the desk: adding one, correcting it, undoing it."""

from dataclasses import replace
from datetime import UTC, datetime

from starlette.responses import Response

from petition.core.errors import Refused
from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.ids import TallyId
from petition.imports.steering import WHAT
from petition.letters.model import Tally
from petition.signatures import paper_tallies
from petition.web import http
from petition.web.desk.forms import Form, form_view
from petition.web.desk.imports_page import imports_page
from petition.web.desk.visit import DeskVisit


@form_view(imports_page)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Add a tally, correct one, take one back, bring one back."""
    step, actor = form.get("step", ""), visit.actor
    tally_id = id_of(form.get("tally", ""), TallyId, MAX_INTEGER) or TallyId(0)
    async with visit.database.transaction() as conn:
        if step in {"add", "correct"}:
            tally = _tally(visit, form)
            repeat = form.get("repeat") == "1"
            if step == "add":
                await paper_tallies.add(conn, actor, tally, repeat=repeat)
            else:
                await paper_tallies.correct(conn, actor, tally_id, tally, repeat=repeat)
        elif step == "undo":
            await paper_tallies.undo(conn, actor, tally_id)
        elif step == "redo":
            await paper_tallies.redo(conn, actor, tally_id)
        else:
            raise Refused(WHAT)
    return http.redirect(visit.letter_path("import#tallies"))


def _tally(visit: DeskVisit, form: Form) -> Tally:
    """Return the tally in a form; of a day that has begun only where the organizer is, today's (UTC)."""
    today = datetime.now(UTC).date()
    tally = paper_tallies.parse(form, visit.languages, max(today, visit.now.date()))
    return replace(tally, counted_on=min(today, tally.counted_on))
