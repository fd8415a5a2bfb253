"""Updates on a letter at the desk: the list, and one with its form and its preview."""

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.database import Record
from petition.core.errors import NotFound, Refused
from petition.core.ids import UpdateId
from petition.letters import update_queries as queries
from petition.letters import updates
from petition.web import http
from petition.web.desk import page
from petition.web.desk.forms import number_in
from petition.web.desk.visit import DeskVisit

MAX_BYTES = 1_000_000  # of a form; escaped Cyrillic takes six bytes a letter
ACTS = {"save", "publish", "preview", "remove", "back"}


async def show_all(request: Request, who: DeskVisit) -> Response:
    """Show every update, newest first, and the form for a new one."""
    return await _list(request, who)


async def add(request: Request, who: DeskVisit) -> Response:
    """Keep a new draft, publish it at once, or only show what it would look like."""
    form = await http.form_of(request, MAX_BYTES)
    act = _act(form)
    texts, errors = updates.texts_in(form, tuple(http.services_of(request).renderer.languages))
    if errors or act == "preview":
        return await _list(request, who, form=form, errors=errors, preview=texts)
    try:
        async with http.services_of(request).database.transaction() as conn:
            number = await updates.add(conn, who.organizer.id, who.this.id, texts)
            if act == "publish":
                _check_published(who)
                await updates.save(conn, who.organizer.id, who.this.id, number, 1, texts, publish=True)
    except Refused as refused:
        return await _list(request, who, form=form, errors={refused.field: refused.message}, preview=texts)
    return http.redirect(f"{_address(who)}/{number}?done={act}")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show one update with its form."""
    return await _one(request, who, await _read(request, who))


async def change(request: Request, who: DeskVisit) -> Response:
    """Keep, publish, preview, remove or bring back an update."""
    form = await http.form_of(request, MAX_BYTES)
    act, revision = _act(form), number_in(form, "revision")
    by, letter, update = who.organizer.id, who.this.id, _number(request)
    texts: updates.Texts = {}
    try:
        if act in {"remove", "back"}:
            async with http.services_of(request).database.transaction() as conn:
                await updates.move(conn, by, letter, update, revision, back=act == "back")
            return http.redirect(f"{_address(who)}/{update}?done={act}")
        texts, errors = updates.texts_in(form, tuple(http.services_of(request).renderer.languages))
        if errors or act == "preview":
            return await _one(request, who, await _read(request, who), form=form, errors=errors, preview=texts)
        if act == "publish":
            _check_published(who)
        async with http.services_of(request).database.transaction() as conn:
            await updates.save(conn, by, letter, update, revision, texts, publish=act == "publish")
    except Refused as refused:
        return await _one(request, who, await _read(request, who), form=form, errors={refused.field: refused.message})
    return http.redirect(f"{_address(who)}/{update}?done={act}")


def _act(form: Mapping[str, str]) -> str:
    act = form.get("act", "")
    if act not in ACTS:
        raise HTTPException(400)
    return act


def _check_published(who: DeskVisit) -> None:
    if who.this.state == "draft":
        raise Refused(updates.NOT_YET)


def _address(who: DeskVisit) -> str:
    return f"/organizer/{who.this.slug}/updates"


def _number(request: Request) -> UpdateId:
    text: str = request.path_params["update"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NotFound("there is no such update")
    return UpdateId(int(text))


async def _read(request: Request, who: DeskVisit) -> Record:
    async with http.services_of(request).database.connection() as conn:
        row = await queries.one(conn, who.this.id, _number(request))
    if row is None:
        raise NotFound("there is no such update")
    return row


async def _list(
    request: Request,
    who: DeskVisit,
    *,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    preview: updates.Texts | None = None,
) -> Response:
    async with http.services_of(request).database.connection() as conn:
        rows = await queries.all_news(conn, who.this.id)
    return await _page(request, who, "desk/updates.html", form or {}, errors or {}, preview, rows=rows)


async def _one(
    request: Request,
    who: DeskVisit,
    row: Record,
    *,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    preview: updates.Texts | None = None,
) -> Response:
    stored = {f"{field}_{lang}": text for lang, each in row["texts"].items() for field, text in _typed(each)}
    shown = form if form is not None and "title_" in "".join(form) else stored
    both = "first" in (errors or {}) and shown is form
    theirs = await asyncio.to_thread(updates.rendered, row["texts"]) if both else None
    return await _page(request, who, "desk/update.html", shown, errors or {}, preview, update=row, theirs=theirs)


def _typed(text: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("title", text["title"]), ("text", text["markdown"])]


async def _page(
    request: Request,
    who: DeskVisit,
    name: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    preview: updates.Texts | None,
    **more: object,
) -> Response:
    language = http.language_of(request)
    status = 409 if "first" in errors else 422 if errors else 200
    given = {
        "typed": typed,
        "errors": {field: language.gettext(message) for field, message in errors.items()},
        "preview": await asyncio.to_thread(updates.rendered, preview) if preview and not errors else None,
        "done": request.query_params.get("done"),
        "address": _address(who),
    }
    return page.desk_page(request, who, name, status, **given, **more)
