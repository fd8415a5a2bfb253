"""What stands between a form and its act: a solved challenge, the limits, and the pages when either is missing."""

from collections.abc import Mapping

from starlette.responses import Response

from petition.captcha import Passed
from petition.captcha.drawn import MAX_TRIES
from petition.core import quotas
from petition.core.errors import Paused, Unavailable
from petition.core.i18n import N_
from petition.core.quotas import HARDER_FACTOR, DayKey, Quota
from petition.letters.published import PublishedLetter
from petition.letters.switches import OFF, STRONGER
from petition.web import headers
from petition.web.public.shown_form import ShownForm, typed_values
from petition.web.public.visit import Visit

HOUR = 3600  # seconds

TOO_MANY = N_("Too many forms have been sent from your network in the last hour.")
AWAY = N_("We could not store this just now. Nothing is lost: press the button again in a moment.")
TRY_LATER = N_("Try again in an hour. What you typed has not been stored.")


def network_quota(visit: Visit, day: DayKey) -> tuple[Quota, int]:
    """Return what this request counts against, and the limit there."""
    limits, network = visit.services.settings.limits, visit.network
    return day.hourly("network", network.narrowest), limits.onion if network.is_shared else limits.network


async def is_over_limit(visit: Visit, day: DayKey) -> bool:
    """Return whether the network has used up its limit, for a harder challenge; False while the database is down."""
    quota, limit = network_quota(visit, day)
    try:
        async with visit.services.database.connection() as conn:
            return await quotas.spent(conn, quota) >= limit
    except Unavailable:
        return False


async def require_challenge(visit: Visit, published: PublishedLetter, form: Mapping[str, str]) -> Passed | Response:
    """Return the solved challenge in ``form``, or the page that asks for one. Raises ``Unavailable``."""
    captchas = visit.services.captchas
    switch = published.letter.switches.captcha
    excess = await _count_drawn(visit, form)
    if excess > 1:
        return too_many_requests(visit)
    result = await captchas.check(form, published.letter.id, drawn=excess <= 0, forced=switch != OFF)
    if isinstance(result, Passed):
        return result if result.hard or switch != STRONGER else one_more_step(visit, published, form, hard=True)
    day = await visit.services.day_keys.today()
    hard = switch == STRONGER or await is_over_limit(visit, day)
    return one_more_step(visit, published, form, hard=hard, wrong=bool(form.get("code")))


def check_writable(published: PublishedLetter) -> None:
    """Raise ``Paused`` while the letter is read-only."""
    if published.letter.switches.read_only is not None:
        raise Paused(published.letter.switches.read_only)


async def _count_drawn(visit: Visit, form: Mapping[str, str]) -> int:
    """Count an answer to a drawn code, committed before anything is compared.

    Return 0 if it may be compared, 1 if this challenge has had its tries, 2 if the network has.
    """
    services = visit.services
    nonce = services.captchas.drawn_nonce(form)
    if nonce is None:
        return 0
    day = await services.day_keys.today()
    limit = services.settings.limits.drawn * (HARDER_FACTOR if visit.network.is_shared else 1)
    per_challenge, per_network = day.hourly("drawn", nonce.hex()), day.hourly("drawn-network", visit.network.narrowest)
    async with services.database.transaction() as conn:
        spent = await quotas.spend(conn, {per_challenge: 1, per_network: 1})
    if spent[per_network.key] > limit:
        return 2
    return 1 if spent[per_challenge.key] > MAX_TRIES else 0


def one_more_step(
    visit: Visit, published: PublishedLetter, form: Mapping[str, str], *, hard: bool, wrong: bool = False
) -> Response:
    """Answer with a challenge and everything typed; ``wrong``: the last answer was."""
    captchas = visit.services.captchas
    drawn = captchas.draw(published.letter.id, hard=hard)
    site_key = captchas.hcaptcha_site_key
    response = visit.page(
        "signatures/one_more_step.html",
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
    )
    if site_key:
        policy = headers.policy(visit.services.renderer.css_hash, captchas.sources)
        response.headers["content-security-policy"] = policy
    return response


def too_many_requests(visit: Visit) -> Response:
    return visit.message_page(429, TOO_MANY, TRY_LATER, retry_after=HOUR)
