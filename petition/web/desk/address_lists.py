"""Address lists at the desk: an owner's keys, requested lists, and the ciphertext to download."""

from collections.abc import AsyncGenerator

from starlette.responses import Response, StreamingResponse

from petition.core import age_keys, audit_log
from petition.core.database import Database
from petition.core.errors import NotFound, Refused
from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.ids import JobId, LetterId
from petition.exports import address_list_queries, address_lists
from petition.imports.steering import WHAT
from petition.organizers.model import Role
from petition.web import http
from petition.web.desk import downloads
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        keys = await address_list_queries.load_keys(conn, visit.letter.id)
        jobs = await address_list_queries.load_jobs(conn, visit.letter.id)
    return desk_page(
        visit,
        "desk/transfer/addresses.html",
        errors=errors,
        keys=keys,
        jobs=jobs,
        recipient=age_keys.shown_again(form.get("recipient", "")),
        wait_days=address_lists.WAIT.days,
        stored_days=address_lists.LIST_DAYS,
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Register a key, revoke one, ask for a list."""
    step, actor = form.get("step", ""), visit.actor
    key_id = id_of(form.get("key", ""), int, MAX_INTEGER) or 0
    async with visit.database.transaction() as conn:
        if step == "register":
            await address_lists.register(conn, actor, form.get("recipient", ""))
        elif step == "revoke":
            await address_lists.revoke(conn, actor, key_id)
        elif step == "ask":
            await address_lists.request_list(conn, actor, key_id)
        else:
            raise Refused(WHAT)
    return http.redirect(visit.letter_path("addresses"))


async def download(visit: DeskVisit) -> Response:
    job_id, letter = visit.path_id("job", JobId, MAX_INTEGER), visit.letter
    async with visit.database.transaction() as conn:
        if await address_list_queries.load_state(conn, letter.id, job_id) != "done":
            raise NotFound("there is no such list")
        await audit_log.record(conn, visit.organizer.id, letter.id, "address.take", ids=[job_id])
    headers = download_headers(f"{letter.slug}-addresses-{job_id}.csv.age")
    parts = downloads.while_admitted(visit, Role.OWNER, _parts(visit.database, letter.id, job_id))
    return StreamingResponse(parts, headers=headers, media_type="application/octet-stream")


async def _parts(database: Database, letter_id: LetterId, job_id: JobId) -> AsyncGenerator[bytes, None]:
    number = 0
    while True:
        async with database.connection() as conn:
            part = await address_list_queries.load_part(conn, letter_id, job_id, number)
        if part is None:
            return
        yield part
        number += 1
