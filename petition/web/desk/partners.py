"""A letter's partners, for its editors."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.ids import PartnerId
from petition.letters import partner_queries, partners
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_id, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show the partners and how many signed by the links of each."""
    async with visit.database.connection() as conn:
        rows = await partner_queries.all_partners(conn, visit.letter.id)
    adding = form.get("act") == "add"
    status = 409 if "" in errors else None
    if errors and not adding:  # the fields of the form below are not the ones that were refused
        status, errors = status or 422, {"": next(iter(errors.values()))}
    return desk_page(
        visit,
        "desk/partners.html",
        status=status,
        errors=errors,
        partners=rows,
        form=form if adding else {},
        done=visit.query.get("done"),
        retired_id=id_of(visit.query.get("partner", ""), PartnerId),
        base_url=visit.services.settings.base_url,
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Register, change, retire or restore a partner."""
    organizer_id, letter_id, done = visit.organizer.id, visit.letter.id, form.get("act", "")
    async with visit.database.transaction() as conn:
        match done:
            case "add":
                name, title = partners.name_of(form.get("name", "")), partners.title_of(form.get("title", ""))
                await partners.add(conn, organizer_id, letter_id, name, title, "in_api" in form)
            case "change":
                before = form.get("title_before", ""), form.get("in_api_before") == "1"
                after = partners.title_of(form.get("title", "")), "in_api" in form
                await partners.change(conn, organizer_id, letter_id, _partner_id(form), before, after)
            case "retire":
                await partners.retire(conn, organizer_id, letter_id, _partner_id(form))
                done += f"&partner={_partner_id(form)}"
            case "restore":
                await partners.restore(conn, organizer_id, letter_id, _partner_id(form))
            case _:
                raise HTTPException(400)
    return http.redirect(visit.letter_path(f"partners?done={done}"))


def _partner_id(form: Form) -> PartnerId:
    return form_id(form, "partner", PartnerId, MAX_INTEGER)
