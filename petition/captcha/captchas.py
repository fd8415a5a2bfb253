"""The one door to all challenges: what to show, and whether an answer counts."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from petition.captcha.drawn import DrawnCodes
from petition.captcha.hcaptcha_service import HCaptchaService
from petition.captcha.model import (
    CODE_FIELD,
    DRAWN_FIELD,
    HCAPTCHA_FIELD,
    NONCE_BYTES,
    POW_FIELD,
    DrawnCode,
    Passed,
    Refusal,
    Result,
)
from petition.captcha.pow import ProofOfWork
from petition.captcha.questions import WORDS, Question
from petition.core.captcha_settings import Captcha
from petition.core.i18n import SOURCE_LANGUAGE
from petition.core.ids import LetterId
from petition.core.prices import MAX_PRICE
from petition.core.settings import Settings

# What hCaptcha's widget loads, by its own guide (docs.hcaptcha.com, "Content-Security-Policy Settings").
_ITS_HOSTS = "https://hcaptcha.com https://*.hcaptcha.com"
_ITS_SOURCES = dict.fromkeys(("script-src", "frame-src", "style-src", "connect-src"), _ITS_HOSTS)


class Captchas:
    """Built once from the settings. ``CAPTCHA`` decides what is shown; what was shown is accepted.

    Our own challenges are always accepted: hCaptcha does not serve every visitor, and some run no scripts. The proof of
    work is handed out only where hCaptcha isn't configured or can't be reached.
    """

    def __init__(self, settings: Settings) -> None:
        self._off = settings.captcha is Captcha.OFF
        self._pow = ProofOfWork(settings.secret_keys)
        self._drawn = DrawnCodes(settings.secret_keys)
        self._hcaptcha = HCaptchaService(settings.hcaptcha, _hostnames(settings)) if settings.hcaptcha else None

    @property
    def hcaptcha_site_key(self) -> str | None:
        """Return the site key if hCaptcha is to be shown now."""
        return self._hcaptcha.site_key if self._hcaptcha and not self._hcaptcha.down else None

    @property
    def sources(self) -> Mapping[str, str]:
        """Return what a page that shows hCaptcha adds to its content security policy, by directive."""
        return _ITS_SOURCES if self.hcaptcha_site_key else {}

    def challenge(self, letter_id: LetterId, *, price: int = 0, forced: bool = False) -> dict[str, Any]:
        """Return what ``/captcha/challenge`` answers, as JSON; ``forced`` means: also where the settings say not to.

        An ALTCHA challenge (``parameters``, ``signature``), or ``{"kind": "hcaptcha", "site_key": …}``, or
        ``{"kind": "off"}``.
        """
        if self._off and not forced:
            return {"kind": "off"}
        if site_key := self.hcaptcha_site_key:
            return {"kind": "hcaptcha", "site_key": site_key}
        return self._pow.challenge(letter_id, price=price)

    def draw(self, letter_id: LetterId, *, hard: bool) -> DrawnCode:
        """Return a code to read and type; it must be typed within ten minutes."""
        return self._drawn.draw(letter_id, hard=hard)

    def question(self, token: str, lang: str) -> Question:
        """Return the question in words by which a drawn code's ``token`` may be answered too."""
        return self._drawn.question(token, lang if lang in WORDS else SOURCE_LANGUAGE)

    def drawn_nonce(self, form: Mapping[str, str]) -> bytes | None:
        """Return which drawn challenge ``form`` answers, so that its tries can be counted before comparing.

        ``None`` if it answers none, or one that isn't ours or has expired. After ``drawn.MAX_TRIES`` tries the
        caller checks with ``drawn=False``.
        """
        if not form.get(CODE_FIELD, "").strip():
            return None
        return self._drawn.nonce(form.get(DRAWN_FIELD, ""))

    def asks_hcaptcha(self, form: Mapping[str, str]) -> bool:
        """Return whether checking ``form`` may take a conversation with hCaptcha."""
        token = form.get(HCAPTCHA_FIELD)
        return bool(token and self._hcaptcha and not self._hcaptcha.knows(token))

    async def check(
        self, form: Mapping[str, str], letter_id: LetterId, *, drawn: bool = True, forced: bool = False
    ) -> Result:
        """Return the first answer in ``form`` that passes, or else why the last one did not.

        ``drawn=False`` takes a drawn code for wrong without comparing it. Waits three seconds at most, and only if
        ``form`` holds an answer to hCaptcha and hCaptcha is configured.
        """
        if self._off and not forced:
            return Passed(secrets.token_bytes(NONCE_BYTES), datetime.now(UTC) + timedelta(hours=1), price=MAX_PRICE)
        result: Result = Refusal.MISSING
        if text := form.get(POW_FIELD):
            result = self._pow.check(text, letter_id)
        if not isinstance(result, Passed) and self._hcaptcha and (token := form.get(HCAPTCHA_FIELD)):
            result = await self._hcaptcha.check(token)
        if not isinstance(result, Passed) and form.get(CODE_FIELD, "").strip():
            result = self._read(form, letter_id) if drawn else Refusal.WRONG
        return result

    def _read(self, form: Mapping[str, str], letter_id: LetterId) -> Result:
        return self._drawn.check(form.get(DRAWN_FIELD, ""), form[CODE_FIELD], letter_id)


def _hostnames(settings: Settings) -> frozenset[str]:
    """Return the hosts of our pages, as hCaptcha writes them: without a port."""
    return frozenset(urlsplit(origin).hostname or "" for origin in settings.origins)
