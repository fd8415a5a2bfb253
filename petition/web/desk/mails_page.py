"""Every mail that goes out, with sample values, in each language: as text, and as an e-mail program shows it."""

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from petition.web.desk import mail_cases, mail_samples
from petition.web.desk.mail_cases import MailCase
from petition.web.desk.mailings import HTML_POLICY, SANDBOX
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

MAILS = f"{ROOT}installation/mails"


async def show(visit: DeskVisit) -> Response:
    """List the mails by who gets them, with their subjects."""
    renderer, base_url = visit.services.renderer, visit.services.settings.base_url

    def row(name: str) -> tuple[str, list[tuple[str, str]], list[MailCase]]:
        own_first = sorted(renderer.languages, key=lambda lang: lang != visit.lang)
        subjects = [(lang, mail_samples.render(renderer, name, lang, base_url).subject) for lang in own_first]
        return name, subjects, list(mail_cases.cases_of(name))

    groups = [(title, [row(name) for name in names]) for title, names in mail_cases.AUDIENCES.items()]
    return desk_page(visit, "desk/mails.html", groups=groups)


async def show_one(visit: DeskVisit) -> Response:
    """Show one mail in each language and the ``case`` asked for; with ``html=LANG`` the HTML part alone."""
    renderer, base_url = visit.services.renderer, visit.services.settings.base_url
    name, case = str(visit.request.path_params["mail"]), None
    if name not in mail_samples.names():
        raise HTTPException(404)
    cases = list(mail_cases.cases_of(name))
    if (key := visit.query.get("case")) is not None:
        case = next((one for one in cases if one.key == key), None)
        if case is None:
            raise HTTPException(404)
    mails = {lang: mail_samples.render(renderer, name, lang, base_url, case) for lang in renderer.languages}
    if (lang := visit.query.get("html")) is not None:
        if lang not in mails:
            raise HTTPException(404)
        headers = {"cache-control": "no-store", "content-security-policy": HTML_POLICY, "x-robots-tag": "noindex"}
        return HTMLResponse(mails[lang].html, headers=headers)
    return desk_page(
        visit,
        "desk/mail_sample.html",
        name=name,
        mails=mails,
        cases=cases,
        case=case,
        address=f"{MAILS}/{name}",
        sandbox=SANDBOX,
        sources={"frame-src": "'self'"},
    )
