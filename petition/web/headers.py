"""The security headers of responses."""

from collections.abc import Mapping
from functools import lru_cache

from petition.core.settings import Settings
from petition.web.page_cache import Header


def policy(css_hash: str, more: Mapping[str, str] | None = None) -> str:
    """Return the content security policy of a page with one inline stylesheet; ``more`` adds sources.

    Workers follow ``script-src`` (CSP 3, 6.1.17): every byte of a header travels uncompressed, with each page.
    """
    sources = {
        "default-src": "'none'",
        "style-src": f"'{css_hash}'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return policy_of(sources, more)


@lru_cache(64)
def plain_policy(css_hash: str) -> str:
    """Return the same without more sources, as nearly all pages have it."""
    return policy(css_hash)


def policy_of(sources: Mapping[str, str], more: Mapping[str, str] | None) -> str:
    """Return a content security policy from its directives; ``more`` adds sources or directives."""
    directives = dict(sources)
    for name, source in (more or {}).items():
        directives[name] = f"{directives[name]} {source}" if name in directives else source
    return ";".join(f"{name} {source}" for name, source in directives.items())


def common_headers(settings: Settings) -> list[Header]:
    headers = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
    if settings.secure:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    return headers


def html_headers(settings: Settings, css_hash: str) -> list[Header]:
    return [
        *common_headers(settings),
        (b"content-security-policy", policy(css_hash).encode()),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(),geolocation=(),microphone=()"),
    ]
