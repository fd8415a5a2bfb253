"""Employers whose employees may sign a letter without their names, for its editors."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER
from petition.core.ids import EmployerId
from petition.letters import employer_queries, employers
from petition.signatures import employee_queries
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_id, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

DONE = {"add", "stop", "offer"}


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show the employers, and how many of their employees signed: as coarse as readers see it."""
    async with visit.database.connection() as conn:
        rows = await employer_queries.load(conn, visit.letter.id)
        numbers = await employee_queries.count(conn, visit.letter.id)
    done = visit.query.get("done")
    return desk_page(
        visit,
        "desk/employers.html",
        errors=errors,
        employers=rows,
        numbers=numbers,
        min_number=employee_queries.MIN_NUMBER,
        form=form,
        done=done if done in DONE else None,
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Add an employer, offer it no longer, or again."""
    organizer_id, letter_id, done = visit.organizer.id, visit.letter.id, form.get("act", "")
    async with visit.database.transaction() as conn:
        match done:
            case "add":
                names = employers.names_of({lang: form.get(f"name_{lang}", "") for lang in ("en", "ru")})
                domains = employers.domains_of(form.get("domains", ""))
                await employers.add(conn, organizer_id, letter_id, names, domains)
            case "stop" | "offer":
                employer_id = form_id(form, "employer", EmployerId, MAX_INTEGER)
                await employers.offer(conn, organizer_id, letter_id, employer_id, is_offered=done == "offer")
            case _:
                raise HTTPException(400)
    return http.redirect(visit.letter_path(f"employers?done={done}"))
