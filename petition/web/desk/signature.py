"""One signature at the desk: what is known of it, what was done to it, and all that can be done."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from petition.core import text_cleaning
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
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
from petition.moderation.model import Act, Outcome
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import Desk
from petition.web.site import Site

Doing = Callable[["_Here", Connection, Mapping[str, str]], Awaitable[Outcome | None]]


class _Here:
    """One signature of the letter in the address."""

    def __init__(self, request: Request, who: Desk) -> None:
        self.site: Site = http.site_of(request)
        self.who = who
        self.by = queue_links.by(who)
        signature = text_cleaning.id_of(request.path_params["signature"])
        if signature is None:
            raise NotFound("there is no such signature")
        self.signature = signature

    async def keys(self, conn: Connection) -> LetterKeys:
        """Return the letter's keys."""
        return await keys_for(conn, self.by.letter, self.site.wrapper)

    async def row(self, conn: Connection) -> Record:
        """Return the signature. Raises ``NotFound``."""
        row = await queue_queries.one(conn, self.by.letter, self.signature)
        if row is None:
            raise NotFound("there is no such signature")
        return row


async def show(request: Request, who: Desk) -> Response:
    """Show one signature."""
    return await _page(request, who)


async def act(request: Request, who: Desk) -> Response:
    """Do one thing to it."""
    form = await http.form_of(request)
    here = _Here(request, who)
    doing = DOING.get(form.get("act", ""))
    try:
        if doing is None:
            raise Refused(filters.WHAT)
        async with here.site.database.transaction() as conn:
            outcome = await doing(here, conn, form)
    except Refused as refused:
        return await _page(request, who, form=form, refused=refused)
    query = queue_links.told("", outcome) if outcome else urlencode({"did": form["act"]})
    return http.see_other(f"{queue_links.address(who, f'signatures/{here.signature}')}?{query}")


async def _decide(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    act, reason = filters.act_of(form)
    await here.row(conn)
    seen = {here.signature: filters.seen_of(form.get("seen", "0"))}
    return await decisions.decide(conn, here.by, here.site.wrapper, act, seen, reason)


async def _names(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    called = organizations.read(form)
    row = await here.row(conn)
    if row["organization"] is not None:
        log = await organizations.correct(conn, here.by, here.site.wrapper, row["organization"], called)
        return Outcome((here.signature,), log=log)
    log_of_held = await organizations.correct_held(conn, here.by, here.site.wrapper, here.signature, called)
    changed = () if log_of_held is None else (here.signature,)
    return Outcome(changed, () if changed else (here.signature,), log_of_held)


async def _merge(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    row, into = await here.row(conn), text_cleaning.id_of(form.get("into", ""))
    if row["organization"] is None or into is None:
        raise Refused(filters.NOBODY, "into")
    log = await organizations.merge(conn, here.by, here.site.wrapper, row["organization"], into)
    return Outcome((here.signature,), log=log)


async def _note(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    await here.row(conn)
    await notes.add(conn, here.by, await here.keys(conn), here.signature, form.get("text", ""))
    return None


async def _drop_note(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    await notes.drop(conn, here.by, here.signature, text_cleaning.id_of(form.get("note", "")) or 0)
    return None


async def _message(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    await messages.send(conn, here.by, await here.keys(conn), here.signature, form.get("message", ""))
    return None


async def _second(here: _Here, conn: Connection, form: Mapping[str, str]) -> Outcome | None:
    names = queue.names_of(await here.row(conn), keys := await here.keys(conn))
    address = form.get("second", "")
    await messages.ask_second(conn, here.by, keys, here.site.sealer, here.signature, names.website, address)
    return None


DOING: Mapping[str, Doing] = {
    **{each.value: _decide for each in Act},
    "names": _names,
    "merge": _merge,
    "note": _note,
    "drop_note": _drop_note,
    "message": _message,
    "second": _second,
}


async def _page(
    request: Request, who: Desk, *, form: Mapping[str, str] | None = None, refused: Refused | None = None
) -> Response:
    here, given = _Here(request, who), request.query_params
    async with here.site.database.connection() as conn:
        row, keys = await here.row(conn), await here.keys(conn)
        line = queue.line(row, keys)
        words = queue.tsquery(asked := given.get("like", "")[: filters.LONGEST_QUERY])
        ids = {here.signature, *({row["organization"]} if row["organization"] else ())}
        history = [entry for id in ids for entry in await log_queries.of_signature(conn, here.by.letter, id)]
        context = {
            "line": line,
            "row": row,
            "history": sorted({entry.id: entry for entry in history}.values(), key=lambda entry: -entry.id),
            "notes": await notes.read(conn, here.by.letter, keys, here.signature),
            "reports": [
                (report, notes.revealed(keys, report["note"]))
                for report in await queue_queries.reports(conn, here.by.letter, here.signature)
            ],
            "asked": asked,
            "alike": await organization_queries.find(conn, here.by.letter, row["organization"], words)
            if words and row["organization"]
            else [],
            **await queue_links.news(conn, here.by.letter, given),
        }
    return page.page(
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
