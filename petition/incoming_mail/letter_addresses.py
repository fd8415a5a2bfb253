"""The addresses of letters where the installation takes mail, and the tag that says which text was read."""

import re
from urllib.parse import quote

from petition.incoming_mail import filled_lines
from petition.letters.model import Letter, Version

SIGN = "sign+"
TAG_LENGTH = 12  # hexadecimal digits of a version's digest
MAX_LOCAL = 64  # octets before the "@"; RFC 5321, 4.5.3.1.1

_SLUG = re.compile(r"[a-z0-9-]{3,64}")
_TAG = re.compile(rf"\[([0-9a-f]{{{TAG_LENGTH}}})\]")


def tag_of(version: Version) -> str:
    return version.digest[:TAG_LENGTH]


def tags_in(text: str) -> list[str]:
    """Return the tags in a subject or a text, as they come."""
    return _TAG.findall(text.lower())


def address_of(slug: str, domain: str) -> str:
    """Return where a letter is signed by mail; without "sign+" where the name before the "@" would be too long."""
    local = f"{SIGN}{slug}"
    return f"{local if len(local) <= MAX_LOCAL else slug}@{domain}"


def slug_in(address: str, domain: str) -> str | None:
    """Return the short name of a letter in an address of ours, ``SLUG@…`` or ``sign+SLUG@…``; None in any other."""
    local, _, host = address.lower().rpartition("@")
    slug = local.removeprefix(SIGN)
    return slug if host == domain and _SLUG.fullmatch(slug) else None


def mailto(letter: Letter, domain: str | None, lang: str, *, subject: str, statement: str) -> str | None:
    """Return a link that opens a mail to be filled in, for the text that is shown; None where none is taken.

    ``subject`` and ``statement`` are texts in ``lang``.
    """
    if domain is None or not letter.takes_mail or not letter.takes_signatures:
        return None
    body = f"{statement}\r\n{filled_lines.blank_line(lang)}\r\n"
    head = quote(f"{subject} [{tag_of(letter.version)}]", safe="")
    return f"mailto:{quote(address_of(letter.slug, domain), safe='@')}?subject={head}&body={quote(body, safe=':;,')}"
