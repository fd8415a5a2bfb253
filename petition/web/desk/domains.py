"""Mail domains that are let through, for the letter's moderators."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.audit_log import Actor
from petition.letters.keys import keys_for
from petition.moderation import trusted_domains
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Explain what waits, and take a domain to let through."""
    async with visit.database.connection() as conn:
        number = await trusted_domains.count(conn, Actor(visit.organizer.id, visit.letter.id))
    done = visit.query.get("done")
    return desk_page(
        visit,
        "desk/domains.html",
        errors=errors,
        form=form,
        number=number,
        done=done if done in {"trust", "distrust"} and not errors else None,
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Let a domain through, or stop."""
    if (done := form.get("act")) not in {"trust", "distrust"}:
        raise HTTPException(400)
    domain = trusted_domains.domain_of(form.get("domain", ""))
    actor = Actor(visit.organizer.id, visit.letter.id)
    days = await visit.services.day_keys.stored()
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, actor.letter_id, visit.services.wrapper)
        if done == "trust":
            await trusted_domains.trust(conn, actor, keys, days, domain, visit.services.keeper)
        else:
            await trusted_domains.distrust(conn, actor, keys, domain)
    return http.redirect(visit.letter_path(f"domains?done={done}"))
