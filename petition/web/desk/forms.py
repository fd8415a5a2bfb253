"""Between the desk's forms and what they ask for: ids, invited people, limits, and who may change a second factor."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from petition.core import email_addresses, quotas
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId
from petition.organizers.model import checked_name
from petition.web import http
from petition.web.desk.visit import ROOT, DeskVisit

SECOND = f"{ROOT}second"
SECURITY = f"{ROOT}security"

TOO_MANY = N_("You have sent many invitations today. Send more tomorrow.")


def may_change(who: DeskVisit) -> bool:
    """Tell whether this session may change the second factor: there is none yet, or it was shown a moment ago."""
    return not who.session.has_factor or who.session.fresh


def number_in(form: dict[str, str], name: str, below: int = 2**63) -> int:
    """Return an id out of a form. Raises a 400 for what is none."""
    text = form.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < below):
        raise HTTPException(400)
    return int(text)


def organizer_in(form: dict[str, str]) -> OrganizerId:
    """Return an organizer's id out of a form. Raises a 400 for what is none."""
    return OrganizerId(number_in(form, "organizer", 2**31))


def read_invited(request: Request, form: dict[str, str], errors: dict[str, str]) -> tuple[str, Mailbox, str] | None:
    """Return (name, mailbox, language) of whom a form invites; what is wrong goes into ``errors``."""
    name, mailbox = "", None
    try:
        name = checked_name(form.get("name", ""))
    except Refused as refused:
        errors["name"] = refused.message
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as bad:
        errors["email"] = bad.message
    languages = http.services_of(request).renderer.languages
    lang = form["lang"] if form.get("lang") in languages else http.lang_of(request)
    return (name, mailbox, lang) if mailbox else None


async def may_invite(request: Request, who: DeskVisit) -> bool:
    """Count an invitation; tell whether there have not been too many today."""
    services = http.services_of(request)
    use = (await services.day_keys.today()).daily("invitations", str(who.organizer.id))
    async with services.database.transaction() as conn:
        now = await quotas.spend(conn, {use: 1})
    return now[use.key] <= services.settings.limits.invitations
