"""Addresses at the desk: an owner's keys, lists asked for, and the ciphertext to take away."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Database
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import JobId, LetterId
from petition.exports import address_list_queries as queries
from petition.exports import address_lists
from petition.imports.steering import WHAT
from petition.web import http
from petition.web.desk import page
from petition.web.desk.visit import DeskVisit

PROVE = N_("Show your second factor once more before you register a key.")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show keys and lists."""
    return await _page(request, who)


async def act(request: Request, who: DeskVisit) -> Response:
    """Register a key, revoke one, ask for a list."""
    form = await http.form_of(request)
    step, actor = form.get("step", ""), Actor(who.organizer.id, who.this.id)
    key = (id_of(form.get("key", ""), int) or 0) % 2**31
    try:
        async with http.services_of(request).database.transaction() as conn:
            if step == "register":
                if not who.session.fresh:
                    raise Refused(PROVE, "prove")
                await address_lists.register(conn, actor, form.get("recipient", ""))
            elif step in {"revoke", "ask"}:
                await (address_lists.revoke if step == "revoke" else address_lists.request_list)(conn, actor, key)
            else:
                raise Refused(WHAT)
    except Refused as refused:
        return await _page(request, who, refused=refused, typed=form.get("recipient", "")[:200])
    return http.redirect(f"/organizer/{who.this.slug}/addresses")


async def take(request: Request, who: DeskVisit) -> Response:
    """Hand a list out, as ciphertext."""
    job = id_of(request.path_params["job"], JobId)
    if job is None or job >= 2**31:
        raise NotFound("there is no such list")
    database = http.services_of(request).database
    async with database.transaction() as conn:
        if await queries.load_state(conn, who.this.id, job) != "done":
            raise NotFound("there is no such list")
        await audit_log.record(conn, who.organizer.id, who.this.id, "address.take", ids=[job])
    name = f'attachment; filename="{who.this.slug}-addresses-{job}.csv.age"'
    headers = {"cache-control": "no-store", "content-disposition": name}
    return StreamingResponse(_parts(database, who.this.id, job), headers=headers, media_type="application/octet-stream")


async def _parts(database: Database, letter_id: LetterId, job_id: JobId) -> AsyncIterator[bytes]:
    number = 0
    while True:
        async with database.connection() as conn:
            part = await queries.load_part(conn, letter_id, job_id, number)
        if part is None:
            return
        yield part
        number += 1


async def _page(request: Request, who: DeskVisit, *, refused: Refused | None = None, typed: str = "") -> Response:
    async with http.services_of(request).database.connection() as conn:
        keys = await queries.load_keys(conn, who.this.id)
        jobs = await queries.load_jobs(conn, who.this.id)
    return page.desk_page(
        request,
        who,
        "desk/transfer/addresses.html",
        422 if refused else 200,
        keys=keys,
        jobs=jobs,
        typed="" if "SECRET" in typed.upper() else typed,
        fresh=who.session.fresh,
        wait=address_lists.WAIT.days,
        days=address_lists.LIST_DAYS,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
    )
