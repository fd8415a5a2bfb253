"""The mark of a sensitive letter: put on by editors, taken off by owners."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.i18n import N_
from petition.letters import sensitivity
from petition.organizers.model import Role
from petition.web import http
from petition.web.desk.page import message_page
from petition.web.desk.visit import DeskVisit

OWNERS_ONLY = N_("Only an owner can take the mark off")
OWNERS_ONLY_WHY = N_("Any editor can mark a letter as sensitive. People sign trusting in the mark.")
VALUES = {"yes": True, "no": False}


async def mark(visit: DeskVisit) -> Response:
    """Mark the letter as sensitive, or take the mark off; in force at once, published or not."""
    value = (await visit.form()).get("sensitive", "")
    if value not in VALUES:
        raise HTTPException(400)
    if value == "no" and not visit.may(Role.OWNER):
        return message_page(visit, 403, OWNERS_ONLY, OWNERS_ONLY_WHY)
    async with visit.database.transaction() as conn:
        await sensitivity.set_sensitive(conn, visit.organizer.id, visit.letter.id, sensitive=VALUES[value])
    return http.redirect(visit.letter_path(f"text?sensitive={value}#sensitive"))
