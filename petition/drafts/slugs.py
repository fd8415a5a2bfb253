"""A letter's short name in addresses."""

import re
import unicodedata

_SLUG = re.compile(r"[a-z0-9-]{3,64}")

_RESERVED = """
about account admin api assets badge captcha card check-your-inbox confirm count demo desk embed embed-js en enter
events favicon feed find healthz help history hooks how-we-count index installation language leave letter letters
log login logout mail metrics moderation never new oembed organizer organizers pages preview privacy readyz robots
rss search second reply security settings sign sign-in sign-out signatories signature signatures signed sitemap sse
static unsubscribe updates verify version versions webhooks well-known witness www
abuse bounce complaints mailer-daemon postmaster
"""
# First words of addresses that are taken, or may be one day, with a language in front or without; and mailboxes that
# every mail domain has (RFC 2142), or that take our bounces.
RESERVED = frozenset(_RESERVED.split())


def problem_of_slug(slug: str) -> str | None:
    """Return what is wrong with a letter's short name, for an organizer, or None."""
    if not _SLUG.fullmatch(slug):
        return "must be 3–64 characters of a–z, 0–9 and hyphens"
    return f"{slug!r} is reserved, choose another" if slug in RESERVED else None


# Russian letters as passports have them (ICAO Doc 9303), the signs left out.
_ONE_FOR_ONE = dict(zip("абвгдезийклмнопрстуфыэё", "abvgdeziiklmnoprstufyee", strict=True))
_LETTERS = _ONE_FOR_ONE | {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "iu", "я": "ia"}
_LETTERS |= {"ъ": "", "ь": "", "ß": "ss", "ø": "o", "đ": "d", "ł": "l"}
SUGGESTED_LENGTH = 48


def suggested(title: str) -> str:
    """Return a short name made of a title's words, or "" where nothing of it is left; it may be reserved or taken."""
    title = title[:500].lower()
    latin = "".join(_LETTERS.get(character, character) for character in unicodedata.normalize("NFC", title))
    plain = unicodedata.normalize("NFD", latin).encode("ascii", "ignore").decode()
    words = re.findall("[a-z0-9]+", re.sub("['`]", "", plain))
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:SUGGESTED_LENGTH]
        if len(longer) > SUGGESTED_LENGTH:
            break
        slug = longer
    return slug if len(slug) >= 3 else ""
