"""Signing and what follows at once: the form, the lost link."""

import secrets
from collections.abc import Mapping
from itertools import chain

from starlette.responses import JSONResponse, Response

from petition.captcha import Passed
from petition.core import email_addresses
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import Gone, Unavailable
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.core.keeper import FormTexts, KeeperPurpose
from petition.letters.published import PublishedLetter
from petition.letters.switches import OFF
from petition.signatures import forms, sealed_names
from petition.signatures.model import Kind, Visibility
from petition.signatures.signals import DOMAIN, PARTNER, domain_digests
from petition.signatures.signing import MailQuotas, PendingSignature, SignOutcome, SignRequest
from petition.stored_data.notice import NOTICE_VERSION
from petition.web import solved_before
from petition.web.public import address_question, challenge, letter_page
from petition.web.public.shown_form import CHALLENGE_FIELDS, ShownForm, typed_values
from petition.web.public.visit import Visit, with_retry_after

AWAY = 503
SUPERSEDED = N_("The text of the letter has changed since you opened it. Read it again before you sign.")
CLOSED = N_("This letter was closed while you were reading. It no longer takes signatures.")
STOPPED = N_("Signing was stopped while you were reading. Nothing you typed has been stored.")


async def new_challenge(visit: Visit) -> Response:
    """Answer with a fresh challenge for the script, at the price of this hour."""
    services = visit.services
    letter = (await services.letters.get(visit.request.query_params.get("letter", ""))).letter
    async with visit.form_slot():
        price = await challenge.price(visit, letter)
        response = services.captchas.challenge(letter.id, price=price, forced=letter.switches.captcha != OFF)
    return JSONResponse(response, headers={"cache-control": "no-store"})


async def to_letter(visit: Visit) -> Response:
    """Redirect a GET of a form's address to the letter."""
    return visit.redirect(f"/{visit.slug}")


async def show_form(visit: Visit) -> Response:
    """Show the page with the form as it is filled in, in another language or for the other kind; store nothing.

    Errors are shown only if the form has come back with errors before (``checked``), or if the text has changed. 422:
    this is no form of ours.
    """
    visit.allow_form()
    form = await visit.form_in_turn(visit.services.sign_line)
    form["kind"] = form.pop("switch_to", form.get("kind", ""))
    published = await visit.published()
    errors: Mapping[str, str] = {}
    if published.letter.takes_signatures:
        if "version" in form and form["version"] != published.letter.version.digest:
            return await _superseded(visit, published, form)
        errors = _errors(visit, published, form) if form.get("checked") else {}
    return await _page_again(visit, published, form, errors, status=200 if "version" in form else 422)


async def sign(visit: Visit) -> Response:
    """Store a pending signature and answer 303, or show the page again with what is wrong."""
    visit.allow_form()
    form = address_question.answered(await visit.form_in_turn(visit.services.sign_line))
    published = await visit.published()
    letter = published.letter
    if not letter.is_open:
        return await _page_again(visit, published, form, {"": CLOSED}, status=409)
    if not letter.takes_signatures:
        return await _stopped(visit, published, form)
    if form.get("version") != letter.version.digest:
        return await _superseded(visit, published, form)
    sign_form = forms.read(form, tuple(visit.services.renderer.languages), letter.offered_employers)
    if isinstance(sign_form, dict):
        return await _page_again(visit, published, form, sign_form, status=422)
    if (question := await address_question.ask(visit, published, form, sign_form.mailbox)) is not None:
        return question
    try:
        passed = await challenge.require_challenge(visit, published, form)
        if isinstance(passed, Response):
            return passed
        pending = _pending_signature(visit, published, form, sign_form)
        sign_request = await _sign_request(
            visit, published, form, mailbox=sign_form.mailbox, passed=passed, pending=pending
        )
        outcome = await visit.services.signing.submit(sign_request)
        return await _answer(visit, published, form, outcome)
    except Unavailable as error:
        if not visit.has_time_for_page(visit.services.sign_line):
            raise
        page = await _page_again(visit, published, form, {"": challenge.AWAY}, status=503)
        return with_retry_after(page, error.retry_after)


async def _answer(visit: Visit, published: PublishedLetter, form: Mapping[str, str], outcome: SignOutcome) -> Response:
    match outcome:
        case SignOutcome.STORED | SignOutcome.DUPLICATE:
            return visit.redirect(f"/{published.letter.slug}/check-your-inbox")
        case SignOutcome.CLOSED:
            return await _page_again(visit, await visit.refreshed(published), form, {"": CLOSED}, status=409)
        case SignOutcome.STOPPED:
            return await _stopped(visit, await visit.refreshed(published), form)
        case SignOutcome.SUPERSEDED:
            return await _superseded(visit, await visit.refreshed(published), form)
        case _:
            return await _rejection(visit, published, form, outcome)


async def _rejection(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], outcome: SignOutcome
) -> Response:
    """Answer what the forms for signing and for the lost link are refused for alike. Raises ``Gone``."""
    if outcome is SignOutcome.GONE:
        raise Gone("the letter was taken down")
    if outcome is SignOutcome.REFUSED:
        return challenge.too_many_requests(visit)
    return await challenge.one_more_step(visit, published, form)


def _pending_signature(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], sign_form: forms.SignForm
) -> PendingSignature:
    letter = published.letter
    # The partner by whose link the visitor came, if an organizer has registered it.
    partner, signals = letter.partners.get(form.get("from", "")), dict[str, object](sign_form.signals or {})
    if partner is not None and sign_form.visibility is not Visibility.COUNTED:
        signals[PARTNER] = partner
    if sign_form.kind is Kind.ORGANIZATION:
        signals[DOMAIN] = domain_digests(sign_form.mailbox.domain, letter.keys.digest)
    fields = _fields_to_store(sign_form)
    if letter.seals_names:
        signals |= sealed_names.signals_before(fields)
        fields = sealed_names.seal(visit.services.sealer, fields)
    return PendingSignature(
        id=SignatureId(secrets.randbits(63)),
        kind=sign_form.kind,
        fields=letter.keys.hide(fields),
        version=letter.version.number,
        consent=NOTICE_VERSION,
        read_lang=letter.shown_in(visit.lang),
        signals=signals or None,
    )


def _fields_to_store(sign_form: forms.SignForm) -> dict[str, str]:
    fields = {**sign_form.fields, "visibility": sign_form.visibility.value}
    # The page that confirms says what was left out.
    return fields | {forms.LEFT_OUT: " ".join(sign_form.left_out)} if sign_form.left_out else fields


async def _sign_request(
    visit: Visit,
    published: PublishedLetter,
    form: Mapping[str, str],
    *,
    mailbox: Mailbox,
    passed: Passed,
    pending: PendingSignature | None,
) -> SignRequest:
    letter = published.letter
    day = await visit.services.day_keys.today()
    typed = chain.from_iterable(sorted(_what_was_typed(form)))  # no field holds a \0
    digests = await visit.services.keeper.of_form(
        letter.keys,
        FormTexts(
            email_addresses.canonical(mailbox, letter.rules_version),
            "\0".join(("form", visit.request.scope["path"], *typed)),
        ),
        day,
        KeeperPurpose.FIND if pending is None else KeeperPurpose.SIGN,
    )
    name = digests.quota_name
    return SignRequest(
        letter_id=letter.id,
        digest=digests.mailbox,
        is_kept=letter.keys.is_kept,
        address=mailbox.address,
        mail_lang=visit.lang,
        challenge=passed,
        buckets=await challenge.buckets(visit, letter),
        mails=MailQuotas(
            from_network=day.daily("mailbox-network", f"{visit.network.narrowest}|{name}"),
            in_all=day.daily("mailbox", name),
            of_letter=day.daily("mailbox-letter", f"{letter.id}|{name}"),
        ),
        drawn=day.hourly("drawn-letter", str(letter.id)) if passed.drawn else None,
        form=digests.form,
        pending=pending,
    )


def _what_was_typed(form: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what makes two forms the same: a form sent again brings its challenge back in another field."""
    left_out = CHALLENGE_FIELDS | {address_question.ANSWER}
    return [(name, value) for name, value in form.items() if value and name not in left_out]


async def _page_again(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], errors: Mapping[str, str], *, status: int
) -> Response:
    values = typed_values(form) | (solved_before.fields(visit.request) if status == AWAY else {})
    async with visit.form_slot():
        return await letter_page.with_form(visit, published, visit.refused_form(values, errors), status)


async def _stopped(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> Response:
    page = await _page_again(visit, published, form, {"": STOPPED}, status=503)
    return with_retry_after(page, challenge.HOUR)


async def _superseded(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> Response:
    """Show the new text with all other errors; consent must be given again."""
    values = {name: value for name, value in form.items() if name != "consent"}
    errors = {name: message for name, message in _errors(visit, published, form).items() if name != "consent"}
    return await _page_again(visit, published, values, {"": SUPERSEDED, **errors}, status=422)


def _errors(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> dict[str, str]:
    read = forms.read(form, tuple(visit.services.renderer.languages), published.letter.offered_employers)
    return read if isinstance(read, dict) else {}


async def find(visit: Visit) -> Response:
    """Ask for the address whose link was lost, or say that its link has been sent if there is one."""
    return _find_page(visit, await visit.published(), ShownForm(), sent="sent" in visit.request.query_params)


async def send_link(visit: Visit) -> Response:
    """Have the link sent again; the answer is the same whether or not there is one."""
    visit.allow_form()
    form = address_question.answered(await visit.form_in_turn(visit.services.sign_line))
    published = await visit.published()
    challenge.check_writable(published)
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        await visit.turn()
        return _find_page(
            visit, published, visit.refused_form(typed_values(form), {"email": error.message}), status=422
        )
    if (question := await address_question.ask(visit, published, form, mailbox)) is not None:
        return question
    try:
        passed = await challenge.require_challenge(visit, published, form)
        if isinstance(passed, Response):
            return passed
        sign_request = await _sign_request(visit, published, form, mailbox=mailbox, passed=passed, pending=None)
        outcome = await visit.services.signing.submit(sign_request)
    except Unavailable as error:
        if not visit.has_time_for_page(visit.services.sign_line):
            raise
        values = typed_values(form) | solved_before.fields(visit.request)
        shown_form = visit.refused_form(values, {"": challenge.AWAY})
        await visit.turn()
        return with_retry_after(_find_page(visit, published, shown_form, status=503), error.retry_after)
    match outcome:
        case SignOutcome.GONE | SignOutcome.REFUSED | SignOutcome.HARDER_CHALLENGE | SignOutcome.CHALLENGE_USED:
            return await _rejection(visit, published, form, outcome)
        case _:
            return visit.redirect(f"/{published.letter.slug}/find?sent=1")


def _find_page(
    visit: Visit, published: PublishedLetter, form: ShownForm, *, sent: bool = False, status: int = 200
) -> Response:
    return visit.page("signatures/find.html", status, letter=published.letter, form=form, sent=sent)
