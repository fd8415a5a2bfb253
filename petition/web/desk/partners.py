"""A letter's partners, for its editors."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused
from petition.core.ids import PartnerId
from petition.letters import partner_queries, partners
from petition.web import http
from petition.web.desk import page
from petition.web.desk.forms import number_in
from petition.web.desk.visit import DeskVisit


async def show(request: Request, who: DeskVisit) -> Response:
    """Show the partners and what has come by each."""
    return await _page(request, who)


async def act(request: Request, who: DeskVisit) -> Response:
    """Register, change, retire or bring back a partner."""
    form = await http.form_of(request)
    given = who.organizer.id, who.this.id
    try:
        async with http.services_of(request).database.transaction() as conn:
            match form.get("act"):
                case "add":
                    name, title = partners.name_of(form.get("name", "")), partners.title_of(form.get("title", ""))
                    await partners.add(conn, *given, name, title, "in_api" in form)
                case "change":
                    before = form.get("title_before", ""), form.get("in_api_before") == "1"
                    after = partners.title_of(form.get("title", "")), "in_api" in form
                    await partners.change(conn, *given, number_of(form), before, after)
                case "retire":
                    await partners.retire(conn, *given, number_of(form))
                case "restore":
                    await partners.restore(conn, *given, number_of(form))
                case _:
                    raise HTTPException(400)
    except Refused as refused:
        return await _page(request, who, refused, form)
    done = f"?done={form['act']}" + (f"&partner={number_of(form)}" if form["act"] == "retire" else "")
    return http.redirect(f"/organizer/{who.this.slug}/partners{done}")


def number_of(form: dict[str, str]) -> PartnerId:
    """Return the partner's id. Raises a 400 for what is none."""
    number = number_in(form, "partner")
    if number >= 2**31:
        raise HTTPException(400)
    return PartnerId(number)


async def _page(
    request: Request, who: DeskVisit, refused: Refused | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    async with http.services_of(request).database.connection() as conn:
        rows = await partner_queries.everyone(conn, who.this.id)
    error = {refused.field: http.language_of(request).gettext(refused.message)} if refused else {}
    retired = request.query_params.get("partner", "")
    adding = typed is not None and typed.get("act") == "add"
    return page.desk_page(
        request,
        who,
        "desk/partners.html",
        (422 if refused.field else 409) if refused else 200,
        partners=rows,
        errors=error if adding else {"": next(iter(error.values()))} if error else {},
        typed=typed if adding else {},
        done=request.query_params.get("done"),
        retired=retired if retired.isdecimal() else None,
        base_url=http.services_of(request).settings.base_url,
    )
