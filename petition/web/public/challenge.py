"""What stands between a form and its act: a solved challenge, the limits, and the pages when either is missing."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.responses import Response

from petition.captcha import Passed
from petition.captcha.drawn import MAX_TRIES
from petition.core import prices, quotas
from petition.core.errors import Paused, Unavailable
from petition.core.i18n import N_
from petition.core.prices import Buckets, buckets_of
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.letters.switches import OFF, STRONGER
from petition.web import headers, http, solved_before
from petition.web.http import ErrorText
from petition.web.public import signing_mail
from petition.web.public.shown_form import ShownForm, typed_values
from petition.web.public.visit import Visit, with_retry_after

HOUR = 3600  # seconds

_PAGE = "signatures/one_more_step.html"

TOO_MANY = N_("Too many forms have been sent from your network in the last hour.")
AWAY = N_("We could not store this just now. Nothing is lost: press the button again in a moment.")
TRY_LATER = N_("Try again in an hour. What you typed has not been stored.")


async def buckets(visit: Visit, letter: Letter) -> Buckets:
    """Return the buckets in which a form of this visit counts. Raises ``Unavailable``."""
    limits, hours = visit.services.settings.limits, await visit.services.day_keys.hours()
    return buckets_of(visit.network, letter.id, limits, hours, lowest=_lowest_price(letter))


async def price(visit: Visit, letter: Letter) -> int:
    """Return the price of a form to ``letter`` in this hour; the lowest while the database is down."""
    try:
        counted = await buckets(visit, letter)
        async with visit.services.database.connection() as conn:
            return await prices.current(conn, counted)
    except Unavailable:
        return _lowest_price(letter)


def _lowest_price(letter: Letter) -> int:
    return 1 if letter.switches.captcha == STRONGER else 0


async def require_challenge(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> Passed | Response:
    """Return the solved challenge in ``form``, or the page that asks for one. Raises ``Unavailable``."""
    captchas, letter = visit.services.captchas, published.letter
    if (solved := solved_before.passed_in(visit.services, letter.id, form)) is not None:
        return await _admitted(visit, published, form, solved)
    switch = letter.switches.captcha
    excess = await _count_drawn(visit, form)
    if excess > 1:
        return too_many_requests(visit)
    try:
        async with _verify_slot(visit, form):
            result = await captchas.check(form, letter.id, drawn=excess <= 0, forced=switch != OFF)
    except Unavailable:  # its network has more than its share of hCaptcha's answers on their way
        return await one_more_step(visit, published, form)
    if isinstance(result, Passed):
        return await _admitted(visit, published, form, result)
    return await one_more_step(visit, published, form, wrong=bool(form.get("code")))


async def _admitted(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], passed: Passed
) -> Passed | Response:
    """Return what was solved if it is enough now, and note it for the case that the form cannot be stored."""
    if not passed.drawn and passed.price < _lowest_price(published.letter):
        return await one_more_step(visit, published, form)
    solved_before.note(visit.request, published.letter.id, passed)
    return passed


def _verify_slot(visit: Visit, form: Mapping[str, str]) -> AbstractAsyncContextManager[None]:
    services = visit.services
    return services.throttle.verify_slot(visit.network) if services.captchas.asks_hcaptcha(form) else nullcontext()


def check_writable(published: PublishedLetter) -> None:
    """Raise ``Paused`` while the letter is read-only."""
    if published.letter.switches.read_only is not None:
        raise Paused(published.letter.switches.read_only)


async def _count_drawn(visit: Visit, form: Mapping[str, str]) -> int:
    """Count an answer to a drawn code, committed before anything is compared.

    Return 0 if it may be compared, 1 if this challenge has had its tries, 2 if the client's own network has. The Onion
    service as a whole has no limit: there each picture has its tries, and each circuit, if Tor tells it.
    """
    services, network = visit.services, visit.network
    nonce = services.captchas.drawn_nonce(form)
    if nonce is None:
        return 0
    hour, _ = await services.day_keys.hours()
    per_challenge = hour.quota("drawn", nonce.hex())
    per_network = hour.hidden("drawn-network", network.narrowest, services.settings.limits.drawn)
    async with visit.form_slot(), services.database.transaction() as conn:
        spent = await quotas.spend(conn, {per_challenge: 1, per_network.quota: 1})
    if network.has_own_bucket and spent[per_network.quota.key] > per_network.limits[0]:
        return 2
    return 1 if spent[per_challenge.key] > MAX_TRIES else 0


async def one_more_step(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], *, wrong: bool = False
) -> Response:
    """Answer with a challenge and everything typed; ``wrong``: the last answer was. Raises ``Unavailable``."""
    async with visit.form_slot():
        return await _step_page(visit, published, form, wrong=wrong)


async def _step_page(visit: Visit, published: PublishedLetter, form: Mapping[str, str], *, wrong: bool) -> Response:
    captchas = visit.services.captchas
    hard = await price(visit, published.letter) > 0
    drawn = captchas.draw(published.letter.id, hard=hard)
    site_key = captchas.hcaptcha_site_key
    await visit.turn()
    response = visit.page(
        _PAGE,
        422,
        letter=published.letter,
        form=ShownForm(typed_values(form)),
        form_path=visit.form_path,
        drawn=drawn,
        question=captchas.question(drawn.token, visit.lang).text(visit.gettext),
        hcaptcha_site_key=site_key,
        hard=hard,
        wrong=wrong,
        here=f"/{published.letter.slug}",
        mailto=signing_mail.mailto(visit.services, published.letter, visit.lang) if visit.form_path == "sign" else None,
    )
    if site_key:
        policy = headers.policy(visit.services.renderer.sheet_of(_PAGE).hash, captchas.sources)
        response.headers["content-security-policy"] = policy
    return response


def too_many_requests(visit: Visit) -> Response:
    text = ErrorText(visit.gettext(TOO_MANY), visit.gettext(TRY_LATER), retry_after=HOUR)
    return with_retry_after(http.error_page(visit.request, 429, text), HOUR)
