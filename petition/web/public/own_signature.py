"""The signatory's own page, opened by the link that confirmed."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from petition.audits import queries as audit_queries
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.count_log import own_entries
from petition.letters import count_step_queries
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.moderation import message_threads
from petition.signatures import hiding, later_form, mail_consents, queries, self_service
from petition.signatures.model import REASONS
from petition.web.public import challenge, confirming
from petition.web.public.shown_form import ShownForm
from petition.web.public.visit import Visit

UNKNOWN_ACT = N_("Choose what to do.")
ACTIONS_ON_PAGE = (
    "visibility",
    "hide_from",
    "correct",
    "news",
    "start_news",
    "audit",
    "no_audit",
    "withdraw",
)  # after "delete" there is no page


async def show(visit: Visit) -> Response:
    published, link_id = await visit.signature()
    signature_id = await later_form.own_id(visit.services.database, published.letter.id, link_id)
    if signature_id != link_id:
        return visit.redirect(f"/signature/{visit.services.tokens.for_signature(published.letter.id, signature_id)}")
    return await _page(visit, published, signature_id, ShownForm())


async def act(visit: Visit) -> Response:
    """Carry out one act of the signatory."""
    visit.allow_form()
    form = await visit.form()
    published, link_id = await visit.signature()
    challenge.check_writable(published)
    database, letter = visit.services.database, published.letter
    signature_id = await later_form.own_id(database, letter.id, link_id)
    name = form.get("name", "")
    action = form.get("action")
    unread: tuple[str, ...] = ()
    try:
        match action:
            case "visibility":
                await self_service.change_visibility(
                    database, letter, signature_id, form.get("visibility", ""), name, visit.services.sealer
                )
            case "hide_from":
                day, hide_as = form.get("day", ""), form.get("hide_as", "")
                await hiding.choose(database, letter, signature_id, day, hide_as)
            case "correct":
                details = {key: form[key] for key in self_service.CORRECTABLE if key in form}
                languages = tuple(visit.services.renderer.languages)
                unread = await self_service.correct(
                    database, letter, signature_id, name, details, languages, visit.services.sealer
                )
            case "news" | "start_news" | "audit" | "no_audit":
                await _choose_mail(visit, letter, signature_id, form)
            case "withdraw":
                await self_service.withdraw(database, letter, signature_id)
            case "delete":
                await self_service.delete(database, letter, signature_id)
                await visit.note_act(letter.slug)
                return visit.redirect(f"/{letter.slug}/deleted")
            case _:
                raise Refused(UNKNOWN_ACT)
    except NotFound:
        return confirming.nothing_stored(visit, letter)
    except Refused as refused:
        shown_form = visit.refused_form(form, {refused.field: refused.message})
        return await _page(visit, published, signature_id, shown_form, status=422)
    await visit.note_act(letter.slug)
    return visit.redirect(f"/signature/{visit.token}?done={action}{'&unread=' if unread else ''}{'+'.join(unread)}")


async def _choose_mail(visit: Visit, letter: Letter, signature_id: SignatureId, form: Mapping[str, str]) -> None:
    """Start or stop the news, or the consent to be asked by an auditor."""
    services = visit.services
    database, sealer, keeper = services.database, services.sealer, services.keeper
    match form.get("action"):
        case "news":
            await mail_consents.stop_updates(database, letter, signature_id)
        case "no_audit":
            await mail_consents.refuse_audit(database, letter, signature_id)
        case "audit":
            typed = form.get("audit_email", "")
            await mail_consents.agree_to_audit(database, letter, signature_id, sealer, typed, keeper)
        case _:
            await mail_consents.start_updates(database, letter, signature_id, sealer, form.get("email", ""), keeper)


async def deleted(visit: Visit) -> Response:
    """Say that a signature has been deleted: a page of its own, so that going back sends no form again."""
    return visit.page("signatures/deleted.html", letter=(await visit.published()).letter)


async def data(visit: Visit) -> Response:
    """Answer with everything stored, as a file."""
    published, link_id = await visit.signature()
    letter = published.letter
    signature_id = await later_form.own_id(visit.services.database, letter.id, link_id)
    details = await self_service.load(visit.services.database, letter, signature_id)
    async with visit.services.database.connection() as conn:
        thread = await message_threads.load(conn, letter.id, letter.keys, signature_id)
        entry = await own_entries.load(conn, visit.services.wrapper, letter.id, signature_id)
    messages = [message.as_json() for message in thread]
    receipt = {} if entry is None else {"receipt": entry.as_json()}
    headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="signature.json"'}
    return JSONResponse({"letter": letter.slug, **details.as_json(), "messages": messages, **receipt}, headers=headers)


async def _page(
    visit: Visit, published: PublishedLetter, signature_id: SignatureId, form: ShownForm, *, status: int = 200
) -> Response:
    database, letter = visit.services.database, published.letter
    async with database.connection() as conn:
        pending = await queries.load_pending(conn, letter.id, signature_id)
    if pending is not None:
        return visit.redirect(f"/confirm/{visit.token}")
    try:
        signature = await self_service.load(database, letter, signature_id)
    except NotFound:
        return confirming.nothing_stored(visit, letter)
    async with database.connection() as conn:
        entry = await own_entries.load(conn, visit.services.wrapper, letter.id, signature_id)
        auditor = await audit_queries.auditor(conn, letter.id)
        waits_for_step = published.is_stepped and await count_step_queries.waits(conn, letter.id, signature_id)
    done = visit.request.query_params.get("done")
    await visit.turn()
    return visit.page(
        "signatures/own_page.html",
        status,
        letter=letter,
        token=visit.token,
        signature=signature,
        entry=entry,
        waits_for_step=waits_for_step,
        auditor=auditor,
        form=form,
        done=done if done in ACTIONS_ON_PAGE and not form.errors else None,
        unread=visit.request.query_params.get("unread", "").split() if done == "correct" and not form.errors else (),
        reasons=REASONS,
    )
