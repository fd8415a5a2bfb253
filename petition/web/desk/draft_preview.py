"""The draft as the real page: for its writers, and by a secret address for people outside."""

import secrets
from datetime import timedelta

from starlette.responses import Response

from petition.core import audit_log
from petition.drafts import preview_link_queries
from petition.web import http
from petition.web.desk import draft_page
from petition.web.desk.visit import DeskVisit
from petition.web.public.preview import draft_page as public_draft_page
from petition.web.public.visit import visit_of

LINK_LIFETIME = timedelta(days=draft_page.PREVIEW_DAYS)


async def show(visit: DeskVisit) -> Response:
    """Show the draft as readers would see it, for the frame on the text page. ``?lang=`` chooses the language."""
    lang = visit.query.get("lang", "")
    visit.request.state.lang = lang if lang in visit.languages else visit.lang
    response = await public_draft_page(visit_of(visit.request), visit.letter.slug, here=None, until=None)
    policy = response.headers["content-security-policy"]
    response.headers["content-security-policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    return response


async def link(visit: DeskVisit) -> Response:
    """Make the secret address, renew it (the old one stops working), or revoke it."""
    form = await visit.form()
    letter_id, drop = visit.letter.id, form.get("act") == "drop"
    async with visit.database.transaction() as conn:
        if drop:
            if await preview_link_queries.drop(conn, letter_id):
                await audit_log.record(conn, visit.organizer.id, letter_id, "preview.drop")
        else:
            link_id = secrets.randbits(62) | 1
            await preview_link_queries.add(conn, link_id, letter_id, form.get("stay") != "yes", LINK_LIFETIME)
            await audit_log.record(conn, visit.organizer.id, letter_id, "preview.make")
    return http.redirect(visit.letter_path(f"text?link={'drop' if drop else 'make'}#outside"))
