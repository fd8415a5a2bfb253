"""Confirming: the mailed link shows what will be stored, only a button's POST confirms; or the mailed code is typed."""

import re

from starlette.requests import Request
from starlette.responses import Response

from petition.core import email_addresses, quotas
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import KeyDestroyed, Unavailable
from petition.core.i18n import N_, pick_language
from petition.core.ids import SignatureId
from petition.letters.published import PublishedLetter
from petition.signatures import queries
from petition.signatures.confirming import Confirmation, ConfirmRequest, ConfirmResult
from petition.signatures.model import Kind
from petition.web import http
from petition.web.public import challenge
from petition.web.public.form_values import ShownForm

HOUR, DAY = 3600, 86400

GONE = N_("This link has expired")
GONE_WHY = N_(
    "A signature can be confirmed for 7 days, and no later than one day after the letter closes. You can sign again."
)
REMOVED = N_("This signature was removed")
REMOVED_WHY = N_("The organizers removed a signature made from this mailbox. It cannot sign this letter again.")
STOPPED = N_("Signing is stopped for now. You can use the code, or the link in the e-mail, later.")
WRONG_CODE = N_("This code does not match this address, or it is more than 24 hours old.")
SIX_DIGITS = N_("The code has six digits.")
TOO_MANY_TRIES = N_("Too many codes have been tried today. The link in the e-mail still works.")


async def show(request: Request) -> Response:
    """Show what is about to be confirmed. Mail scanners open links, so this changes nothing."""
    http.check_lang(request)
    return await _page(request, *await _place(request, request.path_params["token"]))


async def _page(request: Request, live: PublishedLetter, signature_id: SignatureId, status: int = 200) -> Response:
    """Show it, with the button, or why there is none for now and until when the link works."""
    services, token = http.services_of(request), request.path_params["token"]
    stopped = None if (why := live.letter.switches.pause) is None else pick_language(why, http.lang_of(request))
    async with services.database.connection() as conn:
        row = await queries.see_pending(conn, live.letter.id, signature_id)
        known = await queries.states(conn, [live.letter.id], [signature_id]) if row is None else []
    if known:
        return http.redirect(f"/{http.lang_of(request)}/signature/{token}")
    if row is None or not row["confirmable"]:
        return _gone(request)
    try:
        fields = live.letter.keys.reveal(row["fields"])
    except KeyDestroyed:
        return _gone(request)
    return http.page(
        request,
        "signatures/confirm.html",
        status,
        letter=live.letter,
        stopped=stopped,
        until=row["until"],
        token=token,
        kind=Kind(row["kind"]),
        fields=fields,
        visibility=fields["visibility"],
        version_changed=row["version"] != live.letter.version.number,
    )


async def confirm(request: Request) -> Response:
    """Confirm the signature that the link belongs to."""
    http.check_lang(request)
    live, signature = await _place(request, request.path_params["token"])
    claim = ConfirmRequest(live.letter.id, signature, live.letter.keys)
    confirmation = await http.services_of(request).confirming.submit(claim)
    if confirmation.result is ConfirmResult.STOPPED:
        response = await _page(request, await _now(request, live), signature, 503)
        response.headers["retry-after"] = str(HOUR)
        return response
    return _answer(request, live, confirmation)


async def confirm_by_code(request: Request) -> Response:
    """Confirm the signature that the typed address and code belong to."""
    http.check_lang(request)
    form = await http.form_of(request)
    live = await http.services_of(request).letters.get(request.path_params["slug"])
    code = re.sub(r"\s", "", form.get("code", ""))
    errors: dict[str, str] = {}
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        errors["email"] = error.message
    if not re.fullmatch(r"[0-9]{6}", code):
        errors["code"] = SIX_DIGITS
    if errors:
        return _inbox(request, live, form, errors, 422)
    try:
        return await _by_code(request, live, form, mailbox, code)
    except Unavailable as error:
        return challenge.with_retry_after(_inbox(request, live, form, {"": challenge.AWAY}, 503), error)


async def _by_code(
    request: Request, live: PublishedLetter, form: dict[str, str], mailbox: Mailbox, code: str
) -> Response:
    services = http.services_of(request)
    digest = live.letter.keys.digest(email_addresses.canonical(mailbox, live.letter.rules_version))
    if wait := await _count_try(request, live, digest):
        response = _inbox(request, live, form, {"": TOO_MANY_TRIES}, 429)
        response.headers["retry-after"] = str(wait)
        return response
    async with services.database.connection() as conn:
        rows = await queries.by_code(conn, live.letter.id, digest)
    # All are compared, so that the time says nothing about which fits.
    fits = [row["id"] for row in rows if services.tokens.is_code(code, live.letter.id, row["id"])]
    if not fits:
        return _inbox(request, live, form, {"code": WRONG_CODE}, 422)
    claim = ConfirmRequest(live.letter.id, fits[0], live.letter.keys)
    confirmation = await services.confirming.submit(claim)
    if confirmation.result is ConfirmResult.STOPPED:
        response = _inbox(request, await _now(request, live), form, {"": STOPPED}, 503)
        response.headers["retry-after"] = str(HOUR)
        return response
    return _answer(request, live, confirmation)


async def _count_try(request: Request, live: PublishedLetter, digest: bytes) -> int:
    """Count a try, committed before anything is compared; unknown addresses alike.

    Return 0, or the seconds to wait if there have been too many.
    """
    services = http.services_of(request)
    day = await services.day_keys.today()
    bounds = services.settings.limits
    mailbox = day.daily("code", f"{live.letter.id}|{digest.hex()}")
    network = day.hourly("code-network", http.network_of(request))
    async with services.database.transaction() as conn:
        now = await quotas.spend(conn, {mailbox: 1, network: 1})
    if now[mailbox.key] > bounds.code:
        return DAY
    return HOUR if now[network.key] > bounds.code_network else 0


def _inbox(
    request: Request, live: PublishedLetter, form: dict[str, str], errors: dict[str, str], status: int
) -> Response:
    language = http.language_of(request)
    told = {key: language.gettext(message) for key, message in errors.items()}
    return http.page(
        request,
        "signatures/check_your_inbox.html",
        status,
        letter=live.letter,
        form=ShownForm(form, told),
        here=f"/{live.letter.slug}/check-your-inbox",
    )


def _answer(request: Request, live: PublishedLetter, confirmation: Confirmation) -> Response:
    if confirmation.result is ConfirmResult.GONE:
        return _gone(request)
    if confirmation.result is ConfirmResult.REMOVED:
        return _calm(request, 410, REMOVED, REMOVED_WHY)
    # These pages say "it waits".
    waiting = Kind.ORGANIZATION.value if confirmation.kind is Kind.ORGANIZATION else "waiting"
    suffix = f"?as={waiting}" if confirmation.result is ConfirmResult.HELD else ""
    return http.redirect(f"/{http.lang_of(request)}/{live.letter.slug}/signed{suffix}")


async def _place(request: Request, token: str) -> tuple[PublishedLetter, SignatureId]:
    services = http.services_of(request)
    letter, signature = services.tokens.read_signature(token)
    return await services.letters.by_id(letter), signature


async def _now(request: Request, live: PublishedLetter) -> PublishedLetter:
    """Return the letter as the database has it. Raises ``Unavailable``."""
    board = http.services_of(request).letters
    await board.refresh()
    return await board.get(live.letter.slug)


def _gone(request: Request) -> Response:
    return _calm(request, 410, GONE, GONE_WHY)


def _calm(request: Request, status: int, title: str, message: str) -> Response:
    language = http.language_of(request)
    return http.page(
        request,
        "error.html",
        status,
        status=status,
        title=language.gettext(title),
        message=language.gettext(message),
        retry_after=None,
    )
