"""The draft as the real page: for those who write it, and by a secret address for people outside."""

import secrets
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from petition.core import audit_log
from petition.drafts import preview_link_queries
from petition.web import http
from petition.web.desk import draft_page
from petition.web.desk.visit import DeskVisit
from petition.web.public.preview import draft_page as public_draft_page
from petition.web.public.visit import visit_of

LENGTH = timedelta(days=draft_page.PREVIEW_DAYS)


async def show(request: Request, who: DeskVisit) -> Response:
    """Show the draft as readers would see it, for the frame on the text page. ``?lang=`` chooses the language."""
    asked = request.query_params.get("lang", "")
    request.state.lang = asked if asked in http.services_of(request).renderer.languages else who.lang
    response = await public_draft_page(visit_of(request), who.this.slug, here=None, until=None)
    policy = response.headers["content-security-policy"]
    response.headers["content-security-policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    return response


async def link(request: Request, who: DeskVisit) -> Response:
    """Make the secret address, renew it (the old one stops working), or take it away."""
    form = await http.form_of(request)
    letter, drop = who.this.id, form.get("act") == "drop"
    async with http.services_of(request).database.transaction() as conn:
        if drop:
            if await preview_link_queries.drop(conn, letter):
                await audit_log.record(conn, who.organizer.id, letter, "preview.drop")
        else:
            number = secrets.randbits(62) | 1
            await preview_link_queries.add(conn, number, letter, form.get("stay") != "yes", LENGTH)
            await audit_log.record(conn, who.organizer.id, letter, "preview.make")
    return http.redirect(f"/organizer/{who.this.slug}/text?link={'drop' if drop else 'make'}#outside")
