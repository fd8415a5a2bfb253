"""A letter's short name in addresses."""

import re

_SLUG = re.compile(r"[a-z0-9-]{3,64}")

_RESERVED = """
about account admin api assets badge captcha card check-your-inbox confirm count demo desk embed embed-js en enter
events favicon feed find healthz help history hooks index installation language leave letter letters login logout mail
metrics moderation never new oembed organizer organizers pages preview privacy readyz robots rss search second
security settings sign sign-in sign-out signatories signature signatures signed sitemap sse static unsubscribe updates
version versions webhooks well-known www
"""
# First words of addresses that are taken, or may be one day, with a language in front or without.
RESERVED = frozenset(_RESERVED.split())


def problem_of_slug(slug: str) -> str | None:
    """Return what is wrong with a letter's short name, for an organizer, or None."""
    if not _SLUG.fullmatch(slug):
        return "must be 3–64 characters of a–z, 0–9 and hyphens"
    return f"{slug!r} is reserved, choose another" if slug in RESERVED else None
