"""The form behind the link in the organizers' message: an organization's representative answers."""

from starlette.responses import Response

from petition.core.errors import Refused
from petition.moderation import message_threads
from petition.web.public import challenge
from petition.web.public.shown_form import ShownForm
from petition.web.public.visit import Visit


async def show(visit: Visit) -> Response:
    return await _page(visit, ShownForm())


async def send(visit: Visit) -> Response:
    """Store the answer. It changes nothing that readers see."""
    visit.allow_form()
    letter_id, message_id = visit.services.tokens.read_reply(visit.token)
    published = await visit.services.letters.by_id(letter_id)
    challenge.check_writable(published)
    form = await visit.form()
    try:
        async with visit.services.database.transaction() as conn:
            await message_threads.answer(conn, letter_id, published.letter.keys, message_id, form.get("text", ""))
    except Refused as refused:
        shown_form = visit.refused_form({"text": form.get("text", "")}, {refused.field: refused.message})
        return await _page(visit, shown_form, status=422)
    return visit.redirect(f"/reply/{visit.token}?sent=1")


async def _page(visit: Visit, form: ShownForm, *, status: int = 200) -> Response:
    letter_id, message_id = visit.services.tokens.read_reply(visit.token)
    letter = (await visit.services.letters.by_id(letter_id)).letter
    async with visit.services.database.connection() as conn:
        message = await message_threads.open_message(conn, letter_id, letter.keys, message_id)
    return visit.page(
        "moderation/reply.html",
        status,
        letter=letter,
        message=message,
        token=visit.token,
        form=form,
        sent="sent" in visit.request.query_params and bool(message.answers),
        max_characters=message_threads.MAX_ANSWER,
    )
