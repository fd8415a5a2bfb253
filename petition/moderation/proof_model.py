"""What a domain says of a letter: by a TXT record, or by a file of its website."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

TXT_NAME = "_petition"  # in front of the domain
_WORDS = re.compile(r"[\s=;,\"'<>]+")


class ProofResult(StrEnum):
    """What one look-up said."""

    YES = "yes"
    NO = "no"
    FAILED = "failed"  # no answer: nothing follows from it


@dataclass(frozen=True, slots=True)
class DomainProof:
    """What a domain says of a letter."""

    dns: ProofResult
    well_known: ProofResult


NO_ANSWER = DomainProof(ProofResult.FAILED, ProofResult.FAILED)


def file_name(slug: str) -> str:
    """Return the path of the file below a website that names the letter."""
    return f"/.well-known/petition-{slug}.txt"


def names_letter(text: str, addresses: Iterable[str]) -> bool:
    """Return whether one of the words of ``text`` is one of the letter's addresses."""
    words = {word.rstrip("/.").lower() for word in _WORDS.split(text)}
    return any(address.lower() in words for address in addresses)
