"""A draft as a page, for readers who have its preview link."""

import asyncio

from starlette.responses import Response

from petition.core.database import Connection, Record
from petition.core.errors import Gone, NotFound
from petition.core.form_values import id_of
from petition.core.ids import PictureId
from petition.drafts import draft_queries, preview_link_queries, previewing, saving, store
from petition.letters import lifecycle_queries, markdown
from petition.letters.model import State
from petition.web import headers, http
from petition.web.page_cache import PUBLIC
from petition.web.public import letter_page, stored_files
from petition.web.public.letter_page import LetterPage
from petition.web.public.visit import Visit

INERT = {"form-action 'self'": "form-action 'none'", "script-src 'self'": "script-src 'none'"}


async def by_link(visit: Visit) -> Response:
    """Show the draft behind a preview link. Raises ``BadToken``, ``NotFound``, ``Gone``."""
    letter_id, number = visit.services.tokens.read_preview(visit.token)
    async with visit.services.database.connection() as conn:
        link = await preview_link_queries.opened(conn, letter_id, number)
        row = await lifecycle_queries.state(conn, letter_id) if link is None else None
    if row is not None and row["state"] == State.GONE:
        raise Gone("the letter was taken down")
    if link is None:
        raise NotFound("this preview is over")
    response = await draft_page(visit, link["slug"], here=f"/preview/{visit.token}", until=link["expires_at"])
    response.headers["referrer-policy"] = "no-referrer"
    return response


async def picture(visit: Visit) -> Response:
    """Answer with a published letter's sharing picture."""
    slug, picture_id = visit.slug, id_of(visit.request.path_params["picture"], PictureId)

    async def read(conn: Connection, start: int, length: int) -> Record | None:
        return await draft_queries.public_picture(conn, slug, picture_id or 0, start, length)

    is_possible = picture_id is not None and len(slug) <= 64
    first = await stored_files.first_part(visit, read) if is_possible else None
    if first is not None:
        return stored_files.respond(visit, first, read, http.picture_headers(PUBLIC.decode()))
    if is_possible:
        async with visit.services.database.connection() as conn:
            await saving.letter_row(conn, slug)  # raises Gone if it was taken down
    raise NotFound("there is no such picture")


async def draft_page(visit: Visit, slug: str, *, here: str | None, until: object) -> Response:
    """Answer with the draft as its readers would see it; nothing on the page can be sent."""
    services = visit.services
    async with services.database.connection() as conn:
        row = await saving.letter_row(conn, slug)
        draft = await store.load(conn, row, tuple(services.renderer.languages))
        figures = await previewing.load_figures(conn, row["id"])
    published = await previewing.as_published(figures, row, draft, visit.lang)
    # Signatories imported before the letter opened have not agreed to be shown before it.
    rows = await letter_page.newest_rows(visit, published) if draft.published else letter_page.NO_ROWS
    page = LetterPage(published, visit.lang, rows).with_few_organizations()
    source = published.letter.text(visit.lang).markdown if here is None else ""  # losses are for its writers only
    losses = await asyncio.to_thread(markdown.losses, source)
    context = page.context(page.html, visit.language, services.settings.base_url, cut=False) | {
        "here": here,
        "mailto": None,
        "until": until,
        "losses": losses,
    }
    response = visit.page("letters/preview.html", **context)
    policy = headers.policy(services.renderer.sheet.hash)
    for directive, inert in INERT.items():
        policy = policy.replace(directive, inert)
    response.headers["content-security-policy"] = policy
    response.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return response
