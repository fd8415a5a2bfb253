"""Why a moderator should look at a signature: each flag is one rule that anybody can read here.

Flags accuse nobody and hide nothing: the signature counts and is shown until somebody decides otherwise. Most are
worked out while confirming, those of imported rows by the worker; ``burst`` and ``repeated`` need to see many at once
(``moderation.bursts``, ``moderation.namesakes``), and ``reported`` comes from readers.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from petition.signatures.model import Kind
from petition.signatures.names import fold, words


class Flag(StrEnum):
    """A rule that spoke up."""

    REPORTED = "reported"  # by a reader of the list
    BURST = "burst"  # many signed from one network within one hour
    REPEATED = "repeated"  # many of nearly this name, within one hour or on the whole letter; public names only
    LINK = "link"  # a link in a name
    OBSCENE = "obscene"  # a word of abuse in a name
    DISGUISED = "disguised"  # letters of two scripts in one word, or heaps of accents
    THROWAWAY = "throwaway"  # the mailbox was at a domain of throw-away mailboxes
    OTHER_DOMAIN = "other_domain"  # the organization's mailbox is not on its website's domain


# Beginnings of words that no name has, and whole words where names do begin so (Shitov, Sukachev). Folded: lower case,
# "ё" as "е". A list to catch what jokers type first, not to win a race with them.
_BEGINNINGS = (
    *("fuck", "motherfuck", "asshole", "arsehole", "nigger", "faggot", "cocksuck", "dickhead", "bullshit"),
    *("хуй", "хуес", "пизд", "ебан", "ебуч", "ебал", "ебло", "еблан", "уеб", "выебан", "заеб", "бляд", "блять"),
    *("мудак", "мудил", "гандон", "гондон", "пидор", "пидар", "пидр", "залуп", "долбоеб", "шлюх", "хохл", "жидов"),
)
_WHOLE = frozenset(
    (
        *("shit", "cunt", "cunts", "bitch", "whore", "slut", "wanker", "nazi", "hitler", "nigga", "retard"),
        *("сука", "суки", "хуи", "хер", "жопа", "гитлер", "говно", "мразь", "чурка"),
    )
)


# How such words are commonly disguised: letters of the other script that look alike, digits and signs for letters.
_AS_LATIN = str.maketrans("авекмнорстухіѕ0134578$!", "abekmhopctyxisoieastbsi")
_AS_CYRILLIC = str.maketrans("abekmhopctyxiunr01346", "авекмнорстухіипгоизчб")
_SPELT = re.compile(r"\b\w(?: \w\b){2,}")  # f u c k
_DRAWN_OUT = re.compile(r"(.)\1{2,}")  # fuuuck
_DOUBLED = re.compile(r"(.)\1")


def is_obscene(name: str) -> bool:
    """Tell whether a word of ``name`` is one of abuse, or one in a common disguise."""
    plain = name.casefold()
    return any(_has_abuse(fold(each)) for each in (plain, plain.translate(_AS_LATIN), plain.translate(_AS_CYRILLIC)))


def _has_abuse(key: str) -> bool:
    together = _SPELT.sub(lambda found: found[0].replace(" ", ""), key)
    return any(
        word in _WHOLE or word.startswith(_BEGINNINGS) or _DOUBLED.sub(r"\1", word).startswith(_BEGINNINGS)
        for word in words(_DRAWN_OUT.sub(r"\1", f"{key} {together}"))
    )


def flags_of(
    kind: Kind, names: Iterable[str], signals: Mapping[str, object] | None, website: str | None = None
) -> list[str]:
    """Return the flags of a signature that is being confirmed, with ``signals`` as stored while signing."""
    told = signals or {}
    rules = {
        Flag.BURST: "burst" in told,
        Flag.LINK: "link" in told,
        Flag.OBSCENE: any(is_obscene(each) for each in names),
        Flag.DISGUISED: "mixed_scripts" in told or "stacked_marks" in told,
        Flag.THROWAWAY: "throwaway" in told,
        Flag.OTHER_DOMAIN: kind is Kind.ORGANIZATION and bool(website) and "own_domain" not in told,
    }
    return [flag.value for flag, speaks in rules.items() if speaks]
