"""The link that stops all mail to an address."""

from starlette.requests import Request
from starlette.responses import Response

from petition.signatures import queries
from petition.web import http


async def never(request: Request) -> Response:
    """Ask whether this address should never be mailed from here again."""
    http.check_lang(request)
    token = request.path_params["token"]
    http.services_of(request).tokens.read_never(token)
    return http.page(request, "mail/never.html", token=token, done=False)


async def never_again(request: Request) -> Response:
    """Remember that this address wants no mail from here; a mail program's one click comes here too (RFC 8058)."""
    http.check_lang(request)
    services = http.services_of(request)
    token = request.path_params["token"]
    digest = services.tokens.read_never(token)
    async with services.database.transaction() as conn:
        await queries.never_mail(conn, digest)
    return http.page(request, "mail/never.html", token=token, done=True)
