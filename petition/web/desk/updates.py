"""Updates on a letter at the desk: the list, and one with its form and its preview."""

import asyncio
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.database import Connection, Record
from petition.core.errors import NotFound, Refused
from petition.core.form_values import MAX_INTEGER
from petition.core.ids import UpdateId
from petition.letters import markdown, update_queries, updates
from petition.mailings import acts, model
from petition.mailings import queries as mailing_queries
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_number, form_view, read_time
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_BYTES = 1_000_000  # of a form; escaped Cyrillic takes six bytes a letter
ACTS = {"save", "publish", "preview", "remove", "back", "schedule", "unschedule"}


async def show_all(visit: DeskVisit) -> Response:
    """Show every update, newest first, and the form for a new one."""
    return await _list(visit, {}, {}, {})


async def _list_again(visit: DeskVisit, form: Form, errors: Errors) -> Response:
    return await _list(visit, form, errors, {})


async def _list(visit: DeskVisit, form: Form, errors: Errors, preview: updates.Texts) -> Response:
    letter_id = visit.letter.id

    async def load(conn: Connection) -> dict[str, Any]:
        return {
            "rows": await update_queries.all_news(conn, letter_id),
            "subscribers": await mailing_queries.subscribers(conn, letter_id),
            "mailings": await mailing_queries.of_letter(conn, letter_id),
            "waiting": await mailing_queries.waiting_updates(conn, letter_id),
            "reminder": await mailing_queries.reminder(conn, letter_id),
        }

    return await _page(visit, "desk/updates.html", form, errors, preview, **await visit.read(load))


@form_view(_list_again, max_bytes=MAX_BYTES)
async def add(visit: DeskVisit, form: Form) -> Response:
    """Store a new draft, publish it at once, or only show a preview."""
    act, organizer_id, letter_id = _act(form), visit.organizer.id, visit.letter.id
    texts, errors = updates.texts_in(form, visit.languages)
    if errors or act == "preview":
        return await _list(visit, form, errors, texts)
    at = read_time(visit, form, "publish_at") if act == "schedule" else None
    async with visit.database.transaction() as conn:
        update_id = await updates.add(conn, organizer_id, letter_id, texts)
        if at is not None:
            await updates.schedule(conn, visit.actor, update_id, at)
            await _mail_then(conn, visit, update_id, form, at)
        if act == "publish":
            _check_published(visit)
            await updates.save(conn, organizer_id, letter_id, update_id, 1, texts, publish=True)
    return http.redirect(f"{_address(visit)}/{update_id}?done={act}")


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show one update with its form and its mailing."""
    return await _one(visit, form, errors, {})


async def _one_again(visit: DeskVisit, form: Form, errors: Errors) -> Response:
    return await _one(visit, form, errors, {})


async def _one(visit: DeskVisit, form: Form, errors: Errors, preview: updates.Texts) -> Response:
    update = await _read(visit)
    sent = any(name.startswith("title_") for name in form)
    stored = {
        f"{field}_{lang}": text
        for lang, texts in update["texts"].items()
        for field, text in (("title", texts["title"]), ("text", texts["markdown"]))
    }
    theirs = await asyncio.to_thread(updates.rendered, update["texts"]) if "first" in errors and sent else None
    values = form if sent else stored | dict(form)
    subscribers = await visit.read(lambda conn: mailing_queries.subscribers(conn, visit.letter.id))
    async with visit.database.connection() as conn:
        mailing = await mailing_queries.of_update(conn, visit.letter.id, _update_id(visit))
    languages = tuple(sorted(update["shown"] or update["texts"]))
    context = {
        "update": update,
        "theirs": theirs,
        "mailing": mailing,
        "readers": model.by_text_language(subscribers, languages) if languages else {},
    }
    return await _page(visit, "desk/update.html", values, errors, preview, **context)


async def speaks(visit: DeskVisit, form: Form) -> bool:
    """Return whether a form changes what readers see: it publishes, or saves what is published or will be by itself."""
    act = form.get("act", "")
    if act != "save":
        return act in {"publish", "schedule", "back"}
    async with visit.database.connection() as conn:
        row = await update_queries.one(conn, visit.letter.id, _update_id(visit))
    return row is not None and (row["state"] == updates.PUBLISHED or row["publish_at"] is not None)


@form_view(_one_again, max_bytes=MAX_BYTES)
async def change(visit: DeskVisit, form: Form) -> Response:
    """Store, publish, preview, remove or bring back an update."""
    act, revision = _act(form), form_number(form, "revision")
    organizer_id, letter_id, update_id = visit.organizer.id, visit.letter.id, _update_id(visit)
    if act in {"remove", "back"}:
        async with visit.database.transaction() as conn:
            await updates.move(conn, organizer_id, letter_id, update_id, revision, back=act == "back")
            if act == "remove":
                await acts.stop_removed(conn, visit.actor, update_id)
        return http.redirect(f"{_address(visit)}/{update_id}?done={act}")
    texts, errors = updates.texts_in(form, visit.languages)
    if errors or act == "preview":
        return await _one(visit, form, errors, texts)
    if act == "publish":
        _check_published(visit)
    at = read_time(visit, form, "publish_at") if act == "schedule" else None
    async with visit.database.transaction() as conn:
        await updates.save(conn, organizer_id, letter_id, update_id, revision, texts, publish=act == "publish")
        if act in {"schedule", "unschedule"}:
            await updates.schedule(conn, visit.actor, update_id, at)
            await _mail_then(conn, visit, update_id, form, at)
    return http.redirect(f"{_address(visit)}/{update_id}?done={act}")


async def _mail_then(conn: Connection, visit: DeskVisit, update_id: UpdateId, form: Form, at: datetime | None) -> None:
    """Have a scheduled update mailed when it is published, if the form says so; else not."""
    mailing = await mailing_queries.of_update(conn, visit.letter.id, update_id)
    is_waiting = mailing is not None and "undo" in mailing.transitions
    if at is None or not form.get("and_mail"):
        if is_waiting:
            await acts.advance(conn, visit.actor, update_id, "undo")
    elif is_waiting:
        await acts.reschedule(conn, visit.actor, update_id, at)
    else:
        await acts.start(conn, visit.actor, update_id, at)


def _act(form: Form) -> str:
    act = form.get("act", "")
    if act not in ACTS:
        raise HTTPException(400)
    return act


def _check_published(visit: DeskVisit) -> None:
    if visit.letter.state == "draft":
        raise Refused(updates.NOT_YET)


def _address(visit: DeskVisit) -> str:
    return visit.letter_path("updates")


def _update_id(visit: DeskVisit) -> UpdateId:
    return visit.path_id("update", UpdateId, MAX_INTEGER)


async def _read(visit: DeskVisit) -> Record:
    async with visit.database.connection() as conn:
        row = await update_queries.one(conn, visit.letter.id, _update_id(visit))
    if row is None:
        raise NotFound("there is no such update")
    return row


async def _page(
    visit: DeskVisit, template: str, values: Form, errors: Errors, preview: updates.Texts, **context: Any
) -> Response:
    return desk_page(
        visit,
        template,
        status=409 if "first" in errors else None,
        errors=errors,
        values=values,
        losses=markdown.losses,
        preview=await asyncio.to_thread(updates.rendered, preview) if preview and not errors else None,
        done=visit.query.get("done"),
        address=_address(visit),
        **context,
    )
