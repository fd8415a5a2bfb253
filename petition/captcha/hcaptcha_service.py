"""hCaptcha, through its Python package, the result of which must not be trusted.

``hcaptcha`` 0.2.1 says it returns a bool and returns a dict, which is always truthy; it follows redirects
with the secret in hand, reads answers of any size, waits five minutes, and breaks on anything that is not the JSON
it expects. Here only an unmistakable yes passes, an unmistakable no is wrong, and all else is "unreachable": the
visitor meets our own challenge instead. A yes is one for our site key, asked for on a page of ours: what was solved on
another host is wrong, and where hCaptcha does not say on which host, it is no yes.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from petition.captcha.model import Passed, Refusal, Result, nonce_of
from petition.core.captcha_settings import HCaptcha
from petition.core.prices import MAX_PRICE

PATIENCE = 3.0  # seconds for the whole conversation
REMEMBERED = 60.0  # seconds for which a failed conversation counts as "down"
AT_ONCE = 32  # conversations; a visitor who gets no slot in time meets our own challenge
MAX_ANSWERS = 10_000  # of the last minutes
ANSWER_AGE = 120.0  # seconds for which hCaptcha itself knows a token
NONCE_LIFETIME = timedelta(hours=1)  # hCaptcha forgets a token after two minutes; ours must not do so sooner

# Anything else in this field can't be a token; sending it on would only let a stranger break the conversation.
_TOKEN = re.compile(r"[!-~]{1,16384}")

# With these hCaptcha complains about our settings, which says nothing about the visitor.
_OUR_FAULT = frozenset({"missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch"})

_UNSAID = frozenset({"", "not-provided"})  # for the hostname, where the browser or hCaptcha's load forbade it


class Verifier(Protocol):
    """As the package's ``HCaptchaVerifier`` is, apart from what it claims to return."""

    async def verify(self, response: str) -> object:
        """Ask hCaptcha; return what the package makes of the answer."""


class HCaptchaService:
    """Asks hCaptcha about an answer. Never tells it the visitor's address."""

    def __init__(
        self,
        settings: HCaptcha,
        hostnames: frozenset[str],
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.site_key = settings.site_key
        self._settings = settings
        self._hostnames = hostnames
        self._patience = patience
        self._clock = clock
        self._verifier: Verifier | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._failed_at: float | None = None
        self._answers: OrderedDict[bytes, tuple[float, Result]] = OrderedDict()  # by nonce, with the time

    @property
    def down(self) -> bool:
        """Return whether the last conversation failed, less than a minute ago."""
        return self._failed_at is not None and self._clock() - self._failed_at < REMEMBERED

    async def check(self, token: str) -> Result:
        """Ask about the token of a visitor's browser, for at most three seconds (the first time, once it is loaded),
        after waiting for at most as long.

        hCaptcha knows no letters and no prices: its token is good for any letter, once, and for the harder price too.
        It answers once. The answer is remembered, so that the same form sent twice is taken for what it is; it is
        the caller who uses the nonce up.
        """
        if not _TOKEN.fullmatch(token):
            return Refusal.WRONG
        if (known := self._known(token)) is not None:
            return known
        try:
            async with asyncio.timeout(self._patience):
                await self._slots.acquire()
        except TimeoutError:  # that many ask at once is no failure of hCaptcha's
            return Refusal.UNREACHABLE
        try:
            result = self._read(token, await self._ask(token))
        finally:
            self._slots.release()
        if result is not Refusal.UNREACHABLE:
            self._remember(token, result)
        return result

    def knows(self, token: str) -> bool:
        """Return whether ``token`` has been asked about: a replay costs no conversation."""
        return not _TOKEN.fullmatch(token) or self._known(token) is not None

    def _known(self, token: str) -> Result | None:
        asked_at, result = self._answers.get(nonce_of(token), (float("-inf"), None))
        return result if self._clock() - asked_at < ANSWER_AGE else None

    def _remember(self, token: str, result: Result) -> None:
        self._answers[nonce_of(token)] = self._clock(), result
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    def _read(self, token: str, answer: Mapping[str, object]) -> Result:
        verdict = _verdict(answer)
        if verdict is None:
            self._failed_at = self._clock()
            return Refusal.UNREACHABLE
        self._failed_at = None
        if not verdict:
            return Refusal.WRONG
        return self._where(answer) or Passed(nonce_of(token), datetime.now(UTC) + NONCE_LIFETIME, price=MAX_PRICE)

    def _where(self, answer: Mapping[str, object]) -> Refusal | None:
        """Return why a yes does not count for a page of ours.

        A browser can keep its host from hCaptcha, so that is no failure of hCaptcha's, which others would notice.
        """
        hostname = answer.get("hostname")
        if not isinstance(hostname, str) or hostname in _UNSAID:
            return Refusal.UNREACHABLE
        return None if hostname.lower() in self._hostnames else Refusal.WRONG

    async def _ask(self, token: str) -> Mapping[str, object]:
        """Return what hCaptcha says; nothing if it wasn't an answer."""
        try:
            # Once, and not counted: on a busy machine the import alone may take longer than the patience.
            if self._verifier is None:
                self._verifier = await asyncio.to_thread(_load, self._settings)
            async with asyncio.timeout(self._patience):
                answer = await self._verifier.verify(token)
        except Exception:  # noqa: BLE001 - no failure there or in the package is an answer
            return {}
        return answer if isinstance(answer, dict) else {}


def _verdict(answer: Mapping[str, object]) -> bool | None:
    """Return yes, no, or ``None`` if it wasn't clear."""
    if answer.get("success") is True:
        return True
    errors = answer.get("errors", [])
    if answer.get("success") is not False or not isinstance(errors, list):
        return None
    return None if _OUR_FAULT.intersection(errors) else False


def _load(settings: HCaptcha) -> Verifier:
    """Import the package, which takes 0.7 s and is paid only by who configured it, and give it our conversation."""
    from petition.captcha import hcaptcha_http

    verifier: Verifier = hcaptcha_http.verifier(settings)
    return verifier
