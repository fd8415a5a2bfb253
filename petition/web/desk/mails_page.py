"""Every mail that goes out, with sample values, in each language: as text, and as an e-mail program shows it."""

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from petition.web.desk import mail_samples
from petition.web.desk.mailings import HTML_POLICY, SANDBOX
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

MAILS = f"{ROOT}installation/mails"


async def show(visit: DeskVisit) -> Response:
    """List the mails by their subjects."""
    renderer, base_url = visit.services.renderer, visit.services.settings.base_url
    rows = [
        (name, [(lang, mail_samples.render(renderer, name, lang, base_url).subject) for lang in renderer.languages])
        for name in mail_samples.names()
    ]
    return desk_page(visit, "desk/mails.html", rows=rows)


async def show_one(visit: DeskVisit) -> Response:
    """Show one mail in each language; with ``html=LANG`` the HTML part alone, for a frame."""
    renderer, base_url = visit.services.renderer, visit.services.settings.base_url
    name = str(visit.request.path_params["mail"])
    if name not in mail_samples.names():
        raise HTTPException(404)
    mails = {lang: mail_samples.render(renderer, name, lang, base_url) for lang in renderer.languages}
    if (lang := visit.query.get("html")) is not None:
        if lang not in mails:
            raise HTTPException(404)
        headers = {"cache-control": "no-store", "content-security-policy": HTML_POLICY, "x-robots-tag": "noindex"}
        return HTMLResponse(mails[lang].html, headers=headers)
    sources = {"frame-src": "'self'"}
    address = f"{MAILS}/{name}"
    return desk_page(
        visit, "desk/mail_sample.html", name=name, mails=mails, address=address, sandbox=SANDBOX, sources=sources
    )
