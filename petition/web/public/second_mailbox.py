"""The mailed question to a second address of an organization: GET shows what was signed, POST says yes."""

from starlette.responses import Response

from petition.core.errors import NotFound
from petition.moderation import messages, queue, queue_queries
from petition.signatures.model import SignatureState
from petition.web.public import challenge
from petition.web.public.visit import Visit


async def show(visit: Visit) -> Response:
    """Show the organization's names and a button."""
    return await _page(visit, done=False)


async def confirm(visit: Visit) -> Response:
    """Record the answer. Idempotent."""
    letter_id, signature_id = visit.services.tokens.read_second(visit.token)
    challenge.check_writable(await visit.services.letters.by_id(letter_id))
    async with visit.services.database.transaction() as conn:
        if not await messages.confirm_second(conn, letter_id, signature_id):
            raise NotFound("this signature no longer exists")
    return await _page(visit, done=True)


async def _page(visit: Visit, *, done: bool) -> Response:
    letter_id, signature_id = visit.services.tokens.read_second(visit.token)
    letter = (await visit.services.letters.by_id(letter_id)).letter
    async with visit.services.database.connection() as conn:
        row = await queue_queries.one(conn, letter_id, signature_id)
    if row is None or row["state"] not in {SignatureState.HELD, SignatureState.CONFIRMED}:
        raise NotFound("this signature no longer exists")
    names = queue.names_in(row, letter.keys)
    return visit.page("moderation/second.html", letter=letter, names=names, token=visit.token, done=done)
