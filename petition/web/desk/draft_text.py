"""The text page: the draft in all its languages, saved while typing or by a button."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core.database import Record
from petition.core.ids import PictureId
from petition.drafts import draft_fields, draft_queries, local_times, pictures, preview_link_queries, saving, store
from petition.drafts.pictures import BadPicture
from petition.drafts.saving import Saved
from petition.drafts.store import Draft
from petition.web import http, multipart
from petition.web.desk import draft_page, step_up
from petition.web.desk.forms import zone_of
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_BYTES = 4 * 1024 * 1024  # two texts of 200 KB, three bytes for each escaped one, and two pictures
MAX_FIELDS = 4000
BODY_TIMEOUT = 120.0  # seconds: a picture over a slow line
PARTY_ACT = re.compile(r"(?:add|drop|up|down):(addressees|initiators)(?::[0-9]{1,3})?")


async def show(visit: DeskVisit) -> Response:
    async with visit.database.connection() as conn:
        row = await saving.letter_row(conn, visit.letter.slug)
        draft = await store.load(conn, row, visit.languages)
        link = await preview_link_queries.of_letter(conn, visit.letter.id)
    return _page(visit, draft, link, is_sensitive=row["sensitive"])


async def save(visit: DeskVisit) -> Response:
    """Save the form: a script gets JSON, a browser a page."""
    form = await _form(visit.request)
    if not visit.is_fresh and await _opens_by_itself(visit):
        # What is scheduled is published as it is then: a change of it speaks to readers.
        proved = await step_up.prove(visit, form.fields)
        if isinstance(proved, Response):
            return proved
        visit, form = proved, replace(form, fields=visit.without_proof(form.fields))
    zone = zone_of(visit, form.fields)
    fields = {**form.fields, **local_times.to_utc(form.fields, zone)}
    images, image_errors = await _redraw_pictures(form.files, visit.languages)
    async with visit.database.transaction() as conn:
        row = await saving.locked_row(conn, visit.letter.slug)
        saved = await saving.save(conn, row, visit.organizer.id, visit.languages, fields, images)
        link = await preview_link_queries.of_letter(conn, visit.letter.id)
    saved.typed.problems.update(image_errors)
    if visit.request.headers.get("accept") == "application/json":
        return _json(visit, saved, zone)
    if saved.typed.problems or saved.conflicts:
        return _page(visit, saved.draft, link, saved, is_sensitive=row["sensitive"])
    party_act = PARTY_ACT.fullmatch(form.fields.get("act", ""))
    return http.redirect(visit.letter_path("text?saved=1") + (f"#{party_act[1]}" if party_act else ""))


async def _opens_by_itself(visit: DeskVisit) -> bool:
    async with visit.database.connection() as conn:
        return await draft_queries.scheduled(conn, visit.letter.id) is not None


async def picture(visit: DeskVisit) -> Response:
    picture_id = visit.path_id("picture", PictureId)
    async with visit.database.connection() as conn:
        row = await draft_queries.picture(conn, visit.letter.id, picture_id)
    return http.picture(row, "no-store")


async def _form(request: Request) -> multipart.MultipartForm:
    content_type = request.headers.get("content-type", "")
    body = await http.body_of(request, MAX_BYTES, BODY_TIMEOUT)
    return http.parse_any_form(content_type, body, MAX_FIELDS)


async def _redraw_pictures(
    files: Mapping[str, bytes], languages: tuple[str, ...]
) -> tuple[dict[str, tuple[str, bytes]], dict[str, str]]:
    """Return (redrawn pictures by language, messages about the others by field)."""
    images, errors = {}, {}
    for lang in languages:
        if (content := files.get(f"file.{lang}")) is None:
            continue
        try:
            images[lang] = await asyncio.to_thread(pictures.redraw, content)
        except BadPicture as bad:
            errors[f"picture.{lang}"] = bad.message
    return images, errors


def _json(visit: DeskVisit, saved: Saved, zone: str) -> Response:
    """Answer a script with what it has to show, rendered here in the words of the page."""

    def render(template: str, **context: object) -> str:
        context |= {"letter": visit.letter, "labels": draft_page.LABELS, "zone": visit.organizer.zone}
        return visit.services.renderer.render(f"desk/writing/{template}", visit.lang, **context)

    def render_conflict(name: str, stored: str) -> str:
        theirs = draft_page.field_value(name, stored)
        return render("_conflict.html", name=name, edit=saved.draft.edits.get(name), theirs=theirs)

    fresh = {**saved.fresh, **local_times.from_utc(saved.fresh, zone)}
    parties = [name for name in saved.fresh if name in draft_fields.PARTIES]
    body: dict[str, Any] = {
        "said": render("_saved_at.html", last=saved.draft.last),
        "seen": saved.seen,
        "fresh": {name: value for name, value in fresh.items() if name not in draft_fields.PARTIES},
        "rows": {name: render("_rows.html", name=name, rows=_rows(saved.draft, name)) for name in parties},
        "problems": {name: visit.gettext(message) for name, message in saved.typed.problems.items()},
        "conflicts": {name: render_conflict(name, stored) for name, stored in saved.conflicts.items()},
        "wrote": saved.wrote,
    }
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _rows(draft: Draft, name: str) -> list[dict[str, str]]:
    """Return the rows of initiators or addressees, and an empty one to fill in."""
    parties = draft_fields.read_parties(draft.fields[name])
    return [*({**party.names, "url": party.url or ""} for party in parties), {}]


def _page(
    visit: DeskVisit, draft: Draft, link: Record | None, saved: Saved | None = None, *, is_sensitive: bool
) -> Response:
    values, seen = dict(draft.fields), {name: draft_fields.digest(value) for name, value in draft.fields.items()}
    rows = {name: _rows(draft, name) for name in draft_fields.PARTIES}
    problems, conflicts = (saved.typed.problems, saved.conflicts) if saved else ({}, {})
    for name in {*problems, *conflicts}:
        if saved and name in saved.typed.rows:
            rows[name] = [*saved.typed.rows[name], {}]
        elif saved and name in saved.typed.raw:
            values[name] = saved.typed.raw[name]
        if saved and name in problems and name in saved.typed.seen:
            seen[name] = saved.typed.seen[name]
    values.update(local_times.from_utc(values, visit.organizer.zone))
    return desk_page(
        visit,
        "desk/writing/text.html",
        status=409 if conflicts else None,
        errors=problems,
        sources={"frame-src": "'self'"},
        draft=draft,
        is_sensitive=is_sensitive,
        values=values,
        seen=seen,
        rows=rows,
        conflicts={name: draft_page.field_value(name, stored) for name, stored in conflicts.items()},
        last=draft.last,
        labels=draft_page.LABELS,
        link=link,
        link_url=draft_page.preview_url(visit, link) if link else None,
        link_days=draft_page.PREVIEW_DAYS,
        saved="saved" in visit.query,
        marked=visit.query.get("sensitive"),
        link_act=visit.query.get("link"),
    )
