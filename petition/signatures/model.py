"""Signatures: kinds, states, who sees the name, and the count."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from petition.core.i18n import N_
from petition.letters.model import Counts
from petition.signatures.evidence_kinds import EvidenceKind

__all__ = ["AFFILIATION", "REASONS", "Counts", "Kind", "Reason", "Signatory", "SignatureState", "Visibility"]


class Kind(StrEnum):
    """Who signs: a person, or a representative for an organization."""

    PERSON = "person"
    ORGANIZATION = "organization"


class Visibility(StrEnum):
    """Who may see a signatory's name (an organization's is about its representative only)."""

    PUBLIC = "public"
    ORGANIZERS = "organizers"
    COUNTED = "counted"


# A choice beside these, stored as COUNTED with the employer: shown are its name and a number, never a signatory's name.
AFFILIATION = "affiliation"


class SignatureState(StrEnum):
    """The state of a signature from its confirmation on; before, it is a row of the table ``pending``."""

    HELD = "held"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"
    REMOVED = "removed"


class Reason(StrEnum):
    """Why a signature is removed; mailed to the signatory."""

    FAKE = "fake"
    DUPLICATE = "duplicate"
    ABUSE = "abuse"
    NOT_AUTHORIZED = "not_authorized"
    AT_REQUEST = "at_request"
    OTHER = "other"


REASONS: dict[Reason, str] = {
    Reason.FAKE: N_("made up"),
    Reason.DUPLICATE: N_("duplicate"),
    Reason.ABUSE: N_("abusive or an advertisement"),
    Reason.NOT_AUTHORIZED: N_("not authorized to sign for the organization"),
    Reason.AT_REQUEST: N_("at the signatory’s request"),
    Reason.OTHER: N_("another reason"),
}


@dataclass(frozen=True, slots=True)
class Signatory:
    """One entry of the public list: a person, or an organization under one or two names.

    For an organization ``name_en``/``name_ru`` are set and ``representatives`` are those whose names are public; for a
    person only ``name``, ``affiliation``, ``city`` and ``country`` are.
    """

    id: int
    kind: Kind
    listed_at: datetime
    name: str | None = None
    affiliation: str | None = None
    city: str | None = None
    country: str | None = None
    name_en: str | None = None
    name_ru: str | None = None
    website: str | None = None
    representatives: tuple[str, ...] = ()
    evidence: tuple[EvidenceKind, ...] = ()  # of an organization, the strongest first
    vouched_by: tuple[str, ...] = ()  # organizers, by the names they agreed to
