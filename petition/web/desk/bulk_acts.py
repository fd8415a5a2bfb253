"""Bulk acts: what they would change, their progress, and stopping or reverting them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.ids import BulkActId
from petition.letters.keys import keys_for
from petition.moderation import bulk_act_queries, bulk_acts, filters, labels, queue, queue_queries
from petition.moderation.model import Action
from petition.signatures.model import Reason
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import DeskVisit

PAGE = 25
TOP = 2**63 - 1


async def show_all(request: Request, who: DeskVisit) -> Response:
    """Show bulk acts, the newest first."""
    before = id_of(request.query_params.get("before", ""), int) or TOP
    async with http.services_of(request).database.connection() as conn:
        rows = await bulk_act_queries.newest(conn, who.this.id, before, PAGE + 1)
    found = [bulk_acts.bulk_act_in(row) for row in rows[:PAGE]]
    context = {"campaigns": found, "next": found[-1].id if len(rows) > PAGE else None, "problem": None}
    return page.desk_page(request, who, "desk/moderation/campaigns.html", words=labels.WORDS, **context)


async def make(request: Request, who: DeskVisit) -> Response:
    """Make a draft out of a filter and an act; nothing happens to any signature yet."""
    form = await http.form_of(request)
    wanted = filters.filter_of(dict(parse_qsl(queue_links.return_query(form))))
    try:
        act = Action(form.get("act", ""))
        async with http.services_of(request).database.transaction() as conn:
            campaign = await bulk_acts.create(conn, queue_links.actor_of(who), act, wanted)
    except (Refused, ValueError) as error:
        message = error.message if isinstance(error, Refused) else filters.NO_ACTION
        problem = http.language_of(request).gettext(message)
        context = {"campaigns": (), "next": None, "words": labels.WORDS, "problem": problem}
        return page.desk_page(request, who, "desk/moderation/campaigns.html", 422, **context)
    return http.redirect(queue_links.address(who, f"campaigns/{campaign}"))


async def show(request: Request, who: DeskVisit) -> Response:
    """Show one bulk act: how many, examples, its progress."""
    return await _page(request, who)


async def move(request: Request, who: DeskVisit) -> Response:
    """Start, pause, resume, cancel or revert."""
    form = await http.form_of(request)
    campaign = _id(request)
    reason = form.get("reason", "")
    try:
        async with http.services_of(request).database.transaction() as conn:
            given = Reason(reason) if reason in set(Reason) else None
            await bulk_acts.advance(conn, queue_links.actor_of(who), campaign, form.get("step", ""), given)
    except Refused as refused:
        return await _page(request, who, refused=refused)
    return http.redirect(queue_links.address(who, f"campaigns/{campaign}"))


def _id(request: Request) -> BulkActId:
    number = id_of(request.path_params["campaign"], BulkActId)
    if number is None or number >= 2**31:
        raise NotFound("there is no such bulk act")
    return number


async def _page(request: Request, who: DeskVisit, *, refused: Refused | None = None) -> Response:
    services, letter = http.services_of(request), who.this.id
    async with services.database.connection() as conn:
        campaign = await bulk_acts.load(conn, letter, _id(request))
        keys = await keys_for(conn, letter, services.wrapper)
        ids = await bulk_acts.examples(conn, letter, campaign) if campaign.state is bulk_acts.BulkActState.DRAFT else []
        rows = [await queue_queries.one(conn, letter, each) for each in ids]
    context: Mapping[str, object] = {
        "campaign": campaign,
        "examples": [queue.item_in(row, keys) for row in rows if row is not None],
        "words": labels.WORDS,
        "problem": http.language_of(request).gettext(refused.message) if refused else None,
        "sources": {},
    }
    return page.desk_page(request, who, "desk/moderation/campaign.html", 422 if refused else 200, **context)
