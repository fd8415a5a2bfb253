"""Delivery at the desk: every addressee with its state, and one with everything that can be done about it."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.addressees import addressee_words, answers, deliveries, files, queries
from petition.addressees.model import (
    BY_HAND,
    DeskAddressee,
    RecordedEvent,
    TypedEvent,
    delivery_in,
    response_in,
)
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.form_values import MAX_INTEGER
from petition.core.ids import AddresseeId, AnswerId, ResponseId
from petition.letters.addressees import AddresseeState
from petition.letters.keys import keys_for
from petition.packages import making
from petition.web import http, multipart
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_id, form_number, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_BODY = files.MAX_BYTES + 64 * 1024
BODY_TIMEOUT = 120.0  # seconds: a file over a slow line
MAX_TIMELINE = 100
EVENT_ACTS = {"deliver", "respond"}


async def show_all(visit: DeskVisit) -> Response:
    """Show the addressees with their states, and everything that happened by date."""
    async with visit.database.connection() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        rows = await queries.load(conn, visit.letter.id, keys)
        waiting = await queries.waiting(conn, visit.letter.id)
        packages = await making.packages(conn, visit.letter.id)
    events = [(row, event) for row in rows for event in row.events if row.is_named and event.is_public]
    events.sort(key=lambda pair: (pair[1].at, pair[1].id))
    return desk_page(
        visit,
        "desk/delivery/list.html",
        rows=[row for row in rows if row.is_named],
        former=[row for row in rows if not row.is_named and row.events],
        waiting={row["addressee"] for row in waiting},
        events=events[-MAX_TIMELINE:],
        now=datetime.now(UTC),
        packages=packages,
        language_names={code: language.own_name for code, language in visit.services.renderer.languages.items()},
        done=visit.query.get("done"),
        **_words(visit),
    )


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        addressee = await _addressee(conn, visit, keys)
        sent = await queries.answers(conn, visit.letter.id, keys, addressee.id)
    tokens, base_url = visit.services.tokens, visit.services.settings.base_url
    token = tokens.for_answer(visit.letter.id, addressee.id, addressee.link, mailed=False)
    now = datetime.now(UTC)
    return desk_page(
        visit,
        "desk/delivery/one.html",
        status=409 if "first" in errors else None,
        errors=errors,
        addressee=addressee,
        answers=[answer for answer in sent if answer.state == "waiting"],
        declined=[answer for answer in sent if answer.state == "declined"],
        values=form,
        acted=form.get("act", ""),
        done=visit.query.get("done"),
        done_event=visit.query.get("event", ""),
        can_link=addressee.link_until is not None and addressee.link_until > now,
        link=f"{base_url}/{addressee.lang}/{visit.letter.slug}/answer/{token}",
        address=_address(visit, addressee.id),
        now=now,
        **_words(visit),
        **_options(visit),
    )


def _words(visit: DeskVisit) -> dict[str, Any]:
    def state_words(addressee: DeskAddressee, now: datetime) -> str:
        return addressee_words.state_words(visit.language, addressee.as_readers_see, now.date())

    return {
        "state_words": state_words,
        "event_words": event_words,
        "states": addressee_words.STATES,
        "marks": addressee_words.MARKS,
        "ways": addressee_words.WAYS,
    }


def _options(visit: DeskVisit) -> dict[str, Any]:
    """Return what the forms offer, (value, text) by the name of the list."""
    languages = visit.services.renderer.languages
    states = [state for state in AddresseeState if state not in {AddresseeState.NOT_SENT, AddresseeState.DELIVERED}]
    return {
        "way_options": [(way.value, visit.gettext(text)) for way, text in addressee_words.WAYS.items()],
        "hand_options": [(way.value, visit.gettext(addressee_words.WAYS[way])) for way in BY_HAND],
        "response_options": [(state.value, visit.gettext(addressee_words.STATES[state])) for state in states],
        "language_options": [(code, language.own_name) for code, language in languages.items()],
    }


def event_words(event: RecordedEvent) -> str:
    """Return the message for the catalogues that names an event at the desk."""
    if event.state not in set(AddresseeState):
        return addressee_words.REMINDED
    if event.state == AddresseeState.DELIVERED:
        return addressee_words.DELIVERED_BY[event.way]
    return addressee_words.STATES[AddresseeState(event.state)]


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Change how the letter reaches an addressee, mail it, undo, publish or decline an answer, make a link."""
    name, addressee_id = form.get("act", ""), _addressee_id(visit)
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        await deliveries.locked(conn, visit.actor, addressee_id, form_number(form, "revision"))
        addressee = await _addressee(conn, visit, keys)
        event = await _carry_out(conn, visit, keys, addressee, name, form)
    more = f"&event={event}" if event else ""
    return http.redirect(f"{_address(visit, addressee_id)}?done={name}{more}")


async def _carry_out(
    conn: Connection, visit: DeskVisit, keys: LetterKeys, addressee: DeskAddressee, name: str, form: Form
) -> int | None:
    """Do one act; return the event that its notice can undo or redo. Raises ``Refused``, a 400."""
    actor = visit.actor
    match name:
        case "contact":
            lang = form["lang"] if form.get("lang") in visit.languages else visit.lang
            way, typed, services = form.get("way", ""), form.get("email", ""), visit.services
            await deliveries.set_contact(
                conn,
                actor,
                keys,
                addressee,
                sealer=services.sealer,
                way=way,
                lang=lang,
                typed=typed,
                keeper=services.keeper,
            )
        case "mail":
            await deliveries.mail(conn, actor, addressee)
        case "remind":
            await deliveries.remind(conn, actor, addressee)
        case "undo" | "redo":
            event_id = form_id(form, "event", ResponseId, MAX_INTEGER)
            move = deliveries.undo if name == "undo" else deliveries.redo
            await move(conn, actor, addressee.id, event_id)
            return event_id
        case "link" | "revoke":
            await deliveries.set_link(conn, actor, addressee.id, works=name == "link")
        case "publish":
            answer_id = form_id(form, "answer", AnswerId, MAX_INTEGER)
            event = response_in(form, visit.languages, visit.now, has_file="has_file" in form)
            await answers.publish(conn, actor, keys, addressee.id, answer_id, event)
        case "decline" | "wait":
            answer_id = form_id(form, "answer", AnswerId, MAX_INTEGER)
            await answers.decline(conn, actor, addressee.id, answer_id, back=name == "wait")
            return answer_id
        case _:
            raise HTTPException(400)
    return None


async def record(visit: DeskVisit) -> Response:
    """Record a delivery by hand, or what an addressee did, with a file if there is one."""
    form = await multipart_form(visit, MAX_BODY)
    fields, addressee_id = form.fields, _addressee_id(visit)
    if fields.get("act") not in EVENT_ACTS:
        raise HTTPException(400)
    try:
        event, file = await _typed(visit, fields, form.files.get("file"))
        async with visit.database.transaction() as conn:
            keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
            await deliveries.locked(conn, visit.actor, addressee_id, form_number(fields, "revision"))
            event_id = await deliveries.record(conn, visit.actor, keys, addressee_id, event, file)
    except Refused as refused:
        return await show(visit, fields, {refused.field: refused.message})
    return http.redirect(f"{_address(visit, addressee_id)}?done={fields['act']}&event={event_id}")


async def _typed(
    visit: DeskVisit, fields: Mapping[str, str], content: bytes | None
) -> tuple[TypedEvent, files.File | None]:
    now = visit.now
    if fields["act"] == "deliver":
        event = delivery_in(fields, now)
    else:
        event = response_in(fields, visit.languages, now, has_file=content is not None)
    return event, None if content is None else await asyncio.to_thread(files.checked, content)


async def multipart_form(visit: DeskVisit, max_bytes: int) -> multipart.MultipartForm:
    """Return the form in the body, with files or without. Raises 400, 408, 413, 415."""
    content_type = visit.request.headers.get("content-type", "")
    return http.parse_any_form(content_type, await http.body_of(visit.request, max_bytes, BODY_TIMEOUT))


async def file(visit: DeskVisit) -> Response:
    """Answer with a receipt of a delivery, or a document that waits, to be saved."""
    file_id = visit.path_id("file", int)
    async with visit.database.connection() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        media_type, content = await files.load(conn, visit.letter.id, keys, file_id)
    return http.document(media_type, content, f"file-{file_id}", "no-store")


def _addressee_id(visit: DeskVisit) -> AddresseeId:
    return visit.path_id("addressee", AddresseeId, MAX_INTEGER)


async def _addressee(conn: Connection, visit: DeskVisit, keys: LetterKeys) -> DeskAddressee:
    addressee = await queries.one(conn, visit.letter.id, keys, _addressee_id(visit))
    if addressee is None:
        raise NotFound("there is no such addressee")
    return addressee


def _address(visit: DeskVisit, addressee_id: AddresseeId) -> str:
    return visit.letter_path(f"delivery/{addressee_id}")
