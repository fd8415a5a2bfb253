"""Signing and what follows at once: the form that is sent, check your inbox, the lost link."""

import secrets
from collections.abc import Mapping
from itertools import chain

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.captcha import Passed
from petition.core import email_addresses
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.errors import Gone, Unavailable
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.letters.published import PublishedLetter
from petition.letters.switches import OFF, STRONGER
from petition.signatures import forms
from petition.signatures.model import Kind
from petition.signatures.signals import PARTNER
from petition.signatures.signing import PendingSignature, SignOutcome, SignRequest
from petition.web import http
from petition.web.page_cache import CachedResponse
from petition.web.public import challenge, letter_page
from petition.web.public.form_values import ShownForm

SUPERSEDED = N_("The text of the letter has changed since you opened it. Read it again before you sign.")
CLOSED = N_("This letter was closed while you were reading. It no longer takes signatures.")
STOPPED = N_("Signing was stopped while you were reading. Nothing you typed has been stored.")

WAITING = "waiting"  # a person whose signature is held


async def give_challenge(request: Request) -> Response:
    """Give the script a fresh challenge, a dearer one where many have come from the same network."""
    services = http.services_of(request)
    live = await services.letters.get(request.query_params.get("letter", ""))
    captcha = live.letter.switches.captcha
    dear = captcha == STRONGER
    try:
        if not dear:
            day = await services.day_keys.today()
            dear = await challenge.is_over(services, *challenge.network_use(request, day))
    except Unavailable:
        dear = False
    answer = services.captchas.challenge(live.letter.id, dear=dear, forced=captcha != OFF)
    return JSONResponse(answer, headers={"cache-control": "no-store"})


async def to_letter(request: Request) -> Response:
    """Lead whoever asks for the form's address back to the letter."""
    return http.redirect(f"/{http.check_lang(request)}/{request.path_params['slug']}")


async def sign(request: Request) -> Response:
    """Take a filled form; answer 303 once it is stored, or the page again with what is wrong."""
    http.check_lang(request)
    services = http.services_of(request)
    services.throttle.allow_form(http.network_of(request))
    form = await http.form_of(request)
    live = await services.letters.get(request.path_params["slug"])
    kind = forms.kind_of(form)
    if not live.letter.is_open:
        return await _again(request, live, kind, form, {"": CLOSED}, 409)
    if not live.letter.takes_signatures:
        return await _stopped(request, live, kind, form)
    if form.get("version") != live.letter.version.digest:
        return await _superseded(request, live, kind, form)
    draft = forms.read(form, tuple(services.renderer.languages))
    if isinstance(draft, dict):
        return await _again(request, live, kind, form, draft, 422)
    try:
        passed = await challenge.require_challenge(request, form, live, "sign")
        if isinstance(passed, Response):
            return passed
        wish = await _wish(request, live, draft.mailbox, passed, form, _pending(request, live, form, draft))
        return await _answer(request, live, kind, form, await services.signing.submit(wish))
    except Unavailable as error:
        return challenge.with_retry_after(await _again(request, live, kind, form, {"": challenge.AWAY}, 503), error)


async def _answer(
    request: Request, live: PublishedLetter, kind: Kind, form: Mapping[str, str], outcome: SignOutcome
) -> Response:
    match outcome:
        case SignOutcome.STORED | SignOutcome.DUPLICATE:
            return http.redirect(f"/{http.lang_of(request)}/{live.letter.slug}/check-your-inbox")
        case SignOutcome.CLOSED:
            return await _again(request, await _now(request, live), kind, form, {"": CLOSED}, 409)
        case SignOutcome.STOPPED:
            return await _stopped(request, await _now(request, live), kind, form)
        case SignOutcome.GONE:
            raise Gone("the letter was taken down")
        case SignOutcome.SUPERSEDED:
            return await _superseded(request, await _now(request, live), kind, form)
        case SignOutcome.REFUSED:
            return challenge.too_many_requests(request)
        case SignOutcome.HARDER_CHALLENGE | SignOutcome.CHALLENGE_USED:
            return challenge.one_more_step(request, form, live, "sign", dear=outcome is SignOutcome.HARDER_CHALLENGE)


def _pending(
    request: Request, live: PublishedLetter, form: Mapping[str, str], draft: forms.SignForm
) -> PendingSignature:
    lang = http.lang_of(request)
    return PendingSignature(
        id=SignatureId(secrets.randbits(63)),
        kind=draft.kind,
        fields=live.letter.keys.hide({**draft.fields, "visibility": draft.visibility.value}),
        version=live.letter.version.number,
        consent=forms.CONSENT_VERSION,
        read_lang=live.letter.shown_in(lang),
        signals=_signals(live, form, draft),
    )


def _signals(live: PublishedLetter, form: Mapping[str, str], draft: forms.SignForm) -> Mapping[str, object] | None:
    """Return the signals with the partner by whose link the visitor came, if it is one."""
    partner = live.letter.partners.get(form.get("from", ""))
    return draft.signals if partner is None else {**(draft.signals or {}), PARTNER: partner}


async def _wish(
    request: Request,
    live: PublishedLetter,
    mailbox: Mailbox,
    passed: Passed,
    form: Mapping[str, str],
    pending: PendingSignature | None,
) -> SignRequest:
    services, letter = http.services_of(request), live.letter
    day = await services.day_keys.today()
    canonical = email_addresses.canonical(mailbox, letter.rules_version)
    network, network_limit = challenge.network_use(request, day)
    return SignRequest(
        letter_id=letter.id,
        digest=letter.keys.digest(canonical),
        address=mailbox.address,
        mail_lang=http.lang_of(request),
        challenge=passed,
        network=network,
        network_limit=network_limit,
        per_letter=day.hourly("letter", str(letter.id)),
        mailbox=day.daily("mailbox", canonical),
        form=day.digest("\0".join(("form", request.scope["path"], *chain(*sorted(form.items()))))),  # no field has a \0
        pending=pending,
    )


async def _again(
    request: Request, live: PublishedLetter, kind: Kind, form: Mapping[str, str], errors: Mapping[str, str], status: int
) -> Response:
    language = http.language_of(request)
    told = {key: language.gettext(message) for key, message in errors.items()}
    return await letter_page.with_form(request, live, kind, challenge.form_values(form, told), status)


async def _now(request: Request, live: PublishedLetter) -> PublishedLetter:
    """Return the letter as the database has it, which has just told us that ours is older. Raises ``Unavailable``."""
    board = http.services_of(request).letters
    await board.refresh()
    return await board.get(live.letter.slug)


async def _stopped(request: Request, live: PublishedLetter, kind: Kind, form: Mapping[str, str]) -> Response:
    """Say why, where the form stood."""
    response = await _again(request, live, kind, form, {"": STOPPED}, 503)
    response.headers["retry-after"] = str(challenge.HOUR)
    return response


async def _superseded(request: Request, live: PublishedLetter, kind: Kind, form: Mapping[str, str]) -> Response:
    """Show the new text to agree to, and whatever else is wrong; agreeing has to be done again."""
    kept = {key: value for key, value in form.items() if key != "consent"}
    found = forms.read(form, tuple(http.services_of(request).renderer.languages))
    wrong = {key: message for key, message in found.items() if key != "consent"} if isinstance(found, dict) else {}
    return await _again(request, live, kind, kept, {"": SUPERSEDED, **wrong}, 422)


async def check_your_inbox(request: Request) -> Response:
    """Say that a mail is on its way, and take its code from those who would rather type than click."""
    http.check_lang(request)
    live = await http.services_of(request).letters.get(request.path_params["slug"])
    return http.page(request, "signatures/check_your_inbox.html", letter=live.letter, form=ShownForm())


async def find(request: Request) -> Response:
    """Ask for the address whose link was lost, or say that its link has been sent if there is one."""
    http.check_lang(request)
    live = await http.services_of(request).letters.get(request.path_params["slug"])
    return _find_page(request, live, ShownForm(), sent="sent" in request.query_params)


async def send_link(request: Request) -> Response:
    """Have the link sent again; the answer is the same whether or not there is one."""
    http.check_lang(request)
    services = http.services_of(request)
    services.throttle.allow_form(http.network_of(request))
    form = await http.form_of(request)
    live = await services.letters.get(request.path_params["slug"])
    challenge.check_writable(live)
    try:
        mailbox = email_addresses.parse(form.get("email", ""))
    except BadAddress as error:
        told = {"email": http.language_of(request).gettext(error.message)}
        return _find_page(request, live, challenge.form_values(form, told), status=422)
    try:
        passed = await challenge.require_challenge(request, form, live, "find")
        if isinstance(passed, Response):
            return passed
        outcome = await services.signing.submit(await _wish(request, live, mailbox, passed, form, None))
    except Unavailable as error:
        told = {"": http.language_of(request).gettext(challenge.AWAY)}
        return challenge.with_retry_after(
            _find_page(request, live, challenge.form_values(form, told), status=503), error
        )
    if outcome is SignOutcome.GONE:
        raise Gone("the letter was taken down")
    if outcome is SignOutcome.REFUSED:
        return challenge.too_many_requests(request)
    if outcome in {SignOutcome.HARDER_CHALLENGE, SignOutcome.CHALLENGE_USED}:
        return challenge.one_more_step(request, form, live, "find", dear=outcome is SignOutcome.HARDER_CHALLENGE)
    return http.redirect(f"/{http.lang_of(request)}/{live.letter.slug}/find?sent=1")


def _find_page(
    request: Request, live: PublishedLetter, form: ShownForm, *, sent: bool = False, status: int = 200
) -> Response:
    return http.page(request, "signatures/find.html", status, letter=live.letter, form=form, sent=sent)


async def signed(request: Request) -> Response:
    """Say that the signature counts, or that an organization's waits; kept, since it names nobody."""
    lang, slug = http.check_lang(request), request.path_params["slug"]
    services = http.services_of(request)
    await services.letters.get(slug)
    asked = request.query_params.get("as")
    how = asked if asked in {Kind.ORGANIZATION.value, WAITING} else Kind.PERSON.value

    async def make() -> CachedResponse:
        live = await services.letters.get(slug)
        return http.cacheable_page(request, "signatures/signed.html", letter=live.letter, counts=live.counts, how=how)

    key = f"/{lang}/{slug}/signed" + (f"?as={how}" if how != Kind.PERSON else "")
    return http.CachedPageResponse(request, await services.pages.get(key, slug, make))
