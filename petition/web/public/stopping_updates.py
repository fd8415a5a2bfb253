"""The link that stops updates about one letter, and the way back: the address was deleted, so it is typed once more.

The link stands in mails that are passed on. So it opens nothing else, and addresses are tried on it a few times a day.
"""

from starlette.responses import Response

from petition.core import quotas
from petition.core.errors import BadToken, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, SignatureId
from petition.letters.published import PublishedLetter
from petition.mailings.content import NO_SIGNATURE
from petition.signatures import mail_consents, self_service_queries
from petition.signatures.later_form import own_id
from petition.web.public import challenge
from petition.web.public.shown_form import ShownForm
from petition.web.public.unsubscribing import form_of
from petition.web.public.visit import Visit

MAX_TRIES = 5  # addresses a day on one link

TOO_MANY_TRIES = N_("Too many addresses have been tried on this link today. Try again tomorrow.")


async def show(visit: Visit) -> Response:
    """Say whether updates go out, and offer to change it. Changes nothing."""
    return await _page(visit, ShownForm())


async def _page(visit: Visit, form: ShownForm, *, status: int = 200) -> Response:
    published, since = await visit.published(), None
    letter_id, link_id = visit.services.tokens.read_updates(visit.token)
    is_test = link_id == NO_SIGNATURE
    if not is_test:
        _check_letter(published, letter_id)
        signature_id = await own_id(visit.services.database, letter_id, link_id)
        async with visit.services.database.connection() as conn:
            since = await self_service_queries.updates_since(conn, letter_id, signature_id)
            signature = await self_service_queries.load(conn, letter_id, signature_id)
    can_start = not is_test and signature is not None and signature["state"] in {"confirmed", "held"}
    return visit.page(
        "mail/updates.html",
        status,
        letter=published.letter,
        token=visit.token,
        is_test=is_test,
        since=since,
        can_start=can_start,
        form=form,
        done="done" in visit.request.query_params and not form.errors,
    )


async def act(visit: Visit) -> Response:
    """Stop the updates, or let them come again if the form says ``action=start``. Idempotent."""
    published, (letter_id, link_id) = await visit.published(), visit.services.tokens.read_updates(visit.token)
    form, database = await form_of(visit), visit.services.database
    if link_id == NO_SIGNATURE:
        return await _page(visit, ShownForm())
    _check_letter(published, letter_id)
    signature_id = await own_id(database, letter_id, link_id)
    if form.get("action") == "start":
        try:
            await _start(visit, published, signature_id, form.get("email", ""))
        except Refused as refused:
            shown_form = visit.refused_form(form, {refused.field or "email": refused.message})
            return await _page(visit, shown_form, status=422)
        except NotFound:
            return await _page(visit, ShownForm())
    else:
        await mail_consents.stop_updates_if_any(database, published.letter, signature_id)
    if "action" in form:
        return visit.redirect(f"/{visit.slug}/unsubscribe/{visit.token}?done=1")
    return await _page(visit, ShownForm())  # one click in a mail program: no redirect (RFC 8058, 3.1)


async def _start(visit: Visit, published: PublishedLetter, signature_id: SignatureId, address: str) -> None:
    """Have updates go to the address again if it is the one that signed. Raises ``Refused``, ``NotFound``."""
    challenge.check_writable(published)
    visit.allow_form()
    quota = (await visit.services.day_keys.today()).daily("updates-again", f"{published.letter.id}|{signature_id}")
    async with visit.services.database.transaction() as conn:
        used = await quotas.spend(conn, {quota: 1})
    if used[quota.key] > MAX_TRIES:
        raise Refused(TOO_MANY_TRIES, "email")
    sealer = visit.services.sealer
    await mail_consents.start_updates(
        visit.services.database, published.letter, signature_id, sealer, address, visit.services.keeper
    )


def _check_letter(published: PublishedLetter, letter_id: LetterId) -> None:
    if published.letter.id != letter_id:
        raise BadToken("this link belongs to another letter")
