"""The mailed question to a second address of an organization: GET shows what was signed, POST says yes."""

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import NotFound
from petition.moderation import messages, queue, queue_queries
from petition.signatures.model import SignatureState
from petition.web import http
from petition.web.public import challenge


async def show(request: Request) -> Response:
    """Show the organization's names and a button."""
    return await _page(request, done=False)


async def confirm(request: Request) -> Response:
    """Note that it is right. A second time changes nothing."""
    http.check_lang(request)
    services = http.services_of(request)
    letter, signature = services.tokens.read_second(request.path_params["token"])
    challenge.check_writable(await services.letters.by_id(letter))
    async with services.database.transaction() as conn:
        if not await messages.confirm_second(conn, letter, signature):
            raise NotFound("this signature is not there any more")
    return await _page(request, done=True)


async def _page(request: Request, *, done: bool) -> Response:
    http.check_lang(request)
    services, token = http.services_of(request), request.path_params["token"]
    letter, signature = services.tokens.read_second(token)
    live = await services.letters.by_id(letter)
    async with services.database.connection() as conn:
        row = await queue_queries.one(conn, letter, signature)
    if row is None or row["state"] not in {SignatureState.HELD, SignatureState.CONFIRMED}:
        raise NotFound("this signature is not there any more")
    names = queue.names_of(row, live.letter.keys)
    return http.page(request, "moderation/second.html", letter=live.letter, names=names, token=token, done=done)
