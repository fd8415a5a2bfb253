"""The text page: the draft in all its languages, saved as one types or by a button."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core.database import Record
from petition.drafts import draft_fields, draft_queries, pictures, preview_link_queries, saving, store
from petition.drafts.pictures import BadPicture
from petition.drafts.saving import Saved
from petition.drafts.store import Draft
from petition.web import http, multipart
from petition.web.desk import draft_page, page
from petition.web.desk.visit import DeskVisit

MAX_BYTES = 4 * 1024 * 1024  # two texts of 200 KB, three bytes for each escaped one, and two pictures
MAX_FIELDS = 4000
BODY_TIMEOUT = 120.0  # seconds: a picture over a slow line


async def show(request: Request, who: DeskVisit) -> Response:
    """Show the draft."""
    languages = tuple(http.services_of(request).renderer.languages)
    async with http.services_of(request).database.connection() as conn:
        row = await saving.letter_row(conn, who.this.slug)
        draft = await store.load(conn, row, languages)
        link = await preview_link_queries.of_letter(conn, who.this.id)
    return _page(request, who, draft, link=link)


async def save(request: Request, who: DeskVisit) -> Response:
    """Save what was typed. A script is answered in JSON, everybody else with a page."""
    form = await _form(request)
    services, languages = http.services_of(request), tuple(http.services_of(request).renderer.languages)
    made, refused = await _made(form.files, languages)
    async with services.database.transaction() as conn:
        row = await saving.locked_row(conn, who.this.slug)
        saved = await saving.save(conn, row, who.organizer.id, languages, form.fields, made)
        link = await preview_link_queries.of_letter(conn, who.this.id)
    saved.typed.problems.update(refused)
    if request.headers.get("accept") == "application/json":
        return _told(request, who, saved)
    if saved.typed.problems or saved.conflicts:
        return _page(request, who, saved.draft, saved=saved, link=link)
    act = form.fields.get("act", "")
    place = re.fullmatch(r"(?:add|drop|up|down):(addressees|initiators)(?::[0-9]{1,3})?", act)
    return http.redirect(f"/organizer/{who.this.slug}/text?saved=1" + (f"#{place[1]}" if place else ""))


async def picture(request: Request, who: DeskVisit) -> Response:
    """Show a picture of the draft."""
    number = pictures.number_in(request.path_params["picture"])
    async with http.services_of(request).database.connection() as conn:
        row = None if number is None else await draft_queries.picture(conn, who.this.id, number)
    return http.picture(row, "no-store")


async def _form(request: Request) -> multipart.MultipartForm:
    kind = request.headers.get("content-type", "")
    body = await http.body_of(request, MAX_BYTES, BODY_TIMEOUT)
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        if kind.partition(";")[0].strip().lower() not in {"", "application/x-www-form-urlencoded"}:
            raise HTTPException(415)
        return multipart.MultipartForm(http.parse_form(body, MAX_FIELDS))
    try:
        return multipart.parse(kind, body)
    except multipart.BadForm:
        raise HTTPException(400) from None


async def _made(
    files: Mapping[str, bytes], languages: tuple[str, ...]
) -> tuple[dict[str, tuple[str, bytes]], dict[str, str]]:
    """Return (pictures made anew, what is wrong with the others), by language and by field."""
    made, refused = {}, {}
    for lang in languages:
        if (content := files.get(f"file.{lang}")) is None:
            continue
        try:
            made[lang] = await asyncio.to_thread(pictures.made_anew, content)
        except BadPicture as bad:
            refused[f"picture.{lang}"] = bad.message
    return made, refused


def _told(request: Request, who: DeskVisit, saved: Saved) -> Response:
    """Tell a script what became of the form; what it has to show is made here, in the words of the page."""
    renderer, language = http.services_of(request).renderer, http.language_of(request)

    def made(template: str, **context: object) -> str:
        return renderer.render(
            f"desk/writing/{template}", who.lang, letter=who.this, labels=draft_page.LABELS, **context
        )

    body: dict[str, Any] = {
        "said": made("_said.html", last=saved.draft.last),
        "seen": saved.seen,
        "fresh": {name: value for name, value in saved.fresh.items() if name not in draft_fields.PARTIES},
        "rows": {
            name: made("_rows.html", name=name, rows=_rows_of(saved.draft, name))
            for name in saved.fresh
            if name in draft_fields.PARTIES
        },
        "problems": {name: language.gettext(message) for name, message in saved.typed.problems.items()},
        "conflicts": {
            name: made(
                "_conflict.html", name=name, edit=saved.draft.edits.get(name), theirs=draft_page.value(name, theirs)
            )
            for name, theirs in saved.conflicts.items()
        },
        "wrote": saved.wrote,
    }
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _rows_of(draft: Draft, name: str) -> list[dict[str, str]]:
    """Return the rows of initiators or addressees, and an empty one to write into."""
    parties = draft_fields.read_parties(draft.fields[name])
    return [*({**each.names, "url": each.url or ""} for each in parties), {}]


def _page(
    request: Request, who: DeskVisit, draft: Draft, *, saved: Saved | None = None, link: Record | None
) -> Response:
    values, seen = dict(draft.fields), {name: draft_fields.digest(value) for name, value in draft.fields.items()}
    rows = {name: _rows_of(draft, name) for name in draft_fields.PARTIES}
    problems, conflicts = (saved.typed.problems, saved.conflicts) if saved else ({}, {})
    for name in {*problems, *conflicts}:
        if saved and name in saved.typed.rows:
            rows[name] = [*saved.typed.rows[name], {}]
        elif saved and name in saved.typed.raw:
            values[name] = saved.typed.raw[name]
        if saved and name in problems and name in saved.typed.seen:
            seen[name] = saved.typed.seen[name]
    language = http.language_of(request)
    return page.desk_page(
        request,
        who,
        "desk/writing/text.html",
        409 if conflicts else 422 if problems else 200,
        sources={"frame-src": "'self'"},
        draft=draft,
        values=values,
        seen=seen,
        rows=rows,
        problems={name: language.gettext(message) for name, message in problems.items()},
        conflicts={name: draft_page.value(name, theirs) for name, theirs in conflicts.items()},
        last=draft.last,
        labels=draft_page.LABELS,
        link=link,
        link_url=draft_page.preview_path(request, who, link) if link else None,
        link_days=draft_page.PREVIEW_DAYS,
        saved="saved" in request.query_params,
        link_done=request.query_params.get("link"),
    )
