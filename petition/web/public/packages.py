"""The package for an addressee, by the link in its mail."""

from starlette.responses import Response

from petition.core.errors import BadToken, NotFound, Refused
from petition.web import http
from petition.web.package_turns import DRAWING
from petition.web.public.visit import Visit


async def download(visit: Visit) -> Response:
    """Answer with the document, to be saved. It names people, so no cache keeps it."""
    try:
        letter_id = visit.services.tokens.read_package(visit.request.path_params["token"])
    except BadToken:
        raise NotFound("this link is not one of ours") from None
    try:
        async with DRAWING.slot():
            content = await visit.services.packages.current_document(letter_id)
    except Refused:
        raise NotFound("this letter has no package") from None
    return http.document("application/pdf", content, visit.slug, "no-store")
