"""The link that stops all mail to an address."""

from starlette.responses import Response

from petition.signatures import queries
from petition.web.public.visit import Visit


async def never(visit: Visit) -> Response:
    """Ask whether this address should never be mailed from here again."""
    visit.services.tokens.read_never(visit.token)
    return visit.page("mail/never.html", token=visit.token, done=False)


async def never_again(visit: Visit) -> Response:
    """Suppress all mail to this address; a mail program's one click comes here too (RFC 8058)."""
    digest = visit.services.tokens.read_never(visit.token)
    async with visit.services.database.transaction() as conn:
        await queries.suppress_mailbox(conn, digest)
    return visit.page("mail/never.html", token=visit.token, done=True)
