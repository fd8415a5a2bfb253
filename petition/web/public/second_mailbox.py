"""The mailed question to a second address of an organization: GET shows what was signed, POST stores the answer.

The holder of the link can change the answer for as long as the signature stands.
"""

from starlette.responses import Response

from petition.core.errors import NotFound
from petition.moderation import queue, queue_queries, second_mailbox
from petition.signatures.model import SignatureState
from petition.web.public import challenge
from petition.web.public.visit import Visit

ANSWERS = {"yes": second_mailbox.YES, "no": second_mailbox.NO}
STANDING = {SignatureState.HELD, SignatureState.CONFIRMED}


async def show(visit: Visit) -> Response:
    """Show whose signature it is, the present answer, and a button for each other one."""
    letter_id, signature_id = visit.services.tokens.read_second(visit.token)
    letter = (await visit.services.letters.by_id(letter_id)).letter
    async with visit.services.database.connection() as conn:
        row = await queue_queries.one(conn, letter_id, signature_id)
    if row is None or row["state"] == SignatureState.WITHDRAWN:
        raise NotFound("this signature no longer exists")
    return visit.page(
        "moderation/second.html",
        letter=letter,
        names=queue.names_in(row, letter.keys),
        token=visit.token,
        answer=second_mailbox.answer_in(row["signals"]),
        stands=row["state"] in STANDING,
    )


async def answer(visit: Visit) -> Response:
    """Store the answer, "yes" unless the form says "no". Idempotent."""
    visit.allow_form()
    letter_id, signature_id = visit.services.tokens.read_second(visit.token)
    challenge.check_writable(await visit.services.letters.by_id(letter_id))
    form = await visit.form()
    async with visit.services.database.transaction() as conn:
        chosen = ANSWERS.get(form.get("answer", "yes"), second_mailbox.YES)
        await second_mailbox.store_answer(conn, letter_id, signature_id, chosen)
    return visit.redirect(f"/second/{visit.token}")
