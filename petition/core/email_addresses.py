"""E-mail addresses: what is typed, what is mailed, and what counts as one mailbox."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from petition.core.email_providers import FREE_MAIL, NEWEST, PROVIDERS, Provider
from petition.core.errors import PetitionError
from petition.core.i18n import N_
from petition.core.text_cleaning import clean, has_hidden

__all__ = ["NEWEST", "BadAddress", "Domains", "Mailbox", "canonical", "parse"]

MISSING = N_("Enter your e-mail address.")
INVALID = N_("This e-mail address is incomplete. It should look like name@example.org.")
TOO_LONG = N_("This e-mail address is too long.")
# Such a name at a domain that we know is as validate_email would find it, and most are: that takes 2 µs instead of 60.
_PLAIN = re.compile(r"(?=.{1,64}@)([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)")
# Likewise any domain of ASCII letters, digits and hyphens, a stop before its last label, which ends with a letter; but
# none with two hyphens where those of other scripts have them, and none that the library refuses for its last label.
_LABEL = "(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}(?<=[a-z])")
_SPECIAL_ENDINGS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
_LOWERED_NAMES = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)  # the library writes these in lower case
MAX_DOMAINS = 10_000  # that are remembered while a list is read
MAX_DOMAIN = 253  # octets
LENGTH = 254  # octets; RFC 3696, erratum 1690


class BadAddress(PetitionError):
    """What was typed is no address that mail can be sent to; ``message`` is for the catalogues."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One valid address."""

    address: str  # what is mailed: the name as typed (NFC), the domain in lower case and ASCII form
    local: str
    domain: str  # ASCII form, lower case

    @property
    def is_tagged(self) -> bool:
        """Return whether the name has a "+tag", whether or not the provider ignores it."""
        return "+" in self.local


def parse(typed: str) -> Mailbox:
    """Return the mailbox at a typed address, asking no name server. Raises ``BadAddress``.

    Names and domains in any script are taken. Spaces around and what is not seen, as pasted text brings them, are taken
    off, and a stop behind the address; the wide "@" of East Asian keyboards is an "@", a comma in a domain a dot.
    """
    text = _with_dots(clean(typed).replace("\uff20", "@").rstrip(".,;"))
    if not text:
        raise BadAddress(MISSING)
    if len(text.encode(errors="replace")) > LENGTH:
        raise BadAddress(TOO_LONG)
    if has_hidden(text):
        raise BadAddress(INVALID)
    if (plain := _PLAIN.fullmatch(text)) and _is_known_or_plain(plain[1], domain := plain[2].lower()):
        return Mailbox(f"{plain[1]}@{domain}", plain[1], domain)
    try:
        parsed = validate_email(text, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):
        raise BadAddress(INVALID) from None
    domain = parsed.ascii_domain.lower()
    return Mailbox(f"{parsed.local_part}@{domain}", parsed.local_part, domain)


def _is_known_or_plain(name: str, domain: str) -> bool:
    """Return whether the library would take a name of ``_PLAIN`` at this domain as it is written, in lower case."""
    return domain in FREE_MAIL or (
        len(domain) <= MAX_DOMAIN
        and _PLAIN_DOMAIN.fullmatch(domain) is not None
        and domain.rpartition(".")[2] not in _SPECIAL_ENDINGS
        and name.lower() not in _LOWERED_NAMES
    )


def _with_dots(text: str) -> str:
    name, at, domain = text.partition("@")
    return name + at + (domain if "@" in domain or " " in domain else domain.replace(",", "."))


class Domains:
    """Addresses of one list, whose domains come again and again: each is looked at once, which is most of the work.

    Not for the web, where the time of an answer would tell which domains have signed.
    """

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}  # as typed → in ASCII form; None: refused
        self._plain: dict[tuple[str, int], str] = {}  # as typed, by version → in ASCII form, if no provider has rules

    def parse(self, typed: str) -> Mailbox:
        """Return the mailbox at a typed address, as ``parse`` does. Raises ``BadAddress``."""
        match = _PLAIN.fullmatch(typed) if len(typed) <= LENGTH else None
        if match is None:
            return parse(typed)
        if match[2] not in self._known:
            if len(self._known) > MAX_DOMAINS:
                self._known.clear()
            self._known[match[2]] = _ascii_domain(match[2])
        domain = self._known[match[2]]
        if domain is None:
            raise BadAddress(INVALID)
        return Mailbox(f"{match[1]}@{domain}", match[1], domain)

    def canonical(self, typed: str, rules_version: int) -> str | None:
        """Return what ``canonical`` makes of a plain address; None if it has to be parsed first, or is none."""
        match = _PLAIN.fullmatch(typed) if len(typed) <= LENGTH else None
        if match is None:
            return None
        if (domain := self._plain.get((match[2], rules_version))) is not None:
            return f"{match[1].lower()}@{domain}"
        try:
            mailbox = self.parse(typed)
        except BadAddress:
            return None
        if len(self._plain) > MAX_DOMAINS:
            self._plain.clear()
        if _has_no_rules(mailbox.domain, rules_version):
            self._plain[match[2], rules_version] = mailbox.domain
        return canonical(mailbox, rules_version)


def _ascii_domain(typed: str) -> str | None:
    try:
        return parse(f"x@{typed}").domain
    except BadAddress:
        return None


def canonical(address: str | Mailbox, rules_version: int = NEWEST) -> str:
    """Return the spelling that all addresses of one mailbox share, by that version of the provider table.

    It is for digests only and is never mailed. Raises ``BadAddress`` if a string is no address, ``ValueError`` for an
    unknown version.
    """
    mailbox = address if isinstance(address, Mailbox) else parse(address)
    local, domain = mailbox.local.lower(), mailbox.domain
    by_domain = _by_domain(rules_version)
    provider = by_domain.get(domain)
    if provider is None:
        name, _, parent = domain.partition(".")
        provider = by_domain.get(parent)
        if provider is None or not provider.subdomains or "-" in name:
            return f"{local}@{domain}"
        # A hyphen may stand for an underscore there, so such a name is not known for sure and was left as it is.
        local, domain = name, parent
    return f"{_name(local, provider)}@{provider.domains[0] if provider.one_mailbox else domain}"


def _has_no_rules(domain: str, rules_version: int) -> bool:
    """Return whether each name at a domain is a mailbox of its own, letter for letter."""
    by_domain = _by_domain(rules_version)
    return domain not in by_domain and domain.partition(".")[2] not in by_domain


def _name(local: str, provider: Provider) -> str:
    name = local.partition(provider.tag)[0] if provider.tag else local
    name = name.translate(dict.fromkeys(map(ord, provider.ignored)))
    if provider.same[0]:
        name = name.replace(*provider.same)
    return name or local  # nothing left: no name of that provider, so it is not touched


@functools.cache
def _by_domain(version: int) -> Mapping[str, Provider]:
    if version not in PROVIDERS:
        raise ValueError(f"no version {version} of the address rules")
    return {domain: provider for provider in PROVIDERS[version] for domain in provider.domains}
