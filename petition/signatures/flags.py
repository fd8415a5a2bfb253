"""Why a moderator should look at a signature: each flag is one rule of this page.

A flag is no verdict and hides nothing: the signature counts and is shown until a moderator decides otherwise. Most are
set when confirming, those of imported rows by the worker; ``burst`` and ``repeated`` compare many signatures
(``moderation.bursts``, ``moderation.namesakes``); ``reported`` comes from readers, ``denied`` and ``answered`` from
answers to the organizers' mails.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from petition.signatures.model import Kind
from petition.signatures.names import fold, words
from petition.signatures.signals import DRAWN


class Flag(StrEnum):
    """A rule that matched."""

    REPORTED = "reported"  # by a reader of the list
    BURST = "burst"  # many from one network within one hour
    REPEATED = "repeated"  # many of nearly this name, within one hour or on the whole letter; public names only
    LINK = "link"  # a link in a name
    OBSCENE = "obscene"  # a word of abuse in a name
    DISGUISED = "disguised"  # letters of two scripts in one word, or stacked accents
    THROWAWAY = "throwaway"  # the mailbox was at a domain of throw-away mailboxes
    ONE_DOMAIN = "one_domain"  # many within a day from one mail domain that is no provider's
    ONE_HOST = "one_host"  # the same for the domains of one mail host
    DRAWN = "drawn"  # one of many for which a picture was read instead of a proof of work; it waited
    OTHER_DOMAIN = "other_domain"  # the organization's mailbox is not on its website's domain
    DENIED = "denied"  # a second mailbox of the organization says that it has not signed
    ANSWERED = "answered"  # its representative has answered the organizers' message


# Prefixes that no name has, and whole words where names do start so (Shitov, Sukachev). Folded: lower case, "ё" as "е".
# The list catches the usual jokes; it cannot be complete.
_PREFIXES = """
fuck motherfuck asshole arsehole nigger faggot cocksuck dickhead bullshit
хуй хуес пизд ебан ебуч ебал ебло еблан уеб выебан заеб бляд блять
мудак мудил гандон гондон пидор пидар пидр залуп долбоеб шлюх хохл жидов
"""
_WORDS = """
shit cunt cunts bitch whore slut wanker nazi hitler nigga retard
сука суки хуи хер жопа гитлер говно мразь чурка
"""
_ABUSIVE_PREFIXES = tuple(_PREFIXES.split())
_ABUSIVE_WORDS = frozenset(_WORDS.split())

# How such words are commonly disguised: letters of the other script that look alike, digits and signs for letters.
_AS_LATIN = str.maketrans("авекмнорстухіѕ0134578$!", "abekmhopctyxisoieastbsi")
_AS_CYRILLIC = str.maketrans("abekmhopctyxiunr01346", "авекмнорстухіипгоизчб")
_SPELT = re.compile(r"\b\w(?: \w\b){2,}")  # f u c k
_DRAWN_OUT = re.compile(r"(.)\1{2,}")  # fuuuck
_DOUBLED = re.compile(r"(.)\1")


def is_obscene(name: str) -> bool:
    """Return whether a word of ``name`` is one of abuse, or one in a common disguise."""
    plain = name.casefold()
    return any(_has_abuse(fold(text)) for text in (plain, plain.translate(_AS_LATIN), plain.translate(_AS_CYRILLIC)))


def _has_abuse(key: str) -> bool:
    together = _SPELT.sub(lambda match: match[0].replace(" ", ""), key)
    return any(
        word in _ABUSIVE_WORDS
        or word.startswith(_ABUSIVE_PREFIXES)
        or _DOUBLED.sub(r"\1", word).startswith(_ABUSIVE_PREFIXES)
        for word in words(_DRAWN_OUT.sub(r"\1", f"{key} {together}"))
    )


def flags_of(
    kind: Kind, names: Iterable[str], signals: Mapping[str, object] | None, website: str | None = None
) -> list[str]:
    """Return the flags of a signature that is being confirmed, with ``signals`` as stored while signing."""
    signals = signals or {}
    rules = {
        Flag.BURST: "burst" in signals,
        Flag.LINK: "link" in signals,
        Flag.OBSCENE: "obscene" in signals or any(map(is_obscene, names)),
        Flag.DISGUISED: "mixed_scripts" in signals or "stacked_marks" in signals,
        Flag.THROWAWAY: "throwaway" in signals,
        Flag.DRAWN: DRAWN in signals,
        Flag.OTHER_DOMAIN: kind is Kind.ORGANIZATION and bool(website) and "own_domain" not in signals,
    }
    return [flag.value for flag, matches in rules.items() if matches]
