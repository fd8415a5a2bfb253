"""Between a form and what it asks for: a solved challenge, limits, and the answers when either is missing."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from petition.captcha import Passed
from petition.captcha.drawn import MAX_TRIES
from petition.core import quotas
from petition.core.client_networks import ONION
from petition.core.errors import Paused, Unavailable
from petition.core.i18n import N_
from petition.core.quotas import HARDER_FACTOR, DayKey, Quota
from petition.letters.published import PublishedLetter
from petition.letters.switches import OFF, STRONGER
from petition.signatures import forms
from petition.web import headers, http
from petition.web.public.form_values import ShownForm
from petition.web.services import Services

HOUR = 3600
SHOWN_ANEW = ("altcha", "h-captcha-response", "drawn", "code")  # answers to a challenge are not typed values

TOO_MANY = N_("Too many forms have been sent from your network in the last hour.")
AWAY = N_("We could not store this just now. Nothing is lost: press the button again in a moment.")
TRY_LATER = N_("Try again in an hour. What you typed has not been stored.")


def network_use(request: Request, day: DayKey) -> tuple[Quota, int]:
    """Return what this request counts against, and the limit there."""
    bounds = http.services_of(request).settings.limits
    network = http.network_of(request)
    return day.hourly("network", network), bounds.onion if network == ONION else bounds.network


async def is_over(services: Services, use: Quota, limit: int) -> bool:
    """Tell whether a network has used its limit up, so that a dearer challenge is due. Never fails: then it has not."""
    try:
        async with services.database.connection() as conn:
            return await quotas.spent(conn, use) >= limit
    except Unavailable:
        return False


async def require_challenge(
    request: Request, form: Mapping[str, str], live: PublishedLetter, what: str
) -> Passed | Response:
    """Return the solved challenge in ``form``, or the page that asks for one.

    ``what`` is "sign" or "find". Raises ``Unavailable``.
    """
    services = http.services_of(request)
    captchas = services.captchas
    wanted = live.letter.switches.captcha
    counted = await _count_drawn(request, services, form)
    if counted > 1:
        return too_many_requests(request)
    result = await captchas.check(form, live.letter.id, drawn=counted <= 0, forced=wanted != OFF)
    if isinstance(result, Passed):
        return result if result.dear or wanted != STRONGER else one_more_step(request, form, live, what, dear=True)
    day = await services.day_keys.today()
    dear = wanted == STRONGER or await is_over(services, *network_use(request, day))
    return one_more_step(request, form, live, what, dear=dear, wrong=bool(form.get("code")))


def check_writable(live: PublishedLetter) -> None:
    """Raise ``Paused`` where nothing is taken for this letter at the moment."""
    if live.letter.switches.read_only is not None:
        raise Paused(live.letter.switches.read_only)


async def _count_drawn(request: Request, services: Services, form: Mapping[str, str]) -> int:
    """Count an answer to a drawn code, committed before anything is compared.

    Return 0 if it may be compared, 1 if this challenge has had its tries, 2 if the network has.
    """
    nonce = services.captchas.drawn_nonce(form)
    if nonce is None:
        return 0
    day = await services.day_keys.today()
    network = http.network_of(request)
    ceiling = services.settings.limits.drawn * (HARDER_FACTOR if network == ONION else 1)
    each, whole = day.hourly("drawn", nonce.hex()), day.hourly("drawn-network", network)
    async with services.database.transaction() as conn:
        now = await quotas.spend(conn, {each: 1, whole: 1})
    if now[whole.key] > ceiling:
        return 2
    return 1 if now[each.key] > MAX_TRIES else 0


def form_values(form: Mapping[str, str], errors: Mapping[str, str] | None = None) -> ShownForm:
    """Return what was typed, without answers to challenges, to be shown again."""
    left_out = {*SHOWN_ANEW, *(box for box in forms.BOXES if not forms.is_ticked(form, box))}
    return ShownForm({key: value for key, value in form.items() if key not in left_out}, dict(errors or {}))


def one_more_step(
    request: Request, form: Mapping[str, str], live: PublishedLetter, what: str, *, dear: bool, wrong: bool = False
) -> Response:
    """Return the page that shows a challenge, with everything typed kept in it."""
    services, lang = http.services_of(request), http.lang_of(request)
    captchas = services.captchas
    drawn = captchas.draw(live.letter.id, dear=dear)
    site_key = captchas.hcaptcha_site_key
    response = http.page(
        request,
        "signatures/one_more_step.html",
        422,
        letter=live.letter,
        form=form_values(form),
        drawn=drawn,
        hcaptcha_site_key=site_key,
        dear=dear,
        wrong=wrong,
        what=what,
        action=f"/{lang}/{live.letter.slug}/{what}",
        here=f"/{live.letter.slug}",
    )
    if site_key:
        response.headers["content-security-policy"] = headers.policy(services.renderer.css_hash, captchas.sources)
    return response


def too_many_requests(request: Request) -> Response:
    """Return the page that refuses for now (429)."""
    language = http.language_of(request)
    response = http.page(
        request,
        "error.html",
        429,
        status=429,
        title=language.gettext(TOO_MANY),
        message=language.gettext(TRY_LATER),
        retry_after=HOUR,
    )
    response.headers["retry-after"] = str(HOUR)
    return response


def with_retry_after(response: Response, error: Unavailable) -> Response:
    """Return ``response``, which keeps what was typed, with the time after which to try again."""
    response.headers["retry-after"] = str(error.retry_after)
    return response
