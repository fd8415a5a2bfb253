"""Mailing an update: the preview as a mail, a test to oneself, start, schedule, undo, pause, resume, cancel, resend."""

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from petition.core.errors import NotFound
from petition.core.form_values import MAX_INTEGER
from petition.core.ids import LetterId, SignatureId, UpdateId
from petition.mailings import acts, content
from petition.mailings.model import TRANSITIONS
from petition.web import http
from petition.web.desk import updates
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view, read_time
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
# The HTML part alone, in its frame and outside of it: no script, nothing from elsewhere.
HTML_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox {SANDBOX}"


async def show(visit: DeskVisit) -> Response:
    """Show the mail in each language, text and HTML; with ``html=LANG`` the HTML part alone, for a frame."""
    update_id, renderer = visit.path_id("update", UpdateId, MAX_INTEGER), visit.services.renderer
    settings, tokens = visit.services.settings, visit.services.tokens
    async with visit.database.connection() as conn:
        loaded = await content.load(conn, visit.letter.id, update_id, settings.base_url)
    if loaded is None:
        raise NotFound("there is no such update")
    facts, texts = loaded
    path = content.unsubscribe_path(
        facts.slug, tokens.for_updates(LetterId(visit.letter.id), SignatureId(content.NO_SIGNATURE))
    )
    never = f"{settings.base_url}/{{}}/never/{tokens.for_never(bytes(16))}"
    mails = {
        lang: content.preview(renderer, content.content(facts, update_id, text, lang, path), lang, never.format(lang))
        for lang, text in texts.items()
    }
    if (lang := visit.query.get("html")) is not None:
        if lang not in mails:
            raise HTTPException(404)
        headers = {"cache-control": "no-store", "content-security-policy": HTML_POLICY, "x-robots-tag": "noindex"}
        return HTMLResponse(mails[lang].html, headers=headers)
    address = visit.letter_path(f"updates/{update_id}")
    sources = {"frame-src": "'self'"}
    return desk_page(visit, "desk/mail.html", mails=mails, address=address, sandbox=SANDBOX, sources=sources)


async def _again(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    return await updates.show(visit, form, errors)


@form_view(_again)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Carry out one act on the mailing of an update."""
    name, update_id = form.get("act", ""), visit.path_id("update", UpdateId, MAX_INTEGER)
    if name not in {"mail", "schedule", "test", *TRANSITIONS}:
        raise HTTPException(400)
    async with visit.database.transaction() as conn:
        if name == "mail":
            await acts.start(conn, visit.actor, update_id)
        elif name == "schedule":
            await acts.start(conn, visit.actor, update_id, read_time(visit, form, "mail_at"))
        elif name == "test":
            await acts.test(conn, visit.actor, update_id)
        else:
            await acts.advance(conn, visit.actor, update_id, name)
    return http.redirect(visit.letter_path(f"updates/{update_id}?done=mail-{name}#mailing"))


async def remind(visit: DeskVisit) -> Response:
    """Turn the letter's reminder to confirm on or off."""
    form = await visit.form()
    is_on = form.get("reminder") == "on"
    async with visit.database.transaction() as conn:
        await acts.set_reminder(conn, visit.actor, is_on=is_on)
    return http.redirect(visit.letter_path(f"updates?done={'reminder-on' if is_on else 'reminder-off'}#reminder"))
