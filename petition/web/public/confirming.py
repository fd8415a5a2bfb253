"""Confirming a signature: by a button behind the mailed link (only its POST confirms), or by the mailed code."""

import re
import unicodedata
from collections.abc import Mapping
from email.utils import parseaddr

from starlette.responses import Response

from petition.audits import queries as audit_queries
from petition.captcha import Passed
from petition.core import email_addresses
from petition.core.database import Record
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import KeyDestroyed, Unavailable
from petition.core.i18n import N_, pick_language
from petition.core.ids import SignatureId
from petition.core.keeper import KeeperPurpose
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.signatures import later_form, queries, sealed_names
from petition.signatures.confirming import Confirmation, ConfirmRequest, ConfirmResult
from petition.signatures.forms import LEFT_OUT, is_ticked
from petition.signatures.model import Kind
from petition.web import http
from petition.web.page_cache import NO_STORE, CachedResponse
from petition.web.public import challenge, code_tries, thanks
from petition.web.public.code_tries import Verdict
from petition.web.public.shown_form import ShownForm
from petition.web.public.visit import Visit, with_retry_after

HOUR, DAY = 3600, 86400  # seconds
MAX_LATER = 5  # later forms of the same mailbox to choose from
_INBOX = "signatures/check_your_inbox.html"
AUDIT_BOX = "audit"  # on the page that confirms
MAILED_CODE = "mailed_code"  # the field of the mailed code where ``code`` is the answer to a challenge

GONE = N_("This link has expired")
GONE_WHY = N_("A signature can be confirmed for 7 days, and no later than one day after the letter closes.")
NOTHING_STORED = N_("This link has no signature any more")
NOTHING_STORED_WHY = N_(
    "It was deleted, or it was not confirmed within 7 days. Nothing of it is stored, so we cannot say which."
)
REMOVED = N_("This signature was removed")
REMOVED_WHY = N_("The organizers removed a signature made from this mailbox. It cannot sign this letter again.")
STOPPED = N_("Signing is stopped for now. You can use the code, or the link in the e-mail, later.")
WRONG_CODE = N_("This code does not match this address, or it is more than 24 hours old.")
SIX_DIGITS = N_("The code has six digits.")
TOO_MANY_TRIES = N_("Too many codes have been tried today. The link in the e-mail still works.")


async def show(visit: Visit) -> Response:
    """Show what is about to be confirmed. Mail scanners open links, so this changes nothing."""
    published, signature_id = await visit.signature()
    return await _page(visit, published, signature_id)


async def _page(visit: Visit, published: PublishedLetter, signature_id: SignatureId, *, status: int = 200) -> Response:
    """Show it with the button, or, while signing is stopped, the reason and until when the link works."""
    letter = published.letter
    pause = letter.switches.pause
    async with visit.services.database.connection() as conn:
        row = await queries.load_pending(conn, letter.id, signature_id)
        later_rows = await queries.load_later_forms(conn, letter.id, signature_id, MAX_LATER) if row else []
        states = await queries.load_states(conn, [letter.id], [signature_id]) if row is None else []
        auditor = await audit_queries.auditor(conn, letter.id) if row and row["kind"] == Kind.PERSON else None
    if states:
        return visit.redirect(f"/signature/{visit.token}")
    if row is None:
        return await _used_before(visit, letter, signature_id)
    if not row["confirmable"]:
        return _expired(visit, letter)
    try:
        fields = letter.keys.reveal(row["fields"])
        is_sealed = sealed_names.take(fields) is not None
        later = [_later_form(visit, letter, later_row) for later_row in later_rows]
    except KeyDestroyed:
        return _expired(visit, letter)
    return visit.page(
        "signatures/confirm.html",
        status,
        letter=letter,
        stopped=None if pause is None else pick_language(pause, visit.lang),
        until=row["until"],
        token=visit.token,
        kind=Kind(row["kind"]),
        fields=fields,
        is_sealed=is_sealed,
        left_out=fields.get(LEFT_OUT, "").split(),
        visibility=fields["visibility"],
        employer=letter.employer(fields.get("employer")),
        version_changed=row["version"] != letter.version.number,
        later=later,
        auditor=auditor,
    )


def _later_form(visit: Visit, letter: Letter, row: Record) -> dict[str, object]:
    """Return link, names and time of another form of the same mailbox. Raises ``KeyDestroyed``."""
    fields = letter.keys.reveal(row["fields"])
    names = [fields[name] for name in ("organization_en", "organization_ru", "name") if fields.get(name)]
    token = visit.services.tokens.for_signature(letter.id, row["id"])
    return {"token": token, "names": names[:1], "at": row["created_at"]}


async def confirm(visit: Visit) -> Response:
    published, signature_id = await visit.signature()
    await visit.services.confirm_line.enter(visit.network)
    agrees = await _agrees_to_audit(visit, published)
    confirmation = await _submit(visit, published, signature_id, agrees_to_audit=agrees)
    if confirmation.result is ConfirmResult.STOPPED:
        return with_retry_after(await _page(visit, await visit.refreshed(published), signature_id, status=503), HOUR)
    return await _answer(visit, published, confirmation, signature_id, agrees_to_audit=agrees)


async def _agrees_to_audit(visit: Visit, published: PublishedLetter) -> bool:
    """Return whether the box of the page was ticked; a form without a field, as nearly all are, is not read."""
    if visit.request.headers.get("content-length", "0") == "0" or not is_ticked(await visit.form(), AUDIT_BOX):
        return False
    async with visit.services.database.connection() as conn:
        return await audit_queries.auditor(conn, published.letter.id) is not None


async def check_your_inbox(visit: Visit) -> Response:
    """Say that a mail is on its way, and take its code: one page for all signatories of the letter."""

    async def build(published: PublishedLetter) -> CachedResponse:
        context = _inbox(visit, published, ShownForm())
        return http.cacheable_page(visit.request, _INBOX, (), NO_STORE, canonical=None, **context)

    return await visit.cached_letter_page("/check-your-inbox", build)


def _digits(typed: str) -> str:
    """Return the digits of a typed or pasted code, in any script, without what stands between them."""
    return "".join(str(unicodedata.digit(character)) for character in typed[:100] if character.isdecimal())


def _typed_code(form: Mapping[str, str]) -> str:
    return form.get(MAILED_CODE, form.get("code", ""))


async def confirm_by_code(visit: Visit) -> Response:
    """Confirm the signature that the typed address and code belong to."""
    visit.allow_form()
    form = await visit.form_in_turn(visit.services.confirm_line)
    published = await visit.published()
    code = _digits(_typed_code(form))
    errors: dict[str, str] = {}
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        errors["email"] = error.message
    if not re.fullmatch(r"[0-9]{6}", code):
        errors["code"] = SIX_DIGITS
    if errors:
        return await _form_again(visit, published, visit.refused_form(form, errors), status=422)
    try:
        return await _try_code(visit, published, form, mailbox=mailbox, code=code)
    except Unavailable as error:
        if not visit.has_time_for_page(visit.services.confirm_line):
            raise
        shown_form = visit.refused_form({**form, "code": _typed_code(form)}, {"": challenge.AWAY})
        page = await _form_again(visit, published, shown_form, status=503)
        return with_retry_after(page, error.retry_after)


async def _try_code(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], *, mailbox: Mailbox, code: str
) -> Response:
    services, letter = visit.services, published.letter
    canonical = email_addresses.canonical(mailbox, letter.rules_version)
    digest = await services.keeper.digest(letter.keys, canonical, KeeperPurpose.CODE)
    passed = await _solved(visit, published, form)
    if isinstance(passed, Response):
        return passed
    form = {"email": form["email"], "code": _typed_code(form)}
    code_try = await code_tries.of(visit, letter.id, digest)
    # Tries of one network wait for each other's counts: without a slot they would do so on all connections.
    async with visit.form_slot(), services.database.transaction() as conn:
        verdict = await code_try.count(conn, passed)
    if verdict is Verdict.REFUSED:
        page = await _form_again(visit, published, visit.refused_form(form, {"": TOO_MANY_TRIES}), status=429)
        return with_retry_after(page, DAY)
    if verdict is Verdict.CHALLENGE:
        return await challenge.one_more_step(visit, published, {"email": form["email"], MAILED_CODE: form["code"]})
    async with visit.form_slot(), services.database.connection() as conn:
        rows = await queries.find_by_code(conn, letter.id, digest)
        # All are compared, so that the time does not reveal which one fits.
        fitting_ids = [row["id"] for row in rows if services.tokens.is_code(code, letter.id, row["id"])]
        if fitting_ids:
            await code_try.give_back(conn)
    if not fitting_ids:
        return await _form_again(visit, published, visit.refused_form(form, {"code": WRONG_CODE}), status=422)
    confirmation = await _submit(visit, published, fitting_ids[0])
    if confirmation.result is ConfirmResult.STOPPED:
        shown_form = visit.refused_form(form, {"": STOPPED})
        page = await _form_again(visit, await visit.refreshed(published), shown_form, status=503)
        return with_retry_after(page, HOUR)
    return await _answer(visit, published, confirmation, fitting_ids[0])


async def _solved(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> Passed | Response | None:
    """Return the solved challenge of the page that asked for one; None if the form is not that page's."""
    if MAILED_CODE not in form:
        return None
    return await challenge.require_challenge(visit, published, form)


async def _submit(
    visit: Visit, published: PublishedLetter, signature_id: SignatureId, *, agrees_to_audit: bool = False
) -> Confirmation:
    letter = published.letter
    request = ConfirmRequest(letter.id, signature_id, letter.keys, agrees_to_audit)
    return await visit.services.confirming.submit(request)


async def _form_again(visit: Visit, published: PublishedLetter, form: ShownForm, *, status: int) -> Response:
    await visit.turn()
    return _inbox_page(visit, published, form, status=status)


def _inbox_page(visit: Visit, published: PublishedLetter, form: ShownForm, *, status: int = 200) -> Response:
    return visit.page(_INBOX, status, **_inbox(visit, published, form))


def _inbox(visit: Visit, published: PublishedLetter, form: ShownForm) -> dict[str, object]:
    """Return the page's context."""
    return {
        "letter": published.letter,
        "form": form,
        "sender": parseaddr(visit.services.settings.mail_from or "")[1],
        "here": f"/{published.letter.slug}/check-your-inbox",
    }


async def _answer(
    visit: Visit,
    published: PublishedLetter,
    confirmation: Confirmation,
    signature_id: SignatureId,
    *,
    agrees_to_audit: bool = False,
) -> Response:
    if confirmation.result is ConfirmResult.GONE:
        return await _gone(visit, published.letter, signature_id)
    if confirmation.result is ConfirmResult.REMOVED:
        return visit.message_page(410, REMOVED, REMOVED_WHY, letter=published.letter, can_sign=False)
    again = ""
    if confirmation.earlier_id is not None:
        is_stored = await later_form.replace_by(
            visit.services.database,
            published.letter,
            confirmation.earlier_id,
            signature_id,
            agrees_to_audit=agrees_to_audit,
        )
        if is_stored is None:
            return await _used_before(visit, published.letter, signature_id)
        await visit.refresh()
        again = thanks.REPLACED if is_stored else thanks.STAYS
    return await thanks.redirect(visit, published, confirmation, confirmation.earlier_id or signature_id, again=again)


async def _gone(visit: Visit, letter: Letter, signature_id: SignatureId) -> Response:
    async with visit.services.database.connection() as conn:
        is_stored = await queries.load_pending(conn, letter.id, signature_id) is not None
    return _expired(visit, letter) if is_stored else await _used_before(visit, letter, signature_id)


async def _used_before(visit: Visit, letter: Letter, signature_id: SignatureId) -> Response:
    """Answer to a link of no form that waits: it may be that of a later form, which leads to the mailbox's signature.

    The own page then says what is stored now, also after the signature was corrected or withdrawn.
    """
    own_id = await later_form.own_id(visit.services.database, letter.id, signature_id)
    if own_id == signature_id:
        return nothing_stored(visit, letter)
    return visit.redirect(f"/signature/{visit.services.tokens.for_signature(letter.id, own_id)}")


def _expired(visit: Visit, letter: Letter) -> Response:
    return visit.message_page(410, GONE, GONE_WHY, letter=letter)


def nothing_stored(visit: Visit, letter: Letter) -> Response:
    """Answer to a link whose signature was deleted, or was never confirmed: nothing is left that could tell."""
    return visit.message_page(410, NOTHING_STORED, NOTHING_STORED_WHY, letter=letter)
