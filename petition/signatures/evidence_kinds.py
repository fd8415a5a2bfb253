"""How an organization is proven, in the words of readers. The database's ``evidence_of`` says which of it holds."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from petition.core.i18n import N_


class EvidenceKind(StrEnum):
    """The strongest first; an organization is counted under its strongest."""

    MAILBOX = "mailbox"  # the representative's, on the website's domain
    DNS = "dns"  # a TXT record of the domain names the letter
    WELL_KNOWN = "well_known"  # a file of the website names the letter
    SECOND_MAILBOX = "second_mailbox"  # another one on the domain says so
    VOUCHED = "vouched"  # an organizer does, by name
    IMPORTED = "imported"  # from a list; not confirmed here
    REVIEWED = "reviewed"  # approved by an organizer without any of these

    @property
    def label(self) -> str:
        return LABELS[self]

    @property
    def meaning(self) -> str:
        return MEANINGS[self]


LABELS: Mapping[EvidenceKind, str] = {
    EvidenceKind.MAILBOX: N_("Mailbox on its domain"),
    EvidenceKind.DNS: N_("DNS record of its domain"),
    EvidenceKind.WELL_KNOWN: N_("File on its website"),
    EvidenceKind.SECOND_MAILBOX: N_("Second mailbox on its domain"),
    EvidenceKind.VOUCHED: N_("Vouched for by an organizer"),
    EvidenceKind.IMPORTED: N_("Imported from a list"),
    EvidenceKind.REVIEWED: N_("Reviewed by the organizers"),
}
MEANINGS: Mapping[EvidenceKind, str] = {
    EvidenceKind.MAILBOX: N_(
        "The person who signed for it confirmed the signature from a mailbox on the domain of its website."
    ),
    EvidenceKind.DNS: N_("A TXT record of its domain names this letter."),
    EvidenceKind.WELL_KNOWN: N_("A file below /.well-known/ on its website names this letter."),
    EvidenceKind.SECOND_MAILBOX: N_("Asked at another mailbox on its domain, it answered that it has signed."),
    EvidenceKind.VOUCHED: N_("An organizer knows it and says so by name."),
    EvidenceKind.IMPORTED: N_("It stands on a list that the organizers brought; it has not confirmed here."),
    EvidenceKind.REVIEWED: N_(
        "An organizer approved it. It has confirmed from a mailbox elsewhere; nothing more is recorded."
    ),
}


def in_order(values: Iterable[str]) -> tuple[EvidenceKind, ...]:
    """Return the kinds, the strongest first; ``REVIEWED`` if there are none."""
    kinds = set(values)
    return tuple(kind for kind in EvidenceKind if kind in kinds) or (EvidenceKind.REVIEWED,)
