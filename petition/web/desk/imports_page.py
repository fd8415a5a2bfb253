"""The page of a letter's imports and paper tallies, shared by the views that return to it."""

from starlette.responses import Response

from petition.imports import labels, queries
from petition.imports.model import FILE_HOURS, MAX_BYTES, import_job_in
from petition.signatures import paper_tallies
from petition.web.desk.forms import NO_FIELDS, Errors, Form
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit


async def imports_page(
    visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS, *, status: int | None = None
) -> Response:
    """Answer with the page; ``form`` is a tally's form as it was sent."""
    async with visit.database.connection() as conn:
        rows = await queries.load_newest_jobs(conn, visit.letter.id, visit.organizer.id)
        tallies = await paper_tallies.load_newest(conn, visit.letter.id)
    return desk_page(
        visit,
        "desk/transfer/imports.html",
        status=status,
        errors=errors,
        jobs=[import_job_in(row) for row in rows],
        import_states=labels.STATES,
        tallies=tallies,
        letter_languages=visit.languages,
        form=form,
        max_megabytes=MAX_BYTES // 1024 // 1024,
        hours=FILE_HOURS,
    )
