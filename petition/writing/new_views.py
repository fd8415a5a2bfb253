"""A new letter."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition import desk, limits, web
from petition.database import Connection
from petition.desk import Desk
from petition.limits import Days
from petition.organizers.model import Refused
from petition.writing import making

LONGEST_ASKED = 500  # characters


async def show(request: Request, who: Desk) -> Response:
    """Ask for a title and an address."""
    return _page(request, who, {}, None)


async def make(request: Request, who: Desk) -> Response:
    """Begin the letter, and lead to its text. Without an address the one its title makes is offered first."""
    form = await web.form_of(request)
    site, languages = web.site_of(request), tuple(web.site_of(request).renderer.languages)
    titles = {lang: form.get(f"title.{lang}", "") for lang in languages}
    slug = form.get("slug", "").strip().lower()
    try:
        async with site.database.transaction() as conn:
            if not slug:
                title = next((each for each in titles.values() if each.strip()), "")
                form["slug"] = await making.free_slug(conn, title)
            await making.make(conn, site.wrapper, who.organizer.id, slug, titles, languages)
            await _count(request, who, conn)
    except Refused as refused:
        return _page(request, who, form, refused)
    return web.see_other(f"/organizer/{slug}/text")


async def _count(request: Request, who: Desk, conn: Connection) -> None:
    use = (await web.site_of(request).get(Days).today()).daily("letters", str(who.organizer.id))
    if (await limits.use(conn, {use: 1}))[use.key] > making.LETTERS_A_DAY:
        raise Refused(making.TOO_MANY)


async def slug(request: Request, who: Desk) -> Response:
    """Tell a script what an address lacks (``?slug=``), or which one a title makes (``?title=``)."""
    asked, title = (request.query_params.get(name, "")[:LONGEST_ASKED] for name in ("slug", "title"))
    async with web.site_of(request).database.connection() as conn:
        found = asked.strip().lower() if "slug" in request.query_params else await making.free_slug(conn, title)
        problem = await making.problem_of(conn, found)
    told = web.language_of(request).gettext(problem) if problem else ""
    return JSONResponse({"slug": found, "problem": told}, headers={"cache-control": "no-store"})


def _page(request: Request, who: Desk, form: dict[str, str], refused: Refused | None) -> Response:
    told = web.language_of(request).gettext(refused.message) if refused else ""
    return desk.page(
        request,
        who,
        "desk/writing/new.html",
        422 if refused else 200,
        form=form,
        problem=told,
        problem_at=refused.field if refused else None,
    )
