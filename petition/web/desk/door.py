"""The desk's door: a request for a sign-in link, what it costs, and the page that asks for a proof of work.

Nothing here refuses, since a stranger could use a refusal up for an organizer. Over a limit of the client's own network
comes a proof of work; a device in which the organizer has signed in passes without. What others ask for one mailbox
changes neither answer nor price (that would tell that they do), only when its mails go out (``sign_in_asks``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from petition.captcha import Passed
from petition.captcha.drawn import MAX_TRIES
from petition.captcha.model import CODE_FIELD, DRAWN_FIELD, POW_FIELD
from petition.core import quotas
from petition.core.client_networks import ClientNetwork
from petition.core.database import Connection
from petition.core.email_addresses import Mailbox
from petition.core.ids import LetterId
from petition.core.limits import Limits
from petition.core.quotas import DayKey, Quota
from petition.organizers import remembered_devices, sign_in_asks
from petition.signatures.queries import use_challenges
from petition.web import http
from petition.web.desk import door_cookies
from petition.web.desk.page import desk_page
from petition.web.desk.visit import OpenVisit

NO_LETTER = LetterId(0)  # a challenge of the desk is good for no letter
ANSWER_FIELDS = (POW_FIELD, CODE_FIELD, DRAWN_FIELD)


class ChallengeRequired(Exception):
    """A limit of the client's network is used up, and no challenge was solved; nothing has been counted."""


@dataclass(frozen=True, slots=True)
class _Bucket:
    quota: Quota
    limit: int

    @property
    def drawn_limit(self) -> int:
        """Half to one and a half of the limit, by a digest that no client can compute.

        So the request that is asked for a proof of work tells little about what others of the network have asked.
        """
        return (self.limit + 1) // 2 + int.from_bytes(self.quota.key[:8]) % (self.limit + 1)


async def ask(visit: OpenVisit, form: Mapping[str, str], mailbox: Mailbox) -> str:
    """Have a link mailed to an organizer; return the cookie of the ask. Raises ``ChallengeRequired``."""
    services, day = visit.services, await visit.services.day_keys.today()
    async with visit.database.connection() as conn:
        name = (await services.desk_key.of_mailbox(conn, mailbox)).hex()
    buckets = _buckets(http.network_of(visit.request), name, services.settings.limits, day)
    of_mailbox = day.hourly("entry-mailbox", name)
    solved = await _solved(visit, form, day)
    async with visit.database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md
        slot = None
        if not await _is_remembered(visit, conn, day, mailbox):
            spent = await quotas.spend(conn, {of_mailbox: 1} | {bucket.quota: 1 for bucket in buckets})
            if any(spent[bucket.quota.key] > bucket.drawn_limit for bucket in buckets):
                await _use_challenge(conn, solved)
            slot = sign_in_asks.next_slot() if spent[of_mailbox.key] > services.settings.limits.entry_mailbox else None
        return await sign_in_asks.add(
            conn,
            services.desk_key,
            services.sealer,
            mailbox,
            visit.lang,
            browser_token=door_cookies.asked(visit.request, services.settings),
            slot=slot,
        )


def challenge_page(visit: OpenVisit, form: Mapping[str, str]) -> Response:
    """Ask for a proof of work, which the script does, or for a drawn code; the address is kept."""
    captchas = visit.services.captchas
    drawn = captchas.draw(NO_LETTER, hard=False)
    work = captchas.challenge(NO_LETTER)
    return desk_page(
        visit,
        "desk/one_more_step.html",
        status=422,
        email=form.get("email", ""),
        drawn=drawn,
        question=captchas.question(drawn.token, visit.lang).text(visit.gettext),
        work=work if "parameters" in work else None,
        wrong=bool(form.get(CODE_FIELD)),
    )


def _buckets(network: ClientNetwork, name: str, limits: Limits, day: DayKey) -> list[_Bucket]:
    """Return where a request counts: in each prefix of its network, alone and together with the mailbox."""
    prefixes = list(zip(network.prefixes, network.factors, strict=True))
    alone = [_Bucket(day.hourly("entry-network", prefix), limits.entry_network * n) for prefix, n in prefixes]
    both = [_Bucket(day.hourly("entry", f"{prefix}|{name}"), limits.entry * n) for prefix, n in prefixes]
    return [*alone, *both]


async def _is_remembered(visit: OpenVisit, conn: Connection, day: DayKey, mailbox: Mailbox) -> bool:
    """Return whether the organizer has signed in from this device, for as many requests an hour as a network has."""
    services = visit.services
    token = door_cookies.device(visit.request, services.settings)
    if token is None or not await remembered_devices.knows(conn, services.desk_key, token, mailbox):
        return False
    quota = day.hourly("entry-device", token)
    return (await quotas.spend(conn, {quota: 1}))[quota.key] <= services.settings.limits.entry


async def _solved(visit: OpenVisit, form: Mapping[str, str], day: DayKey) -> Passed | None:
    """Return the challenge that the form has solved, if any; tries at a drawn code are counted before it is read."""
    captchas, answer = visit.services.captchas, {name: form[name] for name in ANSWER_FIELDS if form.get(name)}
    has_tries, nonce = True, captchas.drawn_nonce(answer)
    if nonce is not None:
        quota = day.hourly("drawn", nonce.hex())
        async with visit.database.transaction() as conn:
            has_tries = (await quotas.spend(conn, {quota: 1}))[quota.key] <= MAX_TRIES
    result = await captchas.check(answer, NO_LETTER, drawn=has_tries)
    return result if isinstance(result, Passed) else None


async def _use_challenge(conn: Connection, solved: Passed | None) -> None:
    """Use the challenge up. Raises ``ChallengeRequired``, which rolls the transaction back, if it cannot be."""
    if solved is None or not await use_challenges(conn, [solved.nonce], [solved.expires_at], [None]):
        raise ChallengeRequired
