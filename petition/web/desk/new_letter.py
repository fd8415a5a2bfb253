"""A new letter."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core import quotas
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.drafts import creating
from petition.web import http
from petition.web.desk import page
from petition.web.desk.visit import DeskVisit

MAX_ASKED = 500  # characters


async def show(request: Request, who: DeskVisit) -> Response:
    """Ask for a title and an address."""
    return _page(request, who, {}, None)


async def make(request: Request, who: DeskVisit) -> Response:
    """Begin the letter, and lead to its text. Without an address the one its title makes is offered first."""
    form = await http.form_of(request)
    services, languages = http.services_of(request), tuple(http.services_of(request).renderer.languages)
    titles = {lang: form.get(f"title.{lang}", "") for lang in languages}
    slug = form.get("slug", "").strip().lower()
    try:
        async with services.database.transaction() as conn:
            if not slug:
                title = next((each for each in titles.values() if each.strip()), "")
                form["slug"] = await creating.free_slug(conn, title)
            await creating.make(conn, services.wrapper, who.organizer.id, slug, titles, languages)
            await _count(request, who, conn)
    except Refused as refused:
        return _page(request, who, form, refused)
    return http.redirect(f"/organizer/{slug}/text")


async def _count(request: Request, who: DeskVisit, conn: Connection) -> None:
    use = (await http.services_of(request).day_keys.today()).daily("letters", str(who.organizer.id))
    if (await quotas.spend(conn, {use: 1}))[use.key] > creating.LETTERS_A_DAY:
        raise Refused(creating.TOO_MANY)


async def slug(request: Request, who: DeskVisit) -> Response:
    """Tell a script what an address lacks (``?slug=``), or which one a title makes (``?title=``)."""
    asked, title = (request.query_params.get(name, "")[:MAX_ASKED] for name in ("slug", "title"))
    async with http.services_of(request).database.connection() as conn:
        found = asked.strip().lower() if "slug" in request.query_params else await creating.free_slug(conn, title)
        problem = await creating.problem_of(conn, found)
    told = http.language_of(request).gettext(problem) if problem else ""
    return JSONResponse({"slug": found, "problem": told}, headers={"cache-control": "no-store"})


def _page(request: Request, who: DeskVisit, form: dict[str, str], refused: Refused | None) -> Response:
    told = http.language_of(request).gettext(refused.message) if refused else ""
    return page.desk_page(
        request,
        who,
        "desk/writing/new.html",
        422 if refused else 200,
        form=form,
        problem=told,
        problem_at=refused.field if refused else None,
    )
