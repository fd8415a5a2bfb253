"""The link that stops all mail to an address, and lets it come again: the page says which of both is the case."""

from starlette.responses import Response

from petition.core.database import Connection
from petition.core.keeper import KeeperPurpose
from petition.signatures import queries
from petition.web.public.visit import Visit

URLENCODED = {"", "application/x-www-form-urlencoded"}


async def show(visit: Visit) -> Response:
    """Say whether mail goes to this address, and offer to change it."""
    digest = visit.services.tokens.read_never(visit.token)
    async with visit.services.database.connection() as conn:
        since = await queries.suppressed_since(conn, await _stored(visit, conn, digest))
    return visit.page("mail/never.html", token=visit.token, since=since, done="done" in visit.request.query_params)


async def act(visit: Visit) -> Response:
    """Stop all mail to this address, or allow it again if the form says ``action=allow``. Idempotent."""
    digest = visit.services.tokens.read_never(visit.token)
    form = await form_of(visit)
    async with visit.services.database.transaction() as conn:
        digest = await _stored(visit, conn, digest)
        if form.get("action") == "allow":
            await queries.allow_mailbox(conn, digest)
        else:
            await queries.suppress_mailbox(conn, digest)
    if "action" in form:
        return visit.redirect(f"/never/{visit.token}?done=1")
    return await show(visit)  # a mail program's one click: a redirected POST would not work reliably (RFC 8058, 3.1)


async def _stored(visit: Visit, conn: Connection, digest: bytes) -> bytes:
    """Return how the link's digest is stored. Raises ``Unavailable``."""
    return (await visit.services.keeper.of_installation(conn, [digest], KeeperPurpose.OWN_PAGE))[0]


async def form_of(visit: Visit) -> dict[str, str]:
    """Return the form of our own page; what a mail program sends may be of another type, and is not read."""
    media_type = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return await visit.form() if media_type in URLENCODED else {}  # only mail programs send others
