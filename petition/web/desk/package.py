"""The package at the desk: made by one button, saved with the file of all names; and the sheet for paper."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import RedirectResponse, Response, StreamingResponse

from petition.core.errors import NotFound
from petition.letters import published
from petition.organizers.model import Role
from petition.packages import drawing, names_file
from petition.web import http
from petition.web.desk import downloads
from petition.web.desk.visit import DeskVisit
from petition.web.package_turns import DRAWING


async def make(visit: DeskVisit) -> Response:
    """Make a package of the letter as it is now."""
    await visit.form()
    async with DRAWING.slot():
        await visit.services.packages.make(visit.letter.id, visit.organizer.id)
    return RedirectResponse(visit.letter_path("delivery?done=package#package"), 303)


async def document(visit: DeskVisit) -> Response:
    """Answer with the newest document; a new one if a name in it was taken back since."""
    async with DRAWING.slot():
        content = await visit.services.packages.current_document(visit.letter.id)
    return http.document("application/pdf", content, visit.letter.slug, "no-store")


async def names(visit: DeskVisit) -> Response:
    """Answer with all public names as CSV."""
    async with visit.database.connection() as conn:
        letter = await published.read_with_switches(conn, visit.services.wrapper, visit.letter.id)
    if letter.conceals_names:
        raise NotFound("no names are shown")
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{letter.slug}-names.csv"',
    }
    return StreamingResponse(_pieces(visit), headers=headers, media_type="text/csv; charset=utf-8")


async def _pieces(visit: DeskVisit) -> AsyncIterator[bytes]:
    async for piece in downloads.while_admitted(visit, Role.EDITOR, names_file.pieces(visit.database, visit.letter.id)):
        yield piece


async def sheet(visit: DeskVisit) -> Response:
    """Answer with a sheet for signing on paper, in the language of the address."""
    lang = visit.query.get("in", visit.lang)
    if lang not in visit.languages:
        raise NotFound("there is no such language")
    async with visit.database.connection() as conn:
        letter = await published.read(conn, visit.services.wrapper, visit.letter.id)
    language, base_url = visit.services.renderer.languages[lang], visit.services.settings.base_url
    async with DRAWING.slot():
        content = await asyncio.to_thread(drawing.draw_sheet, letter, language, base_url)
    return http.document("application/pdf", content, f"{letter.slug}-sheet-{lang}", "no-store")
