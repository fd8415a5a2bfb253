"""The draft as the real page: for those who write it, and by a secret address for people outside."""

import secrets
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from petition import web
from petition.desk import Desk
from petition.errors import Gone, NotFound
from petition.kept import PUBLIC
from petition.letters import draft_queries, drafting, pictures, preview_queries, state_queries
from petition.letters.model import State
from petition.organizers import journal
from petition.signatures import letter_page
from petition.signatures.model import Kind
from petition.writing import pages, previewing, saving

LENGTH = timedelta(days=pages.PREVIEW_DAYS)
INERT = {"form-action 'self'": "form-action 'none'", "script-src 'self'": "script-src 'none'"}


async def show(request: Request, who: Desk) -> Response:
    """Show the draft as readers would see it, for the frame on the text page. ``?lang=`` chooses the language."""
    asked = request.query_params.get("lang", "")
    request.state.lang = asked if asked in web.site_of(request).renderer.languages else who.lang
    response = await _page(request, who.this.slug, here=None, until=None)
    policy = response.headers["content-security-policy"]
    response.headers["content-security-policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    return response


async def outside(request: Request) -> Response:
    """Show the draft to whoever has the address. Raises ``BadToken``, ``NotFound``, ``Gone``."""
    web.check_lang(request)
    token = request.path_params["token"]
    letter, number = web.site_of(request).tokens.read_preview(token)
    async with web.site_of(request).database.connection() as conn:
        opened = await preview_queries.opened(conn, letter, number)
        now = await state_queries.state(conn, letter) if opened is None else None
    if now is not None and now["state"] == State.GONE:
        raise Gone("the letter was taken down")
    if opened is None:
        raise NotFound("this preview is over")
    response = await _page(request, opened["slug"], here=f"/preview/{token}", until=opened["expires_at"])
    response.headers["referrer-policy"] = "no-referrer"
    return response


async def link(request: Request, who: Desk) -> Response:
    """Make the secret address, renew it (the old one stops working), or take it away."""
    form = await web.form_of(request)
    letter, drop = who.this.id, form.get("act") == "drop"
    async with web.site_of(request).database.transaction() as conn:
        if drop:
            if await preview_queries.drop(conn, letter):
                await journal.write(conn, who.organizer.id, letter, "preview.drop")
        else:
            number = secrets.randbits(62) | 1
            await preview_queries.add(conn, number, letter, form.get("stay") != "yes", LENGTH)
            await journal.write(conn, who.organizer.id, letter, "preview.make")
    return web.see_other(f"/organizer/{who.this.slug}/text?link={'drop' if drop else 'make'}#outside")


async def picture(request: Request) -> Response:
    """Give a published letter's sharing picture."""
    web.check_lang(request)
    slug, number = request.path_params["slug"], pictures.number_in(request.path_params["picture"])
    row = None
    if number is not None and len(slug) <= 64:
        async with web.site_of(request).database.connection() as conn:
            row = await draft_queries.public_picture(conn, slug, number)
            if row is None:
                await saving.found(conn, slug)  # one that was taken down says so
    return pages.picture(row, PUBLIC.decode())


async def _page(request: Request, slug: str, *, here: str | None, until: object) -> Response:
    site, lang = web.site_of(request), web.lang_of(request)
    async with site.database.connection() as conn:
        row = await saving.found(conn, slug)
        draft = await drafting.load(conn, row, tuple(site.renderer.languages))
        standing = await previewing.standing_of(conn, row["id"])
    live = await previewing.live_of(standing, row, draft, lang)
    # Whoever was brought along before the letter opened has not agreed to be shown before it.
    nobody: dict[str, object] = {"organizations": [], "latest": [], "news": []}
    shown = await letter_page.signatories(request, live) if draft.published else nobody
    html = live.letter.text(lang).html
    context = letter_page.show_context(request, live, Kind.PERSON, shown, html, cut=False, partner="")
    response = web.page(request, "letters/preview.html", **{**context, "here": here, "until": until})
    policy = web.policy(site.renderer.css_hash)
    for part, inert in INERT.items():
        policy = policy.replace(part, inert)
    response.headers["content-security-policy"] = policy
    response.headers["x-robots-tag"] = "noindex, nofollow, noarchive"
    return response
