"""Bulk acts, "campaigns" in addresses: what they match, their progress, and stopping or reverting them."""

from starlette.responses import Response

from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.form_values import MAX_BIGINT, MAX_INTEGER, id_of
from petition.core.ids import BulkActId
from petition.letters.keys import keys_for
from petition.moderation import bulk_act_queries, bulk_acts, filters, labels, queue, queue_queries
from petition.moderation.model import Action, QueueItem
from petition.signatures.model import Reason
from petition.web import http
from petition.web.desk import names_read, queue_links
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

PAGE_SIZE = 25


async def show_all(visit: DeskVisit) -> Response:
    """Show bulk acts, the newest first."""
    before = id_of(visit.query.get("before", ""), int) or MAX_BIGINT
    rows = await visit.read(lambda conn: bulk_act_queries.newest(conn, visit.letter.id, before, PAGE_SIZE + 1))
    campaigns = [bulk_acts.bulk_act_in(row) for row in rows[:PAGE_SIZE]]
    next_id = campaigns[-1].id if len(rows) > PAGE_SIZE else None
    template = "desk/moderation/campaigns.html"
    return desk_page(visit, template, campaigns=campaigns, next_id=next_id, words=labels.WORDS)


async def _show_refusal(visit: DeskVisit, _form: Form, errors: Errors) -> Response:
    template = "desk/moderation/campaigns.html"
    return desk_page(visit, template, errors=errors, campaigns=(), next_id=None, words=labels.WORDS)


@form_view(_show_refusal)
async def make(visit: DeskVisit, form: Form) -> Response:
    """Make a draft out of a filter and an act; nothing happens to any signature yet."""
    filter, why = queue_links.bulk_filter(form), form.get("why", "")
    action = Action.REMOVE.value if why in set(Reason) else form.get("act")
    if action not in set(Action):
        raise Refused(filters.NO_ACTION)
    async with visit.database.transaction() as conn:
        campaign_id = await bulk_acts.create(conn, visit.actor, Action(action), filter)
    query = f"?why={why}" if why in set(Reason) else ""
    return http.redirect(visit.letter_path(f"campaigns/{campaign_id}{query}"))


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show one bulk act: how many it matches, examples, its progress."""
    letter_id, campaign_id = visit.letter.id, _campaign_id(visit)

    async def load(conn: Connection) -> tuple[bulk_acts.BulkAct, list[QueueItem]]:
        campaign = await bulk_acts.load(conn, letter_id, campaign_id)
        keys = await keys_for(conn, letter_id, visit.services.wrapper)
        is_draft = campaign.state is bulk_acts.BulkActState.DRAFT
        ids = await bulk_acts.examples(conn, letter_id, campaign) if is_draft else []
        rows = [await queue_queries.one(conn, letter_id, signature_id) for signature_id in ids]
        return campaign, [queue.item_in(row, keys) for row in rows if row is not None]

    campaign, items = await visit.read(load)
    await names_read.note(visit, items)
    return desk_page(
        visit,
        "desk/moderation/campaign.html",
        errors=errors,
        campaign=campaign,
        examples=items,
        words=labels.WORDS,
        why=form.get("reason") or visit.query.get("why"),
    )


@form_view(show)
async def move(visit: DeskVisit, form: Form) -> Response:
    """Start, pause, resume, cancel or revert."""
    campaign_id, text = _campaign_id(visit), form.get("reason", "")
    reason = Reason(text) if text in set(Reason) else None
    async with visit.database.transaction() as conn:
        await bulk_acts.advance(conn, visit.actor, campaign_id, form.get("step", ""), reason)
    return http.redirect(visit.letter_path(f"campaigns/{campaign_id}"))


def _campaign_id(visit: DeskVisit) -> BulkActId:
    return visit.path_id("campaign", BulkActId, MAX_INTEGER)
