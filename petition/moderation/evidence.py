"""How an organization is proven: four marks, each yes, no or not known, and what a correction of its website changes.

The marks come from ``signature.signals``. ``own_domain``: the representative's mailbox is on the website's domain,
worked out while signing, when the address was at hand. ``domain``: digests of that mailbox's domain and of those above
it, so that another website can be compared later, without the address. A signature from before there were such digests
cannot be compared: its mark is not known once the website is corrected, and returns if the correction is undone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.signatures.signals import domain_digests, host_of, is_own_website

CORRECTED, CHECKED_FOR, OWN_BEFORE, SECOND_FOR, SPOKEN = (
    "corrected",
    "checked_for",
    "own_before",
    "second_for",
    "spoken",
)

PROVEN = ("dns", "well_known")  # the website's domain names the letter: marks with the day of the look
PROVEN_FOR = "proven_for"  # the digest of a former website's host, and its marks

UNCHECKED = "unchecked"  # a second mailbox had lent its mark to the representative's, before the two had their own


class Mark(StrEnum):
    """One square."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an organization, in the order of the squares."""

    website: Mark
    domain: Mark  # the representative's mailbox on the website's domain
    second: Mark  # another mailbox there says that the organization has signed
    talk: Mark
    is_corrected: bool = False  # the website was corrected, and the domain cannot be compared with the new one
    is_second_former: bool = False  # the second mailbox was on the domain of the former website
    is_free_mail: bool = False
    is_imported: bool = False
    dns: str | None = None  # the day on which the domain's TXT record named the letter
    well_known: str | None = None  # … a file of the website

    @property
    def marks(self) -> tuple[Mark, ...]:
        return self.website, self.domain, self.second, self.talk


def evidence_of(website: str | None, signals: Mapping[str, object], *, is_imported: bool) -> Evidence:
    """Return the marks of a signature for an organization."""
    is_corrected = CORRECTED in signals
    is_unknown = not website or is_corrected or is_imported or UNCHECKED in signals
    domain = Mark.YES if "own_domain" in signals else Mark.UNKNOWN if is_unknown else Mark.NO
    second = Mark.YES if "second" in signals else Mark.NO if "second_no" in signals else Mark.UNKNOWN
    return Evidence(
        website=Mark.YES if website else Mark.UNKNOWN,
        domain=domain if website else Mark.UNKNOWN,
        second=second,
        talk=Mark.YES if SPOKEN in signals else Mark.UNKNOWN,
        is_corrected=is_corrected and bool(website),
        is_second_former=SECOND_FOR in signals,
        is_free_mail="free_mail" in signals,
        is_imported=is_imported,
        dns=_day(signals, "dns"),
        well_known=_day(signals, "well_known"),
    )


def _day(signals: Mapping[str, object], mark: str) -> str | None:
    return str(signals[mark]) if mark in signals else None


def corrected_signals(
    signals: Mapping[str, object] | None, before: str | None, after: str | None, keys: LetterKeys
) -> dict[str, object]:
    """Return the signals of a signature whose website is corrected: each mark is worked out anew, or not known."""
    changed = dict(signals or {})
    old, new = (host_of(website) if website else None for website in (before, after))
    if old == new:
        return changed
    was, now = (_digest(keys, host) for host in (old, new))
    _correct_domain(changed, after, keys, was, now)
    _correct_proven(changed, was, now)
    if changed.get(SECOND_FOR) is not None and changed[SECOND_FOR] == now:
        changed["second"] = True
        del changed[SECOND_FOR]
    elif changed.pop("second", None):
        changed[SECOND_FOR] = was
    return changed


def _correct_domain(
    signals: dict[str, object], website: str | None, keys: LetterKeys, was: str | None, now: str | None
) -> None:
    known = signals.get("domain")
    if isinstance(known, list):
        is_own = _is_own(known, website, keys)
        signals.pop(CORRECTED, None)
    else:
        signals.setdefault(CHECKED_FOR, was)
        signals.setdefault(OWN_BEFORE, "own_domain" in signals)
        is_back = now is not None and signals[CHECKED_FOR] == now
        is_own = is_back and bool(signals[OWN_BEFORE])
        for key in (CORRECTED, UNCHECKED, *((CHECKED_FOR, OWN_BEFORE) if is_back else ())):
            signals.pop(key, None)
        if not is_back:
            signals[CORRECTED] = True
    signals.pop("own_domain", None)
    if is_own:
        signals["own_domain"] = True


def _correct_proven(signals: dict[str, object], was: str | None, now: str | None) -> None:
    """Put aside what the domain of the former website said; it returns with that website."""
    marks = {mark: signals.pop(mark) for mark in PROVEN if mark in signals}
    former = signals.pop(PROVEN_FOR, None)
    if isinstance(former, list) and now is not None and former[0] == now:
        signals.update(former[1])
    elif marks:
        signals[PROVEN_FOR] = [was, marks]
    elif former is not None:
        signals[PROVEN_FOR] = former


def _is_own(known: list[str], website: str | None, keys: LetterKeys) -> bool:
    try:
        return website is not None and is_own_website(website, known, keys.digest)
    except KeyDestroyed:
        return False


def _digest(keys: LetterKeys, host: str | None) -> str | None:
    """Return the digest of a host, of "" for none; None once the letter's key is destroyed."""
    try:
        return domain_digests(host or "", keys.digest)[0]
    except KeyDestroyed:
        return None
