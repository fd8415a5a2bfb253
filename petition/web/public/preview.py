"""A draft shown to those who have its preview link."""

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import Gone, NotFound
from petition.drafts import draft_queries, pictures, preview_link_queries, previewing, saving, store
from petition.letters import lifecycle_queries
from petition.letters.model import State
from petition.signatures.model import Kind
from petition.web import headers, http
from petition.web.page_cache import PUBLIC
from petition.web.public import letter_page

INERT = {"form-action 'self'": "form-action 'none'", "script-src 'self'": "script-src 'none'"}


async def outside(request: Request) -> Response:
    """Show the draft to whoever has the address. Raises ``BadToken``, ``NotFound``, ``Gone``."""
    http.check_lang(request)
    token = request.path_params["token"]
    letter, number = http.services_of(request).tokens.read_preview(token)
    async with http.services_of(request).database.connection() as conn:
        opened = await preview_link_queries.opened(conn, letter, number)
        now = await lifecycle_queries.state(conn, letter) if opened is None else None
    if now is not None and now["state"] == State.GONE:
        raise Gone("the letter was taken down")
    if opened is None:
        raise NotFound("this preview is over")
    response = await _page(request, opened["slug"], here=f"/preview/{token}", until=opened["expires_at"])
    response.headers["referrer-policy"] = "no-referrer"
    return response


async def picture(request: Request) -> Response:
    """Give a published letter's sharing picture."""
    http.check_lang(request)
    slug, number = request.path_params["slug"], pictures.number_in(request.path_params["picture"])
    row = None
    if number is not None and len(slug) <= 64:
        async with http.services_of(request).database.connection() as conn:
            row = await draft_queries.public_picture(conn, slug, number)
            if row is None:
                await saving.found(conn, slug)  # one that was taken down says so
    return http.picture(row, PUBLIC.decode())


async def _page(request: Request, slug: str, *, here: str | None, until: object) -> Response:
    services, lang = http.services_of(request), http.lang_of(request)
    async with services.database.connection() as conn:
        row = await saving.found(conn, slug)
        draft = await store.load(conn, row, tuple(services.renderer.languages))
        standing = await previewing.standing_of(conn, row["id"])
    live = await previewing.live_of(standing, row, draft, lang)
    # Whoever was brought along before the letter opened has not agreed to be shown before it.
    nobody: dict[str, object] = {"organizations": [], "latest": [], "news": []}
    shown = await letter_page.signatories(request, live) if draft.published else nobody
    html = live.letter.text(lang).html
    context = letter_page.show_context(request, live, Kind.PERSON, shown, html, cut=False, partner="")
    response = http.page(request, "letters/preview.html", **{**context, "here": here, "until": until})
    policy = headers.policy(services.renderer.css_hash)
    for part, inert in INERT.items():
        policy = policy.replace(part, inert)
    response.headers["content-security-policy"] = policy
    response.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return response
