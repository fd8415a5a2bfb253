"""Signals for moderators, worked out while signing: the address is deleted later.

A signal is no verdict and refuses nothing. Signals are booleans, stored only when true, so that they reveal nothing of
the name or the address. Two numbers are stored with them: the burst that a sign-up was part of, and the partner whose
link the visitor followed. So are, of an organization's mailbox, digests of its domain.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from petition.core.email_addresses import BadAddress, Mailbox, parse
from petition.core.email_providers import FREE_MAIL
from petition.core.mail_domains import is_throwaway
from petition.core.text_cleaning import letters_of
from petition.signatures.model import Kind
from petition.signatures.names import problem_of_person

PARTNER = "partner"  # the key of a registered partner's id; never of a signature that is only counted
DOMAIN = "domain"  # the key of ``domain_digests``
DRAWN = "drawn"  # true if a picture was read above a limit: the signature waits for a moderator

# Anyone can register a name below these, so sharing one proves nothing. The second levels of country codes are matched
# by their shape (co.uk, org.ru).
_SHARED_DOMAINS = """
narod.ru ucoz.ru github.io gitlab.io wordpress.com blogspot.com tilda.ws wixsite.com
msk.ru spb.ru ru.com eu.org pages.dev netlify.app vercel.app herokuapp.com
"""
_SHARED = frozenset(_SHARED_DOMAINS.split())
_SECOND_LEVEL = re.compile(r"(?:com?|org|net|edu|gov|ac|in|pp|or|ne)\.[a-z]{2}")
_MARKS_IN_A_ROW = 5  # real scripts stack up to four marks on a letter


def signals_of(
    kind: Kind, names: Iterable[str], mailbox: Mailbox, website: str | None = None
) -> dict[str, bool] | None:
    """Return the signals of one sign-up, each ``True``; None if there are none.

    ``names`` are those typed. Keys: ``throwaway`` (a domain of throw-away mailboxes), ``tagged`` (a "+tag" in the
    address), ``own_domain`` (an organization's mailbox is at its website's domain), ``free_mail`` (an organization's is
    at a provider anyone can use), ``link``, ``shouting``, ``mixed_scripts`` (Latin and Cyrillic in one word),
    ``stacked_marks`` in a name.
    """
    signals = {"throwaway": is_throwaway(mailbox.domain), "tagged": mailbox.is_tagged}
    if kind is Kind.ORGANIZATION:
        signals["own_domain"] = website is not None and is_own_domain(mailbox.domain, website)
        signals["free_mail"] = mailbox.domain in FREE_MAIL
    signals |= of_names(tuple(names), kind)
    return {key: True for key, value in signals.items() if value} or None


def as_counted(signals: Mapping[str, object] | None) -> dict[str, object] | None:
    """Return the signals of one that is only counted: a link made for one person would say who it is."""
    return {key: value for key, value in (signals or {}).items() if key != PARTNER} or None


def host_of(website: str) -> str | None:
    """Return the host of an address typed with or without "https://", ASCII and lower case, without "www."; or None."""
    text = website.strip()
    try:
        host = urlsplit(text if "://" in text else f"https://{text}").hostname or ""
        return parse(f"any@{host.rstrip('.')}").domain.removeprefix("www.")
    except (ValueError, BadAddress):
        return None


def is_own_domain(domain: str, website: str) -> bool:
    """Return whether a mailbox at ``domain`` is the website's own: one domain is the other or below it."""
    host = host_of(website)
    if host is None:
        return False
    shorter, longer = sorted((domain, host), key=len)
    return _can_be_own(shorter) and (longer == shorter or longer.endswith(f".{shorter}"))


def domain_digests(domain: str, digest: Callable[[str], bytes]) -> list[str]:
    """Return digests of ``domain`` and of those above it that someone can own, itself first; in hexadecimal."""
    labels = domain.split(".")
    domains = [domain, *(".".join(labels[start:]) for start in range(1, len(labels) - 1))]
    return [digest(f"domain {name}")[:8].hex() for name in domains if name == domain or _can_be_own(name)]


def is_own_website(website: str, digests: Collection[str], digest: Callable[[str], bytes]) -> bool:
    """Return whether a mailbox with these ``domain_digests`` is the website's own, as ``is_own_domain`` says."""
    host = host_of(website)
    if host is None or not digests:
        return False
    own = domain_digests(host, digest)
    return (own[0] in digests and _can_be_own(host)) or next(iter(digests)) in own[1:]


def _can_be_own(domain: str) -> bool:
    is_shared = domain in FREE_MAIL or domain in _SHARED or bool(_SECOND_LEVEL.fullmatch(domain))
    return "." in domain and not is_shared


def of_names(names: Sequence[str], kind: Kind) -> Mapping[str, bool]:
    """Return the signals of names alone: ``link``, ``shouting``, ``mixed_scripts``, ``stacked_marks``."""
    return {
        # A domain is a common name of an organization, so that only a moderator can judge it.
        "link": any("." in name and problem_of_person(name) is not None for name in names),
        "shouting": any(_is_shouting(name, kind) for name in names),
        "mixed_scripts": any(_mixes_scripts(word) for name in names for word in name.split()),
        "stacked_marks": any(map(_stacks_marks, names)),
    }


def _is_shouting(name: str, kind: Kind) -> bool:
    """Return whether a whole name is in capitals; abbreviations, and surnames in capitals, are customary."""
    letters = letters_of(name)
    return name.isupper() and len(letters) > (20 if kind is Kind.ORGANIZATION else 5)


def _mixes_scripts(word: str) -> bool:
    return not word.isascii() and set(map(_script_of, letters_of(word))) >= {"LATIN", "CYRILLIC"}


@functools.lru_cache(1000)
def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _stacks_marks(name: str) -> bool:
    marks = 0
    for character in name:
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        if marks >= _MARKS_IN_A_ROW:
            return True
    return False
