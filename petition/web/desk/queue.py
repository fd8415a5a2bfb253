"""The queue: what a filter in the address finds, and what is done to those who are chosen."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId
from petition.letters.keys import keys_for
from petition.moderation import decisions, filters, labels, log_queries, queue, queue_queries, undoing
from petition.signatures.listing import Cursor
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import DeskVisit

NOTHING_TO_UNDO = N_("There is nothing to undo any more.")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show a page of the queue."""
    return await _page(request, who, request.query_params)


async def decide(request: Request, who: DeskVisit) -> Response:
    """Approve, remove or bring back those who are chosen, or the one whose own button was pressed."""
    form = await http.form_of(request)
    back = queue_links.return_query(form)
    act, _, one = form.get("one", "").partition(":")
    try:
        given, reason = filters.action_of(form | ({"act": act} if one else {}))
        seen = filters.last_seen_acts(dict([one.split(":")]) if one.count(":") == 1 else form)
        async with http.services_of(request).database.transaction() as conn:
            keys = await keys_for(conn, who.this.id, http.services_of(request).wrapper)
            outcome = await decisions.decide(conn, queue_links.actor_of(who), keys, given, seen, reason)
    except Refused as refused:
        return await _page(request, who, dict(parse_qsl(back)), form=form, refused=refused)
    return http.redirect(f"{queue_links.address(who, 'queue')}?{queue_links.outcome_query(back, outcome)}")


async def undo_act(request: Request, who: DeskVisit) -> Response:
    """Undo an act of the log; lead back to where the button was."""
    form = await http.form_of(request)
    place = form.get("from", "queue")
    where = place if place == "log" or place.startswith(("signatures/", "campaigns/")) else "queue"
    where = where if where.replace("/", "").isalnum() else "queue"
    try:
        async with http.services_of(request).database.transaction() as conn:
            log = id_of(form.get("log", ""), LogId)
            if log is None:
                raise NotFound("there is no such act")
            keys = await keys_for(conn, who.this.id, http.services_of(request).wrapper)
            outcome = await undoing.undo(conn, queue_links.actor_of(who), keys, log)
        if not outcome.changed:
            raise Refused(NOTHING_TO_UNDO)
    except Refused as refused:
        return await _page(request, who, dict(parse_qsl(queue_links.return_query(form))), refused=refused)
    return http.redirect(
        f"{queue_links.address(who, where)}?{queue_links.outcome_query(queue_links.return_query(form), outcome)}"
    )


async def _page(
    request: Request,
    who: DeskVisit,
    given: Mapping[str, str],
    *,
    form: Mapping[str, str] | None = None,
    refused: Refused | None = None,
) -> Response:
    services, letter = http.services_of(request), who.this.id
    wanted = filters.filter_of(given)
    after = Cursor.decode(given["after"]) if given.get("after") else None
    async with services.database.connection() as conn:
        keys = await keys_for(conn, letter, services.wrapper)
        found = await queue.load_page(conn, letter, keys, wanted, after)
        waiting, flagged = await queue_queries.waiting(conn, letter)
        context = {
            "waiting": waiting,
            "flagged": flagged,
            "countries": await queue_queries.countries(conn, letter),
            "partners": await queue_queries.partners(conn, letter),
            "reports": await queue_queries.open_reports(conn, letter, [line.id for line in found.items]),
            "last": await log_queries.last_of(conn, letter, who.organizer.id),
            **await queue_links.act_notice(conn, letter, given),
        }
    back = wanted.as_fields() | ({"after": given["after"]} if after else {})
    ticked = form or {}
    if one := ticked.get("one", "").split(":")[1:2]:  # who was to be removed by a button of their own is ticked now
        ticked = {one[0]: ""}
    picked = {name for name in ticked if name.startswith(filters.PICK)}
    return page.desk_page(
        request,
        who,
        "desk/moderation/queue.html",
        422 if refused else 200,
        found=found,
        wanted=wanted,
        back=urlencode(back),
        fields=wanted.as_fields(),
        first_page=after is None,
        picked=picked,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
        words=labels.WORDS,
        most_counted=queue_queries.MAX_COUNTED,
        langs=tuple(services.renderer.languages),
        **context,
    )
