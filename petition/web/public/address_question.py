"""The one question about an address whose domain looks like a slip, before a mail goes there and is lost.

It depends on what was typed alone. Both answers are buttons of one form, named ``email_is``; an answer is not asked
about again.
"""

from collections.abc import Mapping

from starlette.responses import Response

from petition.core.address_slips import meant_address
from petition.core.email_addresses import Mailbox
from petition.letters.published import PublishedLetter
from petition.web.public.shown_form import ShownForm, typed_values
from petition.web.public.visit import Visit

ANSWER = "email_is"


def answered(form: dict[str, str]) -> dict[str, str]:
    """Return the form with the address that was chosen, if the question has been answered."""
    return {**form, "email": form[ANSWER]} if form.get(ANSWER) else form


async def ask(visit: Visit, published: PublishedLetter, form: Mapping[str, str], mailbox: Mailbox) -> Response | None:
    """Return the page with the question; None if there is nothing to ask, or it has been answered.

    Raises ``Unavailable`` if too many wait for pages.
    """
    meant = None if form.get(ANSWER) else meant_address(mailbox)
    if meant is None:
        return None
    await visit.turn()
    return visit.page(
        "signatures/ask_address.html",
        422,
        letter=published.letter,
        form=ShownForm(typed_values(form)),
        form_path=visit.form_path,
        typed=mailbox.address,
        meant=meant,
        here=f"/{published.letter.slug}",
    )
