"""Kill switches at the desk: of one letter for its editors, of the installation for its admins."""

import contextlib
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Refused, Unavailable
from petition.core.i18n import N_
from petition.letters import switch_actions
from petition.letters import switch_queries as queries
from petition.letters.switch_actions import SwitchChanged
from petition.letters.switches import OFF, Switch
from petition.web import http
from petition.web.desk import page
from petition.web.desk.forms import number_in
from petition.web.desk.visit import DeskVisit

FIRST = N_("Someone else changed this switch first. This is how it is now.")
GENERAL = "/organizer/installation/switches"


async def show(request: Request, who: DeskVisit) -> Response:
    """Show every switch and where it stands."""
    return await _page(request, who)


async def change(request: Request, who: DeskVisit) -> Response:
    """Put one switch into another position, or back to where it was."""
    form = await http.form_of(request)
    name, revision = _switch(form), number_in(form, "revision")
    services, letter = http.services_of(request), who.letter.id if who.letter else None
    try:
        async with services.database.transaction() as conn:
            if form.get("act") == "undo":
                await switch_actions.undo(conn, who.organizer.id, letter, name, revision)
            else:
                value = form.get("value", "")
                if value not in name.values:
                    raise HTTPException(400)
                texts = switch_actions.texts_in(form, tuple(services.renderer.languages), name, value)
                await switch_actions.set_switch(conn, who.organizer.id, letter, name, revision, value, texts)
    except Refused as refused:
        return await _page(request, who, wrong=(name, refused, form))
    except SwitchChanged:
        return await _page(request, who, first=name)
    with contextlib.suppress(Unavailable):  # whoever switched sees it in force; other processes follow within a second
        await services.letters.refresh_now()
    return http.redirect(f"{_address(who)}?done={name.value}")


def _switch(form: Mapping[str, str]) -> Switch:
    name = form.get("name", "")
    if name not in set(Switch):
        raise HTTPException(400)
    return Switch(name)


def _address(who: DeskVisit) -> str:
    return f"/organizer/{who.letter.slug}/switches" if who.letter else GENERAL


async def _page(
    request: Request,
    who: DeskVisit,
    *,
    wrong: tuple[Switch, Refused, Mapping[str, str]] | None = None,
    first: Switch | None = None,
) -> Response:
    language = http.language_of(request)
    letter = who.letter.id if who.letter else None
    async with http.services_of(request).database.connection() as conn:
        rows = {row["name"]: dict(row) for row in await queries.all_switches(conn, letter)}
        last = await queries.last_switched(conn, letter, first) if first else None
        switched = await queries.names_on(conn, letter)
    untouched = {"value": OFF, "texts": {}, "revision": 0, "since": None}
    done = request.query_params.get("done")
    return page.desk_page(
        request,
        who.looking_at(switched),
        "desk/switches.html",
        422 if wrong else 409 if first else 200,
        switches=[(name, rows.get(name.value, untouched)) for name in Switch],
        address=_address(who),
        done=Switch(done) if done in set(Switch) and done in rows and not wrong and not first else None,
        wrong=wrong and wrong[0],
        errors={wrong[1].field: language.gettext(wrong[1].message)} if wrong else {},
        typed=wrong[2] if wrong else {},
        first=first,
        first_told=language.gettext(FIRST),
        last=last,
    )
