"""The witnesses of a letter's count log, for its owners: who may cosign its checkpoints, and what each has signed."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.ids import WitnessId
from petition.count_log import witnesses
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_id, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        rows = await witnesses.all_witnesses(conn, visit.letter.id)
    return desk_page(
        visit,
        "desk/witnesses.html",
        errors=errors,
        witnesses=rows,
        form=form,
        done=visit.query.get("done"),
        retired_id=id_of(visit.query.get("witness", ""), WitnessId),
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Register, retire or restore a witness."""
    organizer_id, letter_id, done = visit.organizer.id, visit.letter.id, form.get("act", "")
    async with visit.database.transaction() as conn:
        match done:
            case "add":
                await witnesses.add(conn, organizer_id, letter_id, form.get("title", ""), form.get("key", ""))
            case "retire":
                await witnesses.retire(conn, organizer_id, letter_id, _witness_id(form))
                done += f"&witness={_witness_id(form)}"
            case "restore":
                await witnesses.restore(conn, organizer_id, letter_id, _witness_id(form))
            case _:
                raise HTTPException(400)
    return http.redirect(visit.letter_path(f"witnesses?done={done}"))


def _witness_id(form: Form) -> WitnessId:
    return form_id(form, "witness", WitnessId, MAX_INTEGER)
