"""The organizer's own page: the name, the second factors, and the sessions."""

import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from petition.core import audit_log, time_zones
from petition.core.form_values import number_of
from petition.core.i18n import N_, Language
from petition.organizers import (
    device_queries,
    factor_queries,
    factor_reset_queries,
    factor_resets,
    queries,
    recovery_codes,
    second_factor,
    sessions,
    waiting_mail,
)
from petition.organizers.model import checked_name
from petition.web import http
from petition.web.desk import session_cookie
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, SECURITY, DeskVisit


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        totp = await factor_queries.totp(conn, visit.organizer.id)
        passkeys = await factor_queries.passkeys(conn, visit.organizer.id)
        codes_left = await factor_queries.codes(conn, visit.organizer.id)
        reset = await factor_reset_queries.pending_of(conn, visit.organizer.id)
        session_rows = await queries.sessions(conn, visit.organizer.id)
        remembered = await device_queries.others(conn, visit.organizer.id, visit.session.id)
    return desk_page(
        visit,
        "desk/security.html",
        errors=errors,
        totp=totp,
        passkeys=passkeys,
        codes_left=codes_left,
        reset=reset,
        sessions=session_rows,
        remembered=remembered,
        fresh=visit.is_fresh,
        only_one=bool(totp) + len(passkeys) == 1,
        name=form.get("name", "") if "name" in errors else visit.organizer.name,
        zones=_zones(visit.language),
        zone_selected=form.get("zone", visit.organizer.zone),
        waiting_mail_selected=form.get("waiting_mail", visit.organizer.waiting_mail),
        now=datetime.now(UTC),
        done=visit.query.get("done"),
    )


@form_view(show)
async def name(visit: DeskVisit, form: Form) -> Response:
    """Change the name that colleagues see."""
    name = checked_name(form.get("name", ""))
    async with visit.database.transaction() as conn:
        await queries.set_name(conn, visit.organizer.id, name)
        await audit_log.record(conn, visit.organizer.id, None, "organizer.name", ids=[visit.organizer.id])
    return http.redirect(f"{SECURITY}?done=name")


@form_view(show)
async def preferences(visit: DeskVisit, form: Form) -> Response:
    """Change the time zone, and when a mail says that something waits."""
    async with visit.database.transaction() as conn:
        await waiting_mail.set_preferences(conn, visit.organizer.id, form.get("zone", ""), form.get("waiting_mail", ""))
    return http.redirect(f"{SECURITY}?done=preferences")


@form_view(show)
async def remove(visit: DeskVisit, form: Form) -> Response:
    """Remove a second factor."""
    passkey_id = _bytes(form.get("passkey", ""))
    if passkey_id is None and form.get("totp") != "yes":
        return http.redirect(SECURITY)
    async with visit.database.transaction() as conn:
        await second_factor.remove(conn, visit.organizer.id, passkey_id)
    return http.redirect(f"{SECURITY}?done=removed")


async def codes(visit: DeskVisit) -> Response:
    """Replace the recovery codes, and show the new ones this once."""
    async with visit.database.transaction() as conn:
        await factor_queries.lock(conn, visit.organizer.id)
        codes = await recovery_codes.make(conn, visit.services.desk_key, visit.organizer.id)
    return desk_page(visit, "desk/codes.html", codes=codes)


@form_view(show, status=409)
async def stop_reset(visit: DeskVisit, _form: Form) -> Response:
    """Stop the reset that an owner has asked for."""
    async with visit.database.transaction() as conn:
        await factor_resets.stop_own(conn, visit.organizer.id)
    return http.redirect(f"{SECURITY}?done=stopped")


async def end(visit: DeskVisit) -> Response:
    text = (await visit.form()).get("session", "")
    session_id = number_of(text)
    async with visit.database.transaction() as conn:
        if text == "others":
            await sessions.end_others(conn, visit.organizer.id, visit.session.id)
        elif session_id is not None:
            await sessions.end(conn, visit.organizer.id, session_id)
    if session_id == visit.session.id:
        response = http.redirect(f"{ROOT}enter?lang={visit.lang}")
        session_cookie.delete_cookie(response, visit.services.settings)
        return response
    return http.redirect(f"{SECURITY}?done=ended")


AREAS = {
    "Europe": N_("Europe"),
    "Asia": N_("Asia"),
    "America": N_("America"),
    "Africa": N_("Africa"),
    "Atlantic": N_("Atlantic"),
    "Australia": N_("Australia"),
    "Indian": N_("Indian Ocean"),
    "Pacific": N_("Pacific"),
    "Antarctica": N_("Antarctica"),
    "Arctic": N_("Arctic"),
}


@functools.lru_cache(16)
def _zones(language: Language) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return (name, city) of the zones in each area, by city."""
    return {
        language.gettext(title): sorted(
            ((name, language.city(name)) for name in time_zones.names() if name.partition("/")[0] == area),
            key=lambda zone: zone[1],
        )
        for area, title in AREAS.items()
    }


def _bytes(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None
