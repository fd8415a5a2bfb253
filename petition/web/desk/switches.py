"""Kill switches at the desk: of one letter for its editors, of the installation for its admins."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.database import Connection
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.letters import switch_actions, switch_queries
from petition.letters.switch_actions import SwitchChanged
from petition.letters.switches import OFF, Switch
from petition.organizers import act_notices
from petition.organizers.act_notices import NoticedAct
from petition.organizers.model import Role
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_number, form_view
from petition.web.desk.page import desk_page, message_page
from petition.web.desk.visit import ROOT, DeskVisit

CONFLICT = N_("Someone else changed this switch first. This is how it is now.")
OWNERS_ONLY = N_("Only an owner can show the names again")
OWNERS_ONLY_WHY = N_("Any editor can hide all names; bringing them back is for an owner of the letter.")
UNTOUCHED = {"value": OFF, "texts": {}, "revision": 0, "since": None}


class _OwnersOnly(Exception):
    """Names are brought back by an organizer who does not own the letter; raising rolls it back."""


async def show(
    visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS, conflict: Switch | None = None
) -> Response:
    """Show every switch and its value; ``conflict`` is one that was changed by a colleague meanwhile."""
    letter_id = _letter_id(visit)
    async with visit.database.connection() as conn:
        rows = {row["name"]: dict(row) for row in await switch_queries.all_switches(conn, letter_id)}
        last = await switch_queries.last_switched(conn, letter_id, conflict) if conflict else None
        switched = await switch_queries.names_on(conn, letter_id)
    done = visit.query.get("done")
    return desk_page(
        visit.with_switches(switched),
        "desk/switches.html",
        status=409 if conflict else None,
        errors=errors,
        switches=[(switch, rows.get(switch.value, UNTOUCHED)) for switch in Switch],
        address=_address(visit),
        done=Switch(done) if done in set(Switch) and done in rows and not errors and not conflict else None,
        refused=_switch(form) if errors else None,
        form=form,
        conflict=conflict,
        conflict_message=visit.gettext(CONFLICT),
        last=last,
    )


@form_view(show)
async def change(visit: DeskVisit, form: Form) -> Response:
    """Set one switch, or undo its last change."""
    switch, revision = _switch(form), form_number(form, "revision")
    organizer_id, letter_id = visit.organizer.id, _letter_id(visit)
    try:
        async with visit.database.transaction() as conn:
            if form.get("act") == "undo":
                await switch_actions.undo(conn, organizer_id, letter_id, switch, revision)
            else:
                value = form.get("value", "")
                if value not in switch.values:
                    raise HTTPException(400)
                texts = switch_actions.texts_in(form, visit.languages, switch, value)
                await switch_actions.set_switch(conn, organizer_id, letter_id, switch, revision, value, texts)
            if switch is Switch.HIDE_LIST and await _is_off(conn, letter_id):
                if letter_id is not None and not visit.may(Role.OWNER):
                    raise _OwnersOnly
                await act_notices.notify(conn, NoticedAct.NAMES_SHOWN, organizer_id, letter_id)
    except SwitchChanged:
        return await show(visit, conflict=switch)
    except _OwnersOnly:
        return message_page(visit, 403, OWNERS_ONLY, OWNERS_ONLY_WHY)
    return http.redirect(f"{_address(visit)}?done={switch.value}")


async def _is_off(conn: Connection, letter_id: LetterId | None) -> bool:
    rows = await switch_queries.all_switches(conn, letter_id)
    return all(row["value"] == OFF for row in rows if row["name"] == Switch.HIDE_LIST)


def _switch(form: Form) -> Switch:
    name = form.get("name", "")
    if name not in set(Switch):
        raise HTTPException(400)
    return Switch(name)


def _letter_id(visit: DeskVisit) -> LetterId | None:
    return visit.letter_or_none.id if visit.letter_or_none else None


def _address(visit: DeskVisit) -> str:
    return visit.letter_path("switches") if visit.letter_or_none else f"{ROOT}installation/switches"
