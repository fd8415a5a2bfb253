"""A new letter."""

from starlette.responses import JSONResponse, Response

from petition.core import quotas
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.drafts import creating, saving
from petition.web import http
from petition.web.desk import letter_state
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_QUERY = 500  # characters


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Ask for a title and an address."""
    return desk_page(visit, "desk/writing/new.html", errors=errors, form=form)


@form_view(show)
async def make(visit: DeskVisit, form: dict[str, str]) -> Response:
    """Create the letter and redirect to its text; without an address, suggest the one that its title makes."""
    titles = {lang: form.get(f"title.{lang}", "") for lang in visit.languages}
    slug = form.get("slug", "").strip().lower()
    async with visit.database.transaction() as conn:
        if not slug:
            title = next((title for title in titles.values() if title.strip()), "")
            form["slug"] = await creating.free_slug(conn, title)
        await creating.make(conn, visit.services.wrapper, visit.organizer.id, slug, titles, visit.languages)
        await _count(visit, conn)
    return http.redirect(f"/organizer/{slug}/text")


@form_view(letter_state.show)
async def copy(visit: DeskVisit, _form: Form) -> Response:
    """Make a new draft of what a letter says, and redirect to its text."""
    async with visit.database.transaction() as conn:
        source = await saving.locked_row(conn, visit.letter.slug)
        slug = await creating.copy(conn, visit.services.wrapper, visit.actor, source, visit.languages)
        await _count(visit, conn)
    return http.redirect(f"/organizer/{slug}/publish?done=copied")


async def _count(visit: DeskVisit, conn: Connection) -> None:
    quota = (await visit.services.day_keys.today()).daily("letters", str(visit.organizer.id))
    if (await quotas.spend(conn, {quota: 1}))[quota.key] > creating.LETTERS_A_DAY:
        raise Refused(creating.TOO_MANY)


async def slug(visit: DeskVisit) -> Response:
    """Answer a script with the problem of an address (``?slug=``), or the address for a title (``?title=``)."""
    async with visit.database.connection() as conn:
        if "slug" in visit.query:
            slug = visit.query["slug"][:MAX_QUERY].strip().lower()
        else:
            slug = await creating.free_slug(conn, visit.query.get("title", "")[:MAX_QUERY])
        problem = await creating.problem_of(conn, slug)
    body = {"slug": slug, "problem": visit.gettext(problem) if problem else ""}
    return JSONResponse(body, headers={"cache-control": "no-store"})
