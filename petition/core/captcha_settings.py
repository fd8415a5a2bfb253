"""The settings of the challenges."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.service_urls import is_this_machine


class Captcha(StrEnum):
    """Which challenge a signer meets first."""

    POW = "pow"
    HCAPTCHA = "hcaptcha"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class HCaptcha:
    """The three hCaptcha settings."""

    site_key: str
    secret_key: str = field(repr=False)
    verify_url: str


def read_captcha(reader: EnvironmentReader, *, is_loopback: bool) -> tuple[Captcha, HCaptcha | None]:
    """Return which challenge comes first, and what hCaptcha needs if it is that one. Raises ``SettingsError``."""
    text = reader.text("CAPTCHA") or "pow"
    try:
        captcha = Captcha(text)
    except ValueError:
        raise SettingsError(f"CAPTCHA must be pow, hcaptcha or off, not {text!r}") from None
    if captcha is Captcha.OFF and not is_loopback:
        raise SettingsError("CAPTCHA=off is refused unless BASE_URL is a loopback address")
    if captcha is not Captcha.HCAPTCHA:
        return captcha, None
    site_key, secret_key = reader.text("HCAPTCHA_SITE_KEY"), reader.secret("HCAPTCHA_SECRET_KEY")
    if not site_key or not secret_key:
        raise SettingsError("CAPTCHA=hcaptcha needs HCAPTCHA_SITE_KEY and HCAPTCHA_SECRET_KEY")
    url = reader.text("HCAPTCHA_VERIFY_URL") or "https://api.hcaptcha.com/siteverify"
    if not _is_verify_url(url):
        raise SettingsError("HCAPTCHA_VERIFY_URL must look like https://api.hcaptcha.com/siteverify")
    return captcha, HCaptcha(site_key, secret_key, url)


def _is_verify_url(url: str) -> bool:
    """Return whether the secret may be sent there: over TLS or on this machine, and nothing that would be ignored."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(parts.hostname or ""))
    return is_safe and bool(parts.hostname) and not (parts.query or parts.fragment or "@" in parts.netloc)
