"""Audits at the desk: owners name the auditor and announce; the auditor brings key and value, and takes the list."""

from starlette.responses import Response

from petition.audits import announcing, published, queries
from petition.audits.announcing import CHOOSE_AUDITOR
from petition.audits.model import ANSWER_DAYS, MAX_SAMPLE, MIN_ANSWERS, MIN_FRAME, MIN_SAMPLE, AbandonReason
from petition.core import age_keys, audit_log
from petition.core.errors import NotFound, Refused
from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.i18n import N_
from petition.core.ids import OrganizerId
from petition.organizers.model import Role
from petition.stored_data.words import AUDIT_ADDRESSES
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit

NO_STEP = N_("Choose what to do.")
DONE = frozenset({"auditor", "announce", "abandon", "key", "draw"})


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    """Show all audits: to an owner with the forms that announce, to an auditor with those of the own audit."""
    letter_id = visit.letter.id
    async with visit.database.connection() as conn:
        rows = await queries.rows(conn, letter_id)
        auditor = await queries.auditor(conn, letter_id)
        auditors = await queries.auditors(conn, letter_id) if visit.may(Role.OWNER) else []
        agreed = await queries.count_agreed(conn, letter_id)
        lists = await queries.lists(conn, letter_id, AUDIT_ADDRESSES.number)
    done = visit.query.get("done")
    return desk_page(
        visit,
        "desk/audits.html",
        errors=errors,
        form=form,
        audits=[(published.published_in(row), row) for row in rows],
        auditor=auditor,
        auditors=auditors,
        agreed=agreed,
        is_auditor=visit.may(Role.AUDITOR),
        lists=lists if visit.may(Role.AUDITOR) else {},
        recipient=age_keys.shown_again(form.get("recipient", "")),
        limits={"frame": MIN_FRAME, "sample": (MIN_SAMPLE, MAX_SAMPLE), "answers": MIN_ANSWERS, "days": ANSWER_DAYS},
        stored_days=AUDIT_ADDRESSES.number,
        done=done if done in DONE and not errors else None,
    )


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Name the auditor, announce an audit, or give one up: an owner's."""
    step = form.get("act", "")
    async with visit.database.transaction() as conn:
        match step:
            case "auditor":
                await announcing.set_auditor(conn, visit.actor, form.get("name", ""))
            case "announce":
                member_id = id_of(form.get("auditor", ""), OrganizerId, MAX_INTEGER)
                if member_id is None:
                    raise Refused(CHOOSE_AUDITOR, "auditor")
                plan = form.get("sample", ""), form.get("source", ""), form.get("day", ""), form.get("description", "")
                await announcing.announce(conn, visit.actor, member_id, *plan)
            case "abandon":
                number = id_of(form.get("audit", ""), int, MAX_INTEGER)
                await announcing.abandon(conn, visit.actor, number or 0, AbandonReason.OWNER)
            case _:
                raise Refused(NO_STEP)
    return http.redirect(visit.letter_path(f"audits?done={step}"))


@form_view(show)
async def carry_out(visit: DeskVisit, form: Form) -> Response:
    """Enter the key or the value, or give the audit up: the auditor's."""
    step, number = form.get("act", ""), visit.path_id("audit", int, MAX_INTEGER)
    async with visit.database.transaction() as conn:
        match step:
            case "key":
                await announcing.set_key(conn, visit.actor, number, form.get("recipient", ""))
            case "draw":
                await announcing.draw(conn, visit.actor, number, form.get("value", ""))
            case "abandon":
                await announcing.abandon(conn, visit.actor, number, AbandonReason.AUDITOR)
            case _:
                raise Refused(NO_STEP)
    return http.redirect(visit.letter_path(f"audits?done={step}"))


async def download(visit: DeskVisit) -> Response:
    """Answer with the addresses, encrypted to the auditor's key: to that auditor alone, and for 30 days."""
    number, letter = visit.path_id("audit", int, MAX_INTEGER), visit.letter
    async with visit.database.transaction() as conn:
        content = await queries.address_list(conn, letter.id, number, visit.organizer.id, AUDIT_ADDRESSES.number)
        if content is None:
            raise NotFound("there is no such list")
        await audit_log.record(conn, visit.organizer.id, letter.id, "audit.take", ids=[number])
    headers = download_headers(f"{letter.slug}-audit-{number}.csv.age")
    return Response(content, headers=headers, media_type="application/octet-stream")
