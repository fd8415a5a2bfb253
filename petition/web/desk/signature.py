"""One signature at the desk: what is known of it, what was done to it, and all that can be done."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.ids import NoteId, OrganizationId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import (
    decisions,
    filters,
    labels,
    log_queries,
    messages,
    notes,
    organization_queries,
    organizations,
    queue,
    queue_queries,
)
from petition.moderation.model import Action, ActOutcome
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import DeskVisit
from petition.web.services import Services

Doing = Callable[["_Here", Connection, Mapping[str, str]], Awaitable[ActOutcome | None]]


class _Here:
    """One signature of the letter in the address."""

    def __init__(self, request: Request, who: DeskVisit) -> None:
        self.services: Services = http.services_of(request)
        self.who = who
        self.by = queue_links.actor_of(who)
        signature_id = id_of(request.path_params["signature"], SignatureId)
        if signature_id is None:
            raise NotFound("there is no such signature")
        self.signature_id = signature_id

    async def keys(self, conn: Connection) -> LetterKeys:
        """Return the letter's keys."""
        return await keys_for(conn, self.by.letter_id, self.services.wrapper)

    async def row(self, conn: Connection) -> Record:
        """Return the signature. Raises ``NotFound``."""
        row = await queue_queries.one(conn, self.by.letter_id, self.signature_id)
        if row is None:
            raise NotFound("there is no such signature")
        return row


async def show(request: Request, who: DeskVisit) -> Response:
    """Show one signature."""
    return await _page(request, who)


async def act(request: Request, who: DeskVisit) -> Response:
    """Do one thing to it."""
    form = await http.form_of(request)
    here = _Here(request, who)
    doing = DOING.get(form.get("act", ""))
    try:
        if doing is None:
            raise Refused(filters.NO_ACTION)
        async with here.services.database.transaction() as conn:
            outcome = await doing(here, conn, form)
    except Refused as refused:
        return await _page(request, who, form=form, refused=refused)
    query = queue_links.outcome_query("", outcome) if outcome else urlencode({"did": form["act"]})
    return http.redirect(f"{queue_links.address(who, f'signatures/{here.signature_id}')}?{query}")


async def _decide(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    act, reason = filters.action_of(form)
    await here.row(conn)
    seen = {here.signature_id: filters.last_seen_act(form.get("seen", "0"))}
    return await decisions.decide(conn, here.by, await here.keys(conn), act, seen, reason)


async def _names(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    called = organizations.parse(form)
    row = await here.row(conn)
    if row["organization"] is not None:
        log = await organizations.correct(conn, here.by, await here.keys(conn), row["organization"], called)
        return ActOutcome((here.signature_id,), log_id=log)
    log_of_held = await organizations.correct_held(conn, here.by, await here.keys(conn), here.signature_id, called)
    changed = () if log_of_held is None else (here.signature_id,)
    return ActOutcome(changed, () if changed else (here.signature_id,), log_of_held)


async def _merge(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    row, into = await here.row(conn), id_of(form.get("into", ""), OrganizationId)
    if row["organization"] is None or into is None:
        raise Refused(filters.NOTHING_SELECTED, "into")
    log = await organizations.merge(conn, here.by, await here.keys(conn), row["organization"], into)
    return ActOutcome((here.signature_id,), log_id=log)


async def _note(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    await here.row(conn)
    await notes.add(conn, here.by, await here.keys(conn), here.signature_id, form.get("text", ""))
    return None


async def _drop_note(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    await notes.delete(conn, here.by, here.signature_id, id_of(form.get("note", ""), NoteId) or NoteId(0))
    return None


async def _message(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    await messages.send(conn, here.by, await here.keys(conn), here.signature_id, form.get("message", ""))
    return None


async def _second(here: _Here, conn: Connection, form: Mapping[str, str]) -> ActOutcome | None:
    names = queue.names_in(await here.row(conn), keys := await here.keys(conn))
    address = form.get("second", "")
    await messages.ask_second(
        conn,
        here.by,
        keys,
        here.signature_id,
        sealer=here.services.sealer,
        website=names.website,
        typed=address,
    )
    return None


DOING: Mapping[str, Doing] = {
    **{each.value: _decide for each in Action},
    "names": _names,
    "merge": _merge,
    "note": _note,
    "drop_note": _drop_note,
    "message": _message,
    "second": _second,
}


async def _page(
    request: Request, who: DeskVisit, *, form: Mapping[str, str] | None = None, refused: Refused | None = None
) -> Response:
    here, given = _Here(request, who), request.query_params
    async with here.services.database.connection() as conn:
        row, keys = await here.row(conn), await here.keys(conn)
        line = queue.item_in(row, keys)
        words = queue.tsquery(asked := given.get("like", "")[: filters.MAX_QUERY])
        ids = {here.signature_id, *({row["organization"]} if row["organization"] else ())}
        history = [entry for id in ids for entry in await log_queries.of_signature(conn, here.by.letter_id, id)]
        context = {
            "line": line,
            "row": row,
            "history": sorted({entry.id: entry for entry in history}.values(), key=lambda entry: -entry.id),
            "notes": await notes.load(conn, here.by.letter_id, keys, here.signature_id),
            "reports": [
                (report, notes.revealed(keys, report["note"]))
                for report in await queue_queries.reports(conn, here.by.letter_id, here.signature_id)
            ],
            "asked": asked,
            "alike": await organization_queries.find(conn, here.by.letter_id, row["organization"], words)
            if words and row["organization"]
            else [],
            **await queue_links.act_notice(conn, here.by.letter_id, given),
        }
    return page.desk_page(
        request,
        who,
        "desk/moderation/signature.html",
        422 if refused else 200,
        words=labels.WORDS,
        form=form or {},
        did=given.get("did"),
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
        **context,
    )
