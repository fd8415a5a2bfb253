"""Campaigns: what they would be about, how far they have come, and stopping or reverting them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from petition import desk, web
from petition.desk import Desk
from petition.errors import NotFound
from petition.moderation import campaign_queries, campaigns, forms, pages, queue, queue_queries
from petition.moderation.keys import keys_for
from petition.moderation.model import Act
from petition.organizers.model import Refused
from petition.signatures.model import Reason

PAGE = 25
TOP = 2**63 - 1


async def show_all(request: Request, who: Desk) -> Response:
    """Show campaigns, the newest first."""
    before = forms.id_of(request.query_params.get("before", "")) or TOP
    async with web.site_of(request).database.connection() as conn:
        rows = await campaign_queries.newest(conn, who.this.id, before, PAGE + 1)
    found = [campaigns.campaign_in(row) for row in rows[:PAGE]]
    context = {"campaigns": found, "next": found[-1].id if len(rows) > PAGE else None, "problem": None}
    return desk.page(request, who, "desk/moderation/campaigns.html", words=pages.WORDS, **context)


async def make(request: Request, who: Desk) -> Response:
    """Make a draft out of a filter and an act; nothing happens to any signature yet."""
    form = await web.form_of(request)
    wanted = forms.filter_of(dict(parse_qsl(pages.back_of(form))))
    try:
        act = Act(form.get("act", ""))
        async with web.site_of(request).database.transaction() as conn:
            campaign = await campaigns.make(conn, pages.by(who), act, wanted)
    except (Refused, ValueError) as error:
        message = error.message if isinstance(error, Refused) else forms.WHAT
        problem = web.language_of(request).gettext(message)
        context = {"campaigns": (), "next": None, "words": pages.WORDS, "problem": problem}
        return desk.page(request, who, "desk/moderation/campaigns.html", 422, **context)
    return web.see_other(pages.address(who, f"campaigns/{campaign}"))


async def show(request: Request, who: Desk) -> Response:
    """Show one campaign: how many, examples, how far it is."""
    return await _page(request, who)


async def move(request: Request, who: Desk) -> Response:
    """Start, pause, resume, cancel or revert."""
    form = await web.form_of(request)
    campaign = _id(request)
    reason = form.get("reason", "")
    try:
        async with web.site_of(request).database.transaction() as conn:
            given = Reason(reason) if reason in set(Reason) else None
            await campaigns.move(conn, pages.by(who), campaign, form.get("step", ""), given)
    except Refused as refused:
        return await _page(request, who, refused=refused)
    return web.see_other(pages.address(who, f"campaigns/{campaign}"))


def _id(request: Request) -> int:
    number = forms.id_of(request.path_params["campaign"])
    if number is None or number >= 2**31:
        raise NotFound("there is no such campaign")
    return number


async def _page(request: Request, who: Desk, *, refused: Refused | None = None) -> Response:
    site, letter = web.site_of(request), who.this.id
    async with site.database.connection() as conn:
        campaign = await campaigns.read(conn, letter, _id(request))
        keys = await keys_for(conn, letter, site.wrapper)
        ids = await campaigns.examples(conn, letter, campaign) if campaign.state is campaigns.State.DRAFT else []
        rows = [await queue_queries.one(conn, letter, each) for each in ids]
    context: Mapping[str, object] = {
        "campaign": campaign,
        "examples": [queue.line(row, keys) for row in rows if row is not None],
        "words": pages.WORDS,
        "problem": web.language_of(request).gettext(refused.message) if refused else None,
        "sources": {},
    }
    return desk.page(request, who, "desk/moderation/campaign.html", 422 if refused else 200, **context)
