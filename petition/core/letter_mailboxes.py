"""The addresses of letters at the domain whose mail is taken (``MAIL_IN``)."""

import re

SIGN = "sign+"
BY_MAIL = "by_mail"  # key of ``pending.signals``: signed by mail; "dkim" if that proved the mailbox, else "link"
MAX_LOCAL = 64  # octets before the "@"; RFC 5321, 4.5.3.1.1

_SLUG = re.compile(r"[a-z0-9-]{3,64}")


def address_of(slug: str, domain: str) -> str:
    """Return where a letter is signed by mail; without "sign+" where the name before the "@" would be too long."""
    local = f"{SIGN}{slug}"
    return f"{local if len(local) <= MAX_LOCAL else slug}@{domain}"


def slug_in(address: str, domain: str) -> str | None:
    """Return the short name of a letter in an address of ours, ``SLUG@…`` or ``sign+SLUG@…``; None in any other."""
    local, _, host = address.lower().rpartition("@")
    slug = local.removeprefix(SIGN)
    return slug if host == domain and _SLUG.fullmatch(slug) else None
