"""The package for an addressee, by the link in its mail."""

from starlette.responses import Response

from petition.core.errors import BadToken, NotFound, Refused
from petition.web import http
from petition.web.public.visit import Visit
from petition.web.turns import ConcurrencyLimit

_drawing = ConcurrencyLimit(1, 4, 20.0)


async def download(visit: Visit) -> Response:
    """Answer with the document, to be saved. It names people, so no cache keeps it."""
    try:
        letter_id = visit.services.tokens.read_package(visit.request.path_params["token"])
    except BadToken:
        raise NotFound("this link is not one of ours") from None
    try:
        async with _drawing.slot():
            content = await visit.services.packages.current_document(letter_id)
    except Refused:
        raise NotFound("this letter has no package") from None
    return http.document("application/pdf", content, visit.slug, "no-store")
