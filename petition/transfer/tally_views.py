"""Tallies at the desk: adding one, correcting it, taking it back."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from petition import web
from petition.desk import Desk
from petition.moderation.forms import id_of
from petition.organizers.model import Refused
from petition.transfer import overview, tallies
from petition.transfer.intakes import WHAT, Whose


async def act(request: Request, who: Desk) -> Response:
    """Add a tally, correct one, take one back, bring one back."""
    form = await web.form_of(request)
    site, whose = web.site_of(request), Whose(who.organizer.id, who.this.id)
    given, step = id_of(form.get("tally", "")) or 0, form.get("step", "")
    try:
        async with site.database.transaction() as conn:
            if step in {"add", "correct"}:
                tally = tallies.tally_of(form, tuple(site.renderer.languages), datetime.now(UTC).date())
                if step == "add":
                    await tallies.add(conn, whose, tally)
                else:
                    await tallies.correct(conn, whose, given % 2**31, tally)
            elif step in {"undo", "redo"}:
                await (tallies.undo if step == "undo" else tallies.redo)(conn, whose, given % 2**31)
            else:
                raise Refused(WHAT)
    except Refused as refused:
        return await overview.page(request, who, refused=refused, form=form)
    return web.see_other(f"/organizer/{who.this.slug}/import#tallies")
