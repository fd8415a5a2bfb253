"""The page on which a letter's imports and tallies stand, for all who lead back to it."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused
from petition.imports import queries
from petition.imports.model import FILE_HOURS, MAX_BYTES, import_job_in
from petition.signatures import paper_tallies
from petition.web import http
from petition.web.desk import page
from petition.web.desk.visit import DeskVisit


async def imports_page(
    request: Request, who: DeskVisit, *, refused: Refused | None = None, status: int = 422, form: Mapping[str, str] = {}
) -> Response:
    """Answer with the page; with what was refused, and what was typed in which tally's form."""
    async with http.services_of(request).database.connection() as conn:
        rows = await queries.load_newest_jobs(conn, who.this.id, who.organizer.id)
        found = await paper_tallies.all_of(conn, who.this.id)
    return page.desk_page(
        request,
        who,
        "desk/transfer/imports.html",
        status if refused else 200,
        intakes=[import_job_in(row) for row in rows],
        tallies=found,
        languages_of_letter=tuple(http.services_of(request).renderer.languages),
        form=form,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
        most_megabytes=MAX_BYTES // 1024 // 1024,
        hours=FILE_HOURS,
    )
